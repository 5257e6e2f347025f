"""The settings that the knobs' benchmark measures: each differs from the defaults in its own options."""

from __future__ import annotations

import pytest

from benchmarks.demo_judge import judge
from benchmarks.demo_settings import with_options
from benchmarks.demo_world import request_for
from benchmarks.knobs import SETTINGS, figures
from composition.request import OPTIONS
from demo_models.world.edits import sample_edit


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_changes_its_own_options_and_nothing_else(setting):
    plain = request_for(sample_edit(1, "recolour"), 1)
    changed = with_options(plain, SETTINGS[setting])
    differing = {name for name in OPTIONS if getattr(plain.options, name) != getattr(changed.options, name)}
    assert differing == set(SETTINGS[setting])
    assert (changed.prompt, changed.options.seed) == (plain.prompt, plain.options.seed)


def test_every_knob_is_measured():
    knobs = {"scheduler", "guidance_rescale", "ip_adapter_start", "ip_adapter_end", "ip_adapter_mask", "crop_context"}
    knobs |= {"control_guidance_start", "control_guidance_end"}
    assert {option for options in SETTINGS.values() for option in options} == knobs | {"num_inference_steps"}


def test_the_line_says_successes_and_the_difference_from_the_defaults():
    pair = sample_edit(1, "recolour")
    good, bad = judge(pair, 1, pair.after.image, routed=True), judge(pair, 1, pair.before.image, routed=True)
    defaults, other = figures("defaults", [bad]), figures("unipc", [good])
    line = other.line(defaults)
    assert line.startswith("unipc ")
    assert "recolour 1/1" in line
    assert f"({good.colour - bad.colour:+.2f})" in line
