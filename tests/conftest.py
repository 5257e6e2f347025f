"""Plumbing is tested on the tiny models, whatever profile is the default; meaning is tested on the demo models."""

from __future__ import annotations

import os
import tempfile

from hypothesis import HealthCheck, settings

# Whether a test passes must not depend on how busy the machine is, nor on which examples it happens to draw.
# `pytest --hypothesis-profile search` looks for new ones.
settings.register_profile("gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("gate"), derandomize=False, max_examples=1000)
settings.load_profile("gate")

os.environ["COMPOSITION_MODELS__PROFILE"] = "tiny"  # also where another one is exported

# Never the user's own jobs, nor those of a service that is running from this checkout.
os.environ["COMPOSITION_STORAGE__FOLDER"] = tempfile.mkdtemp(prefix="composition-tests-")
