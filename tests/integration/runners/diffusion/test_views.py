"""Several views of one thing in one denoising, with real networks: they see one another, and nobody else sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from composition.diffusion import ViewRequest
from composition.errors import InvalidInput
from composition.request import Quality
from runners.diffusion.engine.views import side_by_side
from runners.diffusion.families.stable_diffusion.attention import ViewAttention
from tests.integration.runners.diffusion.denoising import family_of
from tests.integration.runners.diffusion.requests import SIDE, both_controls, control, photo, request, run

pytestmark = pytest.mark.integration

OTHER = request(7)


def view(seed, **changes):
    return ViewRequest(image=photo(seed), mask=OTHER.mask, **changes)


def predicted(family, states):
    """The noise of each one's next step, in one forward; its rows are of different images."""
    with torch.inference_mode():
        return [prediction.noise for prediction in family.predict(states)]


def encoded(family, *requests):
    with torch.inference_mode():
        return [family.encode(one) for one in requests]


def apart(one, other):
    return float((one - other).abs().max())


@pytest.mark.parametrize("guidance_scale", [7.5, 1.0])
def test_a_view_sees_the_others_of_its_request_and_the_same_image_twice_sees_only_itself(served, guidance_scale):
    family = family_of(served.load())
    one, twin, other = encoded(family, *(asked(seed, guidance_scale) for seed in (1, 1, 2)))
    [alone] = predicted(family, [one])
    side_by_side([one, twin])
    beside_itself = predicted(family, [one, twin])
    assert max(apart(alone, noise) for noise in beside_itself) < 1e-3
    side_by_side([one, other])
    seen, _ = predicted(family, [one, other])
    assert apart(alone, seen) > 1e-3


def asked(seed, guidance_scale=7.5):
    return request(1, image=photo(seed), guidance_scale=guidance_scale)


@pytest.mark.parametrize("guidance_scale", [7.5, 1.0])
def test_nobody_in_the_batch_has_anything_of_the_views_nor_they_of_anybody(load, guidance_scale):
    family = family_of(load())
    first, second, stranger, third, fourth = encoded(family, *(asked(seed, guidance_scale) for seed in (1, 2, 3, 4, 5)))
    [alone] = predicted(family, [stranger])
    side_by_side([first, second])
    side_by_side([third, fourth])
    by_themselves = predicted(family, [first, second])
    others = predicted(family, [third, fourth])
    in_company = predicted(family, [first, third, stranger, second, fourth])
    assert apart(in_company[2], alone) < 1e-3
    assert max(apart(in_company[place], noise) for place, noise in zip((0, 3), by_themselves, strict=True)) < 1e-3
    assert max(apart(in_company[place], noise) for place, noise in zip((1, 4), others, strict=True)) < 1e-3


def test_the_unconditional_rows_see_one_another_and_not_the_conditional_ones(load):
    family = family_of(load())
    states = encoded(family, *(asked(seed) for seed in (1, 2)))
    side_by_side(states)
    layout = family.forward.layouts.of(states)
    assert layout.views.groups == ((0, 1), (2, 3))


def test_without_views_a_forward_is_the_stock_one_bit_for_bit(load):
    family = family_of(load())
    unet = family.components.unet
    [state] = encoded(family, asked(1))
    [before] = predicted(family, [state])
    processors = dict(unet.attn_processors)
    assert any(isinstance(one, ViewAttention) for one in processors.values())
    try:
        unet.set_attn_processor(
            {name: one.alone if isinstance(one, ViewAttention) else one for name, one in processors.items()}
        )
        [stock] = predicted(family, [state])
    finally:
        unet.set_attn_processor(processors)
    assert torch.equal(before, stock)


@pytest.mark.parametrize("quality", Quality)
def test_a_request_of_views_gives_the_same_alone_and_in_a_crowd(make_engine, load, quality):
    """In company that comes and goes, with controls and a reference, and with features that are reused."""
    views = {"views": (view(2, controls=both_controls()), view(3, controls={"depth": control(9, 0.4)}))}
    own = {"controls": both_controls(), "references": (photo(8),), "ip_adapter_scale": 0.5, "quality": quality}
    [alone] = run(make_engine(load()), request(1, num_inference_steps=6, **views, **own))
    crowd = run(
        make_engine(load()),
        request(11, num_inference_steps=3),
        request(1, num_inference_steps=6, **views, **own),
        request(12, num_inference_steps=5, views=(view(4),)),
    )
    assert len(alone.images) == len(crowd[1].images) == 3
    for one, same in zip(alone.images, crowd[1].images, strict=True):
        assert np.abs(one.astype(int) - same.astype(int)).mean() < 1.0


def test_a_step_of_all_views_is_one_forward_and_each_is_encoded_and_decoded_once(make_engine, load):
    engine = make_engine(load())
    run(engine, request(1, num_inference_steps=3, views=(view(2), view(3))))
    counters = engine.stats()["counters"]
    assert (counters["unet_forwards"], counters["unet_rows"]) == (3, 18)
    assert (counters["vae_encodes"], counters["vae_decodes"]) == (3, 3)


def test_views_have_one_noise(load):
    family = family_of(load())
    regions = request(1, views=(view(2),)).regions
    one, other = encoded(family, *regions)
    assert torch.equal(one.latents, other.latents)
    assert not torch.equal(one.inpainting, other.inpainting)


def test_each_view_is_checked(make_engine, load):
    engine = make_engine(load())
    wrong = ViewRequest(image=photo(2, SIDE + 8, SIDE), mask=OTHER.mask)
    with pytest.raises(InvalidInput, match="one size"):
        engine.submit(request(1, views=(wrong,)), lambda event: None)
