"""The editor learns from the model store what it cannot ask the runners for."""

from __future__ import annotations

import pytest

from composition.config import PROFILES, Config
from composition.controls import CONTROLS
from models_store.store import ModelSet
from runners.wiring import assemble


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_controls_without_a_controlnet_are_those_whose_role_the_store_does_not_have(profile, cached):
    config = Config.model_validate({"models": {"profile": profile}, "optimization": {"cache_preprocessors": cached}})
    handle = object()
    models = assemble(config, analyzer=handle, detector=handle, structure=handle, diffusion=handle).models
    there = ModelSet(config.models).roles
    assert models.absent_controls.keys() == {name for name, control in CONTROLS.items() if control.role not in there}


@pytest.mark.parametrize(
    ("models", "able"),
    [
        ({"profile": "demo"}, False),
        ({"profile": "demo", "detection": {"sam": "/models/sam"}}, True),
        ({"profile": "tiny"}, True),
        ({"profile": "sd15"}, True),
    ],
    ids=["demo", "demo with a SAM of one's own", "tiny", "sd15"],
)
def test_whether_points_can_be_segmented_is_the_manifests_to_say_of_its_own_model(models, able):
    config = Config.model_validate({"models": models})
    handle = object()
    found = assemble(config, analyzer=handle, detector=handle, structure=handle, diffusion=handle).models
    assert (found.no_points is None) is able
