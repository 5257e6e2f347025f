"""What is configured and not installed is said plainly at start-up."""

from __future__ import annotations

import sys

import pytest

from api.app import create_app
from composition.config import ConfigError


def test_without_its_package_the_protocol_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "api.mcp.server", raising=False)
    with pytest.raises(ConfigError, match=r"api\.mcp needs the package mcp, which is not installed: pip install"):
        create_app(mcp=True)
