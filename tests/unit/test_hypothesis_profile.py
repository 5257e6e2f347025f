"""The gate's property tests depend on the code alone: no clock, no luck of the draw."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parents[1]


def test_the_profile_that_is_loaded_has_no_clock_and_draws_the_same_every_time():
    assert settings.default.deadline is None
    assert settings.default.derandomize
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_no_test_sets_a_deadline_of_its_own():
    pattern = re.compile(r"\bdeadline=(?!None\b)[\w.]+(?=[,)])")
    in_settings = re.compile(r"settings\((?:[^()]|\([^()]*\))*\)")
    for path in TESTS.rglob("*.py"):
        for call in in_settings.findall(path.read_text()):
            assert not pattern.search(call), f"{path}: {call}"
