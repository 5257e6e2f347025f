"""The served instances that files share, each started once; tests/distribution.py keeps together who uses which."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from benchmarks.server import Server, free_port
from tests.distribution import unlisted

ROOT = Path(__file__).parents[2]
KEYS = {
    "ann": "key-of-ann",
    "bob": "key-of-bob",
    "eve": "key-of-eve",
    "page": "key-of-the-page",
    "client": "key-of-the-client",
}
PER_MINUTE = 100
WEBHOOK_SECRET = "the webhook secret"  # noqa: S105  of these tests alone
PATIENT = {"COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": "900"}
"""A machine that is busy otherwise is no fault of the service."""

Serve = Callable[..., AbstractContextManager[str]]


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.e2e)
            wrong = unlisted(Path(item.path).relative_to(ROOT).as_posix(), item.fixturenames)
            if wrong:
                raise pytest.UsageError(f"{item.nodeid}: its file is to be listed in tests/distribution.py for {wrong}")


@pytest.fixture(scope="session")
def serve(tmp_path_factory) -> Serve:
    """serve(name, **variables) -> the URL of an instance for the time of the block."""

    @contextmanager
    def served(name: str, **variables: str) -> Iterator[str]:
        log = tmp_path_factory.mktemp(name) / "serve.log"
        with Server(port=free_port(), log=log, environment={**PATIENT, **variables}) as server:
            server.wait_until_healthy()
            yield server.url

    return served


@pytest.fixture(scope="session")
def service_url(serve) -> Iterator[str]:
    """The tiny models as they are served by default, but that it speaks MCP too."""
    with serve("serve", COMPOSITION_API__MCP="true") as url:
        yield url


@pytest.fixture(scope="session")
def demo_url(serve) -> Iterator[str]:
    """The demo models, in whose world edits work; in few steps where none are asked for."""
    with serve("demo", COMPOSITION_MODELS__PROFILE="demo", COMPOSITION_GENERATION__DEFAULT_STEPS="5") as url:
        yield url


@pytest.fixture(scope="session")
def keyed_url(serve) -> Iterator[str]:
    """Keys, a rate limit, previews, and leave to reach private addresses."""
    variables = {
        "COMPOSITION_API__API_KEYS": json.dumps(KEYS),
        "COMPOSITION_API__RATE_LIMIT_PER_MINUTE": str(PER_MINUTE),
        "COMPOSITION_API__CORS_ORIGINS": '["https://shop.example"]',
        "COMPOSITION_FETCH__ALLOW_PRIVATE": "true",
        "COMPOSITION_FETCH__MAX_SIZE_MB": "1",
        "COMPOSITION_GENERATION__PREVIEWS": "true",
        "COMPOSITION_QUEUE__WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    with serve("keyed", **variables) as url:
        yield url
