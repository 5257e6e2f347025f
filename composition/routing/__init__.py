"""Routing: which pipeline, which region, which words."""

from __future__ import annotations

from composition.routing.router import Router, SignalsNeeded

__all__ = ["Router", "SignalsNeeded"]
