"""Prompts are judged by what the router makes of them."""

from tests.unit.composition.routing.conftest import decide

__all__ = ["decide"]
