"""The short form of `make schemathesis`."""

from __future__ import annotations

import pytest

from benchmarks import attack_schema
from benchmarks.server import Server, free_port


@pytest.mark.skipif(not attack_schema.is_installed(), reason="schemathesis is not installed")
def test_no_request_that_the_document_suggests_is_answered_otherwise_than_documented(tmp_path):
    with Server(port=free_port(), log=tmp_path / "serve.log", environment=attack_schema.ENVIRONMENT) as server:
        server.wait_until_healthy(timeout_s=180)
        assert attack_schema.attack(server.url, seconds=30, seed=1, folder=tmp_path) == 0
