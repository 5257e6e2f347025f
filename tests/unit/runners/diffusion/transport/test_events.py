from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from composition.diffusion import (
    ControlInput,
    DiffusionProgress,
    DiffusionRequest,
    DiffusionResult,
    ReferenceInput,
    RegionRequest,
    ViewRequest,
)
from composition.errors import ContentPolicy, InvalidInput
from composition.lora import LoraKind, LoraUse
from composition.request import Quality, Scheduler, Speed
from runners.diffusion.transport.events import (
    Accepted,
    Alive,
    event_from_frame,
    event_to_frame,
    request_from_frame,
    request_to_frame,
)
from runners.diffusion.transport.frames import Frame, FrameError, FrameKind, decode_single, encode_frame


def image(value):
    return np.full((16, 24, 3), value, np.uint8)


def full_request():
    return DiffusionRequest(
        request_id="r1",
        image=image(1),
        mask=np.full((16, 24), 255, np.uint8),
        prompt="a glass teapot",
        negative_prompt="blurry",
        num_inference_steps=25,
        guidance_scale=7.5,
        seed=2**32 - 1,
        strength=0.8,
        references=(
            ReferenceInput(images=(image(2), image(3)), scale=0.6),
            ReferenceInput(images=(image(9),), scale=0.2, mask=np.full((16, 24), 9, np.uint8)),
        ),
        controls={"depth": ControlInput(image=image(4), scale=0.5, start=0.1, end=0.9)},
        loras=(
            LoraUse(
                name="toy",
                weight=-0.7,
                path="/loras/toy",
                sha256="1" * 64,
                kind=LoraKind.EMBEDDING,
                token="<toy>",
                trigger_words=("a", "b"),
                modules=3,
            ),
        ),
        speed=Speed.FAST,
        quality=Quality.DRAFT,
        scheduler=Scheduler.UNIPC,
        guidance_rescale=0.7,
        ip_adapter_start=0.1,
        ip_adapter_end=0.8,
        ip_adapter_mask=True,
        model="photo",
        previews=True,
        deadline_s=12.5,
        area=np.full((16, 24), 7, np.uint8),
        beside=(
            RegionRequest(
                prompt="a red car",
                negative_prompt="",
                strength=0.6,
                references=(ReferenceInput(images=(image(5),), scale=0.4),),
                controls={"pose": ControlInput(image=image(6), scale=0.2, start=0.2, end=0.7)},
                area=np.full((16, 24), 8, np.uint8),
            ),
            RegionRequest(prompt="a tree", negative_prompt="", controls={}),
        ),
        views=(
            ViewRequest(image=image(11), mask=np.full((16, 24), 9, np.uint8)),
            ViewRequest(
                image=image(12),
                mask=np.full((16, 24), 10, np.uint8),
                controls={"depth": ControlInput(image=image(13), scale=0.3, start=0.0, end=0.5)},
                noise_from=np.full((2, 3, 2), 1, np.uint8),
            ),
        ),
        noise_from=np.arange(12, dtype=np.uint8).reshape(2, 3, 2),
    )


def over_the_wire(frame):
    return decode_single(encode_frame(frame))


def equal(one, other):
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if dataclasses.is_dataclass(one):
        return all(equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


def test_a_request_arrives_as_it_was_sent_in_every_field():
    sent = full_request()
    assert equal(sent, request_from_frame(over_the_wire(request_to_frame(sent))))


def test_every_field_of_a_request_is_sent():
    frame = request_to_frame(full_request())
    named = {*frame.header, *(name.split("-")[0].rstrip("0123456789") for name in frame.arrays)}
    for field in dataclasses.fields(DiffusionRequest):
        assert field.name in named, field.name


@pytest.mark.parametrize(
    "event",
    [
        Accepted(lease_s=15.0),
        Alive(),
        DiffusionProgress(step=3, total=25),
        DiffusionProgress(step=3, total=25, preview=image(9)),
        DiffusionResult(image=image(7), models_used=("sd-inpainting",), cache={"vae_moments": "hit"}),
        DiffusionResult(image=image(7), models_used=("sd-inpainting",), others=(image(8), image(9))),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_arrives_as_it_was_sent(event):
    assert equal(event, event_from_frame(over_the_wire(event_to_frame(event))))


def test_an_error_arrives_with_its_class_message_and_details():
    sent = ContentPolicy("refused", details={"reason": "flag"})
    got = event_from_frame(over_the_wire(event_to_frame(sent)))
    assert (type(got), got.message, got.details) == (ContentPolicy, "refused", {"reason": "flag"})


def test_an_error_of_a_subclass_arrives_as_the_class_that_owns_its_code():
    assert type(event_from_frame(event_to_frame(InvalidInput("no")))) is InvalidInput


@pytest.mark.parametrize("kind", [kind for kind in FrameKind if kind is not FrameKind.ALIVE])
def test_a_frame_without_its_fields_is_refused(kind):
    read = request_from_frame if kind is FrameKind.REQUEST else event_from_frame
    with pytest.raises(FrameError):
        read(Frame(kind=kind))


def test_a_request_is_no_event_and_an_event_no_request():
    with pytest.raises(FrameError):
        event_from_frame(request_to_frame(full_request()))
    with pytest.raises(FrameError):
        request_from_frame(event_to_frame(Alive()))
