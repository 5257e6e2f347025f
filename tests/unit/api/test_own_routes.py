"""Which requests BentoML's application still sees."""

from __future__ import annotations

import pytest

from api.security.own_routes import OwnRoutesGuard


class Asked:
    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        self.paths.append(scope.get("path", scope["type"]))


@pytest.mark.parametrize("schema", [True, False])
async def test_bentoml_sees_its_probes_its_lifespan_and_its_schema_unless_closed(schema: bool) -> None:
    bentoml, own = Asked(), Asked()
    guard = OwnRoutesGuard(bentoml, own=own, schema=schema)
    await guard({"type": "lifespan"}, None, None)
    for path in ("/healthz", "/livez", "/readyz", "/schema.json", "/compose", "/metrics", "/", "/readyz/", "/nope"):
        await guard({"type": "http", "path": path}, None, None)
    shown = ["/schema.json"] if schema else []
    assert bentoml.paths == ["lifespan", "/healthz", "/livez", "/readyz", *shown]
    assert own.paths == [*(() if schema else ("/schema.json",)), "/compose", "/metrics", "/", "/readyz/", "/nope"]
