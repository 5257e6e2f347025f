"""Noise that goes along with what moves, as the family encodes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from composition.diffusion import OWN_NOISE
from composition.errors import InvalidInput
from tests.integration.runners.diffusion.denoising import family_of
from tests.integration.runners.diffusion.requests import SIDE, request

pytestmark = pytest.mark.integration


@pytest.fixture
def family(served):
    return family_of(served.load())


def cells(shift=0):
    """Each cell has the noise of the one so many columns to the left; the first columns have their own."""
    side = SIDE // 8
    source = np.stack(np.mgrid[:side, :side], axis=-1) - (0, shift)
    return np.where((source < 0).any(axis=-1, keepdims=True), OWN_NOISE, source).astype(np.uint8)


def latents(family, **changes):
    with torch.inference_mode():
        return family.encode(request(1, **changes)).latents


def test_noise_from_its_own_place_is_the_seeds_noise(family):
    assert torch.equal(latents(family), latents(family, noise_from=cells()))


def test_noise_comes_from_where_it_is_said(family):
    first = latents(family)
    moved = latents(family, noise_from=cells(2))
    assert torch.equal(moved[..., 2:], first[..., :-2])
    assert torch.equal(moved[..., :2], first[..., :2])


def test_it_is_the_same_noise_where_the_image_is_sampled_first(family):
    """Of less strength the image's latents are drawn before the noise, which would be another one."""
    sent = {"strength": 0.6, "noise_from": cells()}
    one, other = (family.encode(request(1, **sent)) for _ in range(2))
    assert torch.equal(one.latents, other.latents)
    apart = latents(family, strength=0.6)
    assert not torch.equal(one.latents, apart)


def test_places_of_another_size_are_refused(family):
    with pytest.raises(InvalidInput, match="latent cell"):
        family.check(request(1, noise_from=np.zeros((3, 3, 2), np.uint8)))
