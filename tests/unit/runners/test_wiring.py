"""The editor learns from the model store what it cannot ask the runners for."""

from __future__ import annotations

import json

import pytest

from composition.config import PROFILES, Config
from composition.controls import CONTROLS
from models_store.store import ModelSet
from runners.diffusion.transport.spread import SpreadDiffuser
from runners.wiring import assemble


@pytest.fixture
def configuration(tmp_path):
    """configuration(profile, levels=4, **models): its base model is a folder whose autoencoder has so many levels."""

    def make(profile, levels=4, cached=True, **models):
        base = tmp_path / "base"
        (base / "vae").mkdir(parents=True)
        (base / "vae" / "config.json").write_text(json.dumps({"block_out_channels": [8] * levels}))
        named = {"profile": profile, "base_model": str(base), **models}
        return Config.model_validate({"models": named, "optimization": {"cache_preprocessors": cached}})

    return make


def models_of(config):
    handle = object()
    return assemble(config, analyzer=handle, detector=handle, structure=handle, diffusion=handle).models


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_controls_without_a_controlnet_are_those_whose_role_the_store_does_not_have(configuration, profile, cached):
    config = configuration(profile, cached=cached)
    there = ModelSet(config.models).roles
    absent = models_of(config).absent_controls
    assert absent.keys() == {name for name, control in CONTROLS.items() if control.role not in there}


@pytest.mark.parametrize(("levels", "cell_px"), [(4, 8), (3, 4)])
def test_the_latent_cell_is_that_of_the_base_models_autoencoder(configuration, levels, cell_px):
    assert models_of(configuration("tiny", levels)).latent_cell_px == cell_px


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
def test_whether_points_can_be_segmented_is_the_manifests_to_say_of_its_own_model(configuration, models, able):
    assert (models_of(configuration(**models)).no_points is None) is able


class Runner:
    """Says that it is ready."""

    async def state(self):
        return {"models_loaded": ["a model"], "ready": True}


async def test_one_process_for_all_detectors_is_one_runner_for_health(configuration):
    together = Runner()
    config = configuration("tiny")
    assembly = assemble(config, analyzer=together, detector=together, structure=together, diffusion=Runner())
    assert set((await assembly.health.health())["runners"]) == {"perception", "diffusion"}


async def test_every_card_has_a_diffusion_runner_and_requests_are_spread_over_them(configuration):
    one, two, three = Runner(), Runner(), Runner()
    assembly = assemble(
        configuration("tiny"), analyzer=one, detector=two, structure=three, diffusion=one, more_diffusion=[two, three]
    )
    names = {"analyzer", "detector", "structure", "diffusion", "diffusion-1", "diffusion-2"}
    assert set((await assembly.health.health())["runners"]) == names
    assert isinstance(assembly.models.diffuser, SpreadDiffuser)
    assert assembly.models.diffuser.running == (0, 0, 0)


async def test_a_single_card_is_asked_without_a_detour(configuration):
    assert not isinstance(models_of(configuration("tiny")).diffuser, SpreadDiffuser)
