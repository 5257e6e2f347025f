"""Plumbing is tested on the tiny models, whatever profile is the default; meaning is tested on the demo models."""

from __future__ import annotations

import os

os.environ["COMPOSITION_MODELS__PROFILE"] = "tiny"  # also where another one is exported
