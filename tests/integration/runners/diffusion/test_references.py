"""References of a request, each in its place: as stock diffusers has them, and each request's own in a batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from composition.diffusion import ReferenceInput
from composition.errors import InvalidInput
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.requests import control, photo, request

pytestmark = pytest.mark.integration

CONTROL = {"depth": control(102, 0.5)}


def half(side: str, height: int = 64, width: int = 64):
    """A mask of one half of the canvas."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, slice(0, width // 2) if side == "left" else slice(width // 2, None)] = 255
    return mask


def reference(number: int, scale: float = 0.6, mask=None) -> ReferenceInput:
    return ReferenceInput(images=(photo(number, 64, 48),), scale=scale, mask=mask)


def cases() -> dict[str, tuple[ReferenceInput, ...]]:
    left, right = half("left"), half("right")
    return {
        "one in its place": (reference(7, mask=left),),
        "each in its place": (reference(7, 0.6, left), reference(8, 0.3, right)),
        "places that overlap": (reference(7, 0.6, left), reference(8, 0.3, np.maximum(left, half("right")))),
        "weights alone": (reference(7, 0.6), reference(8, 0.25)),
        "one everywhere": (reference(7, 0.6), reference(8, 0.4, right), reference(9, 0.5, left)),
    }


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0], ids=["guided", "unguided"])
@pytest.mark.parametrize("variant", ["plain", "plus"])
def test_each_reference_in_its_place_is_bit_equal_to_stock_with_a_mask_and_a_scale_for_each_image(
    served, variant, guidance_scale, case
):
    one = request(guidance_scale=guidance_scale, references=cases()[case], controls=CONTROL)
    family = family_of(served.load(variant=variant))
    latents = denoise_alone(family, one)
    assert torch.equal(latents, served.stock(torch.float32).latents(one, served.variant(variant)))
    everywhere = dataclasses.replace(
        one, references=tuple(dataclasses.replace(own, mask=None, scale=0.6) for own in one.references)
    )
    assert not torch.equal(latents, denoise_alone(family, everywhere))


@pytest.mark.parametrize(
    "knobs", [{"ip_adapter_mask": True}, {"ip_adapter_start": 0.25, "ip_adapter_end": 0.75}], ids=str
)
def test_masks_of_references_go_with_the_other_knobs_of_references(load, stock, knobs):
    one = request(num_inference_steps=8, references=cases()["each in its place"], **knobs)
    assert torch.equal(denoise_alone(family_of(load()), one), stock(torch.float32).latents(one, "sd15"))


def test_in_half_precision_too(load, stock):
    one = request(references=cases()["each in its place"])
    latents = denoise_alone(family_of(load(torch.bfloat16)), one)
    assert torch.equal(latents, stock(torch.bfloat16).latents(one, "sd15"))


def test_references_of_scale_0_are_none(load):
    one = request(references=(reference(7, 0.0), reference(8, 0.4, half("left")), reference(9, 0.0, half("right"))))
    family = family_of(load())
    only = dataclasses.replace(one, references=one.references[1:2])
    assert torch.equal(denoise_alone(family, one), denoise_alone(family, only))


def mixed() -> list:
    """Requests with none, one, several, masked and unmasked references, of other lengths."""
    places = cases()
    together = ReferenceInput(images=(photo(8), photo(9), photo(7)), scale=0.5)
    return [
        request(1, num_inference_steps=5, references=places["each in its place"]),
        request(2, num_inference_steps=4),
        request(3, num_inference_steps=6, references=(together,)),
        request(4, num_inference_steps=4, references=places["one everywhere"], guidance_scale=1.0),
        request(5, num_inference_steps=5, references=(together, reference(7, 0.9, half("right")))),
        request(6, num_inference_steps=6, references=places["weights alone"], ip_adapter_start=0.5),
    ]


@pytest.mark.parametrize("arrive_every", [0, 2])
def test_in_a_batch_every_request_has_its_own_references(served, arrive_every):
    family = family_of(served.load())
    requests = mixed()
    alone = [denoise_alone(family, one) for one in requests]
    for expected, latents in zip(alone, denoise_together(family, requests, arrive_every=arrive_every), strict=True):
        assert (latents - expected).abs().max() <= 1e-3


@pytest.mark.parametrize("changed", [0, 3, 4])
def test_anothers_reference_or_its_place_changes_nothing_of_a_request(load, changed):
    family = family_of(load())
    requests, others = mixed(), mixed()
    first, *rest = others[changed].references
    other = dataclasses.replace(first, images=tuple(photo(70 + n) for n, _ in enumerate(first.images)), scale=1.0)
    others[changed] = dataclasses.replace(others[changed], references=(other, *rest))
    before, after = (denoise_together(family, mix) for mix in (requests, others))
    for place, (one, two) in enumerate(zip(before, after, strict=True)):
        assert torch.equal(one, two) is (place != changed)


def test_the_images_of_all_references_are_encoded_together_and_once(load):
    counters = Counters()
    family = build_family(load(), StableDiffusionSettings(), counters)
    one = request(references=cases()["one everywhere"])
    states = [family.encode(dataclasses.replace(one, request_id=name)) for name in ("a", "b")]
    assert [len(state.references) for state in states] == [3, 3]
    assert counters.snapshot()["reference_encodes"] == 1


def test_a_mask_of_another_size_is_refused(load):
    one = request(references=(reference(7, mask=np.zeros((8, 8), np.uint8)),))
    with pytest.raises(InvalidInput, match="reference's mask"):
        family_of(load()).preprocessor.check(one)
