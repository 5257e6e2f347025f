"""One real `bentoml serve` for all end-to-end tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.server import Server, free_port


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def service_url(tmp_path_factory):
    log = tmp_path_factory.mktemp("serve") / "serve.log"
    with Server(port=free_port(), log=log, environment={"COMPOSITION_API__MCP": "true"}) as server:
        server.wait_until_healthy(timeout_s=180)
        yield server.url
