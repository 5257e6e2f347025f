from __future__ import annotations

import composition_client.calls as calls
import pytest

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
