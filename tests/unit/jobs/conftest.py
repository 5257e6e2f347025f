"""An object store for whoever keeps something in one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakes.s3_server import FakeS3Server


@pytest.fixture
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3Server]:
    """Found by the variables that anybody would set."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with FakeS3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
