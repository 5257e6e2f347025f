"""A job's payload as the stores keep it."""

from __future__ import annotations

import json

from composition.jobs import EditPayload
from composition.request import (
    OPTIONS,
    Crop,
    EditOptions,
    KeepParts,
    MaskFeather,
    MaskMode,
    OnNoDetection,
    OutputFormat,
    PipelineChoice,
    RefineMask,
    Speed,
)
from jobs.protocol.documents import dump_payload, load_payload

CHANGED = EditOptions(
    pipeline=PipelineChoice.COMPLEX,
    force_controlnet=True,
    control_types=("depth", "pose"),
    num_inference_steps=9,
    guidance_scale=3.5,
    seed=7,
    ip_adapter_scale=0.0,
    controlnet_conditioning_scale=0.5,
    target="rims",
    on_no_detection=OnNoDetection.ERROR,
    refine_mask=RefineMask.ON,
    mask_mode=MaskMode.ALPHA,
    mask_dilation_px=0,
    mask_blur_px=0,
    mask_feather=MaskFeather.OUT,
    strength=0.3,
    crop=Crop.OFF,
    speed=Speed.FAST,
    color_match=False,
    keep_parts=KeepParts.OFF,
    sharpen=True,
    output_format=OutputFormat.WEBP,
    return_mask=True,
    loras={"pixel-art": 0.5},
)


def stored(options: EditOptions) -> dict:
    payload = EditPayload(prompt="blue car", base_key="a", options=options)
    return json.loads(json.dumps(dump_payload(payload)))


def test_every_option_survives_the_store():
    assert all(getattr(CHANGED, name) != getattr(EditOptions(), name) for name in OPTIONS)
    assert load_payload(stored(CHANGED)).options == CHANGED
    assert load_payload(stored(EditOptions())).options == EditOptions()


def test_an_option_stored_as_null_or_not_at_all_takes_its_default():
    document = stored(EditOptions())
    document["options"]["ip_adapter_scale"] = None
    del document["options"]["sharpen"]
    assert load_payload(document).options == EditOptions()
