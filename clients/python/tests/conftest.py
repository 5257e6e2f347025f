from __future__ import annotations

import composition_client.calls as calls
import pytest
from composition_client.command.app import app
from typer.testing import CliRunner

from clients.python.tests.served import served
from clients.python.tests.service import Service


@pytest.fixture(autouse=True)
def nothing_from_the_environment(monkeypatch):
    for name in ("COMPOSE_URL", "COMPOSE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def quick(monkeypatch):
    """Pauses of our own choosing take no time; those that the service asks for are as long as it says."""
    monkeypatch.setattr(calls.random, "uniform", lambda low, high: 0.0)


@pytest.fixture
def url(service):
    with served(service) as url:
        yield url


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder of one's own, with a photo in it, that the command is run in."""
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def compose(url, monkeypatch):
    """The command, in this process, with the service's URL in the environment."""
    monkeypatch.setenv("COMPOSE_URL", url)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments, stdin=None):
        return CliRunner().invoke(app, [str(word) for word in arguments], input=stdin)

    return run
