"""A job's payload as the stores keep it."""

from __future__ import annotations

import json

import pytest

from composition.images import Box
from composition.jobs import EditOfPayload, EditPayload, UseOfReference
from composition.marks import Point
from composition.request import (
    OPTIONS,
    Crop,
    EditOptions,
    Keep,
    MaskFeather,
    MaskMode,
    OnNoDetection,
    OutputFormat,
    Oversize,
    PipelineChoice,
    Quality,
    RefineMask,
    ResponseFormat,
    Scheduler,
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
    guidance_rescale=0.7,
    scheduler=Scheduler.UNIPC,
    ip_adapter_scale=0.0,
    ip_adapter_start=0.1,
    ip_adapter_end=0.9,
    ip_adapter_mask=True,
    control_guidance_start=0.2,
    control_guidance_end=0.8,
    controlnet_conditioning_scale=0.5,
    target="rims",
    points=(Point(1.0, 2.5), Point(3.0, 4.0, 0)),
    box=Box(x0=1.0, y0=2.0, x1=3.5, y1=4.0),
    on_no_detection=OnNoDetection.ERROR,
    refine_mask=RefineMask.ON,
    mask_mode=MaskMode.ALPHA,
    mask_dilation_px=0,
    mask_blur_px=0,
    mask_feather=MaskFeather.OUT,
    strength=0.3,
    blend=0.4,
    crop=Crop.OFF,
    crop_context=3.0,
    speed=Speed.FAST,
    quality=Quality.DRAFT,
    color_match=False,
    keep_parts=Keep.OFF,
    keep_surroundings=Keep.OFF,
    occlusion=Keep.OFF,
    sharpen=True,
    output_format=OutputFormat.WEBP,
    output_quality=60,
    return_mask=True,
    embed_metadata=True,
    oversize=Oversize.DOWNSCALE,
    model="photo",
    loras={"pixel-art": 0.5},
)


def stored(options: EditOptions) -> dict:
    payload = EditPayload(prompt="blue car", base_key="a", options=options)
    return json.loads(json.dumps(dump_payload(payload)))


def test_every_option_survives_the_store():
    assert all(getattr(CHANGED, name) != getattr(EditOptions(), name) for name in OPTIONS)
    assert load_payload(stored(CHANGED)).options == CHANGED
    assert load_payload(stored(EditOptions())).options == EditOptions()


def test_candidates_and_delivery_survive_the_store():
    payload = EditPayload(prompt="blue car", base_key="a", n=8, response_format=ResponseFormat.URL)
    assert load_payload(json.loads(json.dumps(dump_payload(payload)))) == payload


def test_the_files_that_the_names_of_loras_meant_survive_the_store():
    payload = EditPayload(prompt="blue car", base_key="a", lora_digests={"ink": "1" * 64})
    document = json.loads(json.dumps(dump_payload(payload)))
    assert load_payload(document) == payload
    del document["lora_digests"]
    assert load_payload(document).lora_digests == {}


def test_a_payload_from_before_there_were_candidates_is_one_image_in_json():
    document = stored(EditOptions())
    del document["n"], document["response_format"]
    payload = load_payload(document)
    assert (payload.n, payload.response_format) == (1, ResponseFormat.JSON)


def test_several_edits_survive_the_store_and_name_every_image():
    edits = (
        EditOfPayload(prompt="red car", mask_key="m", options={"blend": 0.5, "control_types": ("pose",)}),
        EditOfPayload(prompt="a tree", negative_prompt="leaves", reference_keys=("r", "s"), options={"target": "lamp"}),
    )
    payload = EditPayload(prompt="", base_key="a", n=2, edits=edits)
    assert load_payload(json.loads(json.dumps(dump_payload(payload)))) == payload
    assert payload.blob_keys == ("a", "m", "r", "s")
    assert (payload.words, payload.size, payload.schema_version) == ("red car; a tree", 4, 2)


def test_views_survive_the_store_cost_one_each_and_name_every_photograph():
    payload = EditPayload(prompt="red car", base_key="a", view_keys=("b", "c"), reference_keys=("r",))
    assert load_payload(json.loads(json.dumps(dump_payload(payload)))) == payload
    assert payload.blob_keys == ("a", "b", "c", "r")
    assert (payload.size, payload.schema_version) == (3, 4)


def test_a_job_of_one_edit_is_written_as_every_version_reads_it():
    payload = EditPayload(prompt="blue car", base_key="a", n=3)
    assert {"edits", "view_keys"}.isdisjoint(dump_payload(payload))
    assert (payload.words, payload.size, payload.schema_version) == ("blue car", 3, 1)


def test_how_references_are_used_survives_the_store_and_names_every_mask():
    uses = (UseOfReference(), UseOfReference(weight=0.5, part="sleeves"), UseOfReference(mask_key="p"))
    payload = EditPayload(prompt="p", base_key="a", reference_keys=("r", "s", "t"), reference_uses=uses)
    document = json.loads(json.dumps(dump_payload(payload)))
    assert load_payload(document) == payload
    assert (payload.blob_keys, payload.schema_version) == (("a", "r", "s", "t", "p"), 3)
    edits = (EditOfPayload(prompt="p", reference_keys=("r", "s", "t"), reference_uses=uses), EditOfPayload(prompt="q"))
    several = EditPayload(prompt="", base_key="a", edits=edits)
    document = json.loads(json.dumps(dump_payload(several)))
    assert load_payload(document) == several
    assert (several.blob_keys, several.schema_version) == (("a", "r", "s", "t", "p"), 3)


def test_references_that_nothing_is_said_of_are_written_as_every_version_reads_them():
    payload = EditPayload(prompt="p", base_key="a", reference_keys=("r",))
    assert "reference_uses" not in dump_payload(payload)
    assert payload.schema_version == 1
    several = dump_payload(EditPayload(prompt="", base_key="a", edits=(EditOfPayload(prompt="p"),)))
    assert "reference_uses" not in several["edits"][0]


def test_an_option_that_is_not_one_edits_own_is_not_read():
    document = dump_payload(EditPayload(prompt="", base_key="a", edits=(EditOfPayload(prompt="p"),)))
    document["edits"][0]["options"] = {"seed": 7}
    with pytest.raises(ValueError, match="seed"):
        load_payload(document)


def test_an_option_stored_as_null_or_not_at_all_takes_its_default():
    document = stored(EditOptions())
    document["options"]["ip_adapter_scale"] = None
    del document["options"]["sharpen"]
    assert load_payload(document).options == EditOptions()
