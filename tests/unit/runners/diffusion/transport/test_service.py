"""What the diffusion runner's service declares to BentoML."""

from __future__ import annotations

from composition.controls import CONTROLS
from runners.diffusion.transport import service


def test_a_bento_of_the_runner_brings_the_controlnet_of_every_control_that_the_profile_has():
    roles = [control.role for control in CONTROLS.values() if control.role in service._MODELS.roles]
    packed = [str(model.tag) for model in service.DiffusionRunner.models]
    assert roles
    for role in roles:
        assert packed.count(service._MODELS.tag(role)) == 1
