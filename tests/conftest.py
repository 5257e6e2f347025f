"""Plumbing is tested on the tiny models, whatever profile is the default; meaning is tested on the demo models."""

from __future__ import annotations

import os
import signal
import tempfile

from hypothesis import HealthCheck, settings

from tests.distribution import pytest_xdist_make_scheduler

__all__ = ["pytest_xdist_make_scheduler"]

# Whether a test passes must not depend on how busy the machine is, nor on which examples it happens to draw.
# `pytest --hypothesis-profile search` looks for new ones.
settings.register_profile("gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("gate"), derandomize=False, max_examples=1000)
settings.load_profile("gate")

os.environ["COMPOSITION_MODELS__PROFILE"] = "tiny"  # also where another one is exported
# Where the processor multiplies bfloat16 the service computes in it, and paints visibly other images.
os.environ["COMPOSITION_MODELS__DTYPE"] = "float32"

# Never the user's own jobs, nor those of a service that is running from this checkout.
os.environ["COMPOSITION_STORAGE__FOLDER"] = tempfile.mkdtemp(prefix="composition-tests-")

# What a shell starts in the background ignores SIGINT, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
