"""Every row of the request table: what it accepts, what it refuses, and what it becomes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from api.conversion import to_options
from api.references import DrawnPart
from api.schemas import GenerateConfig, GenerateRequest
from composition.images import Box
from composition.marks import Point
from composition.request import (
    OPTIONS,
    Crop,
    EditOptions,
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

NAN, INFINITY = float("nan"), float("inf")


def request(**fields: object) -> GenerateRequest:
    return GenerateRequest.model_validate({"base_image": "aGk=", "prompt": "blue car", **fields})


def options(**config: object) -> EditOptions:
    return to_options(request(config=config).config)


ACCEPTED = [
    ("pipeline", ["auto", "simple", "complex"]),
    ("force_controlnet", [True, False]),
    ("control_types", [["pose"], ["depth"], ["pose", "depth"], [], None]),
    ("num_inference_steps", [1, 25, 100]),
    ("guidance_scale", [1, 1.0, 7.5, 20]),
    ("guidance_rescale", [0, 0.7, 1]),
    ("scheduler", ["DPMSolverMultistep", "DPMSolverMultistepKarras", "UniPCMultistep"]),
    ("seed", [-1, 0, 42, 2**32 - 1, None]),
    ("ip_adapter_scale", [0, 0.6, 1]),
    ("ip_adapter_start", [0, 0.5]),
    ("ip_adapter_end", [0.5, 1]),
    ("ip_adapter_mask", [True, False]),
    ("controlnet_conditioning_scale", [0, 1.5, 2]),
    ("control_guidance_start", [0, 0.5]),
    ("control_guidance_end", [0.5, 1]),
    ("target", ["rims", "  front door ", "", "   ", None]),
    ("points", [[[0, 0]], [[3.5, 7], [1, 2, 0]], [[1, 2, 1]] * 32, [], None]),
    ("box", [[0, 0, 1, 1], [2.5, 3, 90, 4.25], None]),
    ("on_no_detection", ["full", "error"]),
    ("refine_mask", ["auto", "on", "off"]),
    ("mask_mode", ["auto", "luminance", "alpha", "inverted"]),
    ("mask_dilation_px", [0, 15, 64]),
    ("mask_blur_px", [0, 21, 63]),
    ("mask_feather", ["in", "out"]),
    ("strength", [0.1, 0.5, 1, None]),
    ("blend", [0, 0.5, 1]),
    ("crop", ["auto", "off"]),
    ("crop_context", [1, 2.5, 8]),
    ("speed", ["normal", "fast", "turbo"]),
    ("quality", ["exact", "balanced", "draft"]),
    ("color_match", [True, False]),
    ("keep_parts", ["auto", "off"]),
    ("keep_surroundings", ["auto", "off"]),
    ("occlusion", ["auto", "off"]),
    ("sharpen", [True, False]),
    ("output_format", ["png", "jpeg", "webp"]),
    ("output_quality", [1, 50, 100, None]),
    ("return_mask", [True, False]),
    ("embed_metadata", [True, False]),
    ("oversize", ["refuse", "downscale"]),
    ("model", ["photo", "", None]),
    ("loras", [{"pixel-art": 0.8}, {}, None]),
]
REFUSED = [
    ("pipeline", ["", "fast", "SIMPLE", 1, None, True]),
    ("force_controlnet", ["true", 1, 0, None, []]),
    ("control_types", ["pose", ["no-such-control"], [1], {"pose": 1}, ["pose"] * 17]),
    ("num_inference_steps", [0, -1, 101, 1.5, 25.0, "25", True, None, NAN, 10**30]),
    ("guidance_scale", [0.99, -1, 20.01, "7.5", True, None, NAN, INFINITY, -INFINITY, 10**400]),
    ("guidance_rescale", [-0.01, 1.01, "0.5", True, None, NAN]),
    ("scheduler", ["euler", "", 1, None]),
    ("seed", [-2, 2**32, 1.0, "7", True, NAN]),
    ("ip_adapter_scale", [-0.01, 1.01, "0.5", True, None, NAN]),
    ("ip_adapter_start", [-0.01, 1.01, "0.5", True, None, NAN]),
    ("ip_adapter_end", [-0.01, 1.01, "0.5", True, None, NAN]),
    ("ip_adapter_mask", ["true", 1, None]),
    ("control_guidance_start", [-0.01, 1.01, "0.5", True, None, NAN]),
    ("control_guidance_end", [-0.01, 1.01, "0.5", True, None, NAN]),
    ("crop_context", [0.99, 8.01, "2", True, None, NAN]),
    ("model", [5, ["photo"], "x" * 65]),
    ("controlnet_conditioning_scale", [-0.01, 2.01, "1", False, None, INFINITY]),
    ("target", [5, ["rims"], "x" * 201]),
    ("points", [[1, 2], [[1]], [[1, 2, 1, 1]], [[-1, 2]], [["1", 2]], [[True, 2]], [[1, NAN]], [[1, INFINITY]]]),
    ("points", [[[1, 2, 2]], [[1, 2, 0.5]], [[1, 2]] * 33, {"x": 1, "y": 2}, "1,2"]),
    ("box", [[0, 0, 1], [0, 0, 1, 1, 1], [5, 5, 5, 9], [5, 9, 8, 9], [9, 0, 5, 5], [-1, 0, 5, 5], [], {"x0": 1}]),
    ("box", [[0, 0, NAN, 1], [0, 0, INFINITY, 1], ["0", 0, 1, 1], [False, 0, 1, 1]]),
    ("on_no_detection", ["ignore", None, True]),
    ("refine_mask", [True, "yes", None]),
    ("mask_mode", ["", "white", "openai", None, 1]),
    ("mask_dilation_px", [-1, 65, 1.5, "3", True, None]),
    ("mask_blur_px", [-1, 64, 2.0, "3", True, None]),
    ("mask_feather", ["inside", True, None]),
    ("strength", [0.09, 1.01, 0, "0.5", True, NAN]),
    ("blend", [-0.1, 1.1, "0.5", True, NAN, None]),
    ("crop", ["on", True, None]),
    ("speed", ["slow", None]),
    ("quality", ["best", None]),
    ("color_match", [1, "false", None]),
    ("keep_parts", ["on", False, None]),
    ("keep_surroundings", ["on", False, None]),
    ("occlusion", ["on", False, None]),
    ("sharpen", [1, "false", None]),
    ("output_format", ["gif", "PNG", None]),
    ("output_quality", [0, 101, "50", 50.5, True]),
    ("return_mask", [1, "true", None]),
    ("embed_metadata", [1, "true", None]),
    ("oversize", ["", "crop", True, None]),
    ("loras", [["pixel-art"], {"pixel-art": "1"}, {"": 1.0}, {"a": NAN}, {"a": 3}, {str(n): 1.0 for n in range(6)}]),
    ("unknown", [1, None]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in ACCEPTED for value in values])
def test_a_config_value_inside_the_table_is_accepted(field: str, value: object):
    GenerateConfig.model_validate({field: value})


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in REFUSED for value in values])
def test_a_config_value_outside_the_table_is_refused_by_its_name(field: str, value: object):
    with pytest.raises(ValidationError) as caught:
        request(config={field: value})
    assert all(error["loc"][:2] == ("config", field) for error in caught.value.errors())


def test_the_defaults_are_the_ones_of_the_table():
    defaults = GenerateConfig()
    assert defaults.model_dump(mode="json") == {
        "pipeline": "auto",
        "force_controlnet": False,
        "control_types": None,
        "num_inference_steps": 25,
        "guidance_scale": 7.5,
        "seed": None,
        "ip_adapter_scale": 0.6,
        "controlnet_conditioning_scale": 1.0,
        "target": None,
        "points": None,
        "box": None,
        "on_no_detection": "full",
        "refine_mask": "auto",
        "mask_mode": "auto",
        "mask_dilation_px": 15,
        "mask_blur_px": 21,
        "mask_feather": "in",
        "strength": None,
        "blend": 1.0,
        "crop": "auto",
        "speed": "normal",
        "quality": "exact",
        "color_match": True,
        "keep_parts": "auto",
        "keep_surroundings": "auto",
        "occlusion": "auto",
        "sharpen": False,
        "output_format": "png",
        "output_quality": None,
        "return_mask": False,
        "embed_metadata": False,
        "oversize": "refuse",
        "guidance_rescale": 0.0,
        "scheduler": "DPMSolverMultistep",
        "ip_adapter_start": 0.0,
        "ip_adapter_end": 1.0,
        "ip_adapter_mask": False,
        "control_guidance_start": 0.0,
        "control_guidance_end": 1.0,
        "crop_context": 2.0,
        "model": None,
        "loras": None,
    }


def test_the_table_has_exactly_the_options_that_are_defined():
    assert list(GenerateConfig.model_fields) == list(OPTIONS)
    assert {field for field, _ in ACCEPTED} == set(OPTIONS)


def test_what_may_be_null_and_is_counts_as_not_sent():
    assert options(control_types=None, seed=None, target=None, strength=None, loras=None) == EditOptions()


def test_what_was_not_sent_is_left_to_the_service():
    assert options() == EditOptions()


def test_every_sent_value_reaches_the_options():
    assert options(
        pipeline="complex",
        force_controlnet=True,
        control_types=["depth", "pose"],
        num_inference_steps=25,
        guidance_scale=7,
        seed=9,
        ip_adapter_scale=0.6,
        controlnet_conditioning_scale=1,
        target=" rims ",
        points=[[3, 4], [5.5, 6, 0]],
        box=[1, 2, 30, 40.5],
        on_no_detection="error",
        refine_mask="on",
        mask_mode="alpha",
        mask_dilation_px=3,
        mask_blur_px=4,
        strength=0.5,
        blend=0.6,
        crop="off",
        guidance_rescale=0.7,
        scheduler="UniPCMultistep",
        ip_adapter_start=0.1,
        ip_adapter_end=0.9,
        ip_adapter_mask=True,
        control_guidance_start=0.2,
        control_guidance_end=0.8,
        crop_context=3,
        model="photo",
        speed="fast",
        quality="balanced",
        color_match=False,
        sharpen=True,
        output_format="webp",
        output_quality=60,
        return_mask=True,
        embed_metadata=True,
        oversize="downscale",
        loras={"pixel-art": 0.5},
    ) == EditOptions(
        pipeline=PipelineChoice.COMPLEX,
        force_controlnet=True,
        control_types=("depth", "pose"),
        num_inference_steps=25,
        guidance_scale=7.0,
        seed=9,
        ip_adapter_scale=0.6,
        controlnet_conditioning_scale=1.0,
        target="rims",
        points=(Point(3.0, 4.0), Point(5.5, 6.0, 0)),
        box=Box(x0=1.0, y0=2.0, x1=30.0, y1=40.5),
        on_no_detection=OnNoDetection.ERROR,
        refine_mask=RefineMask.ON,
        mask_mode=MaskMode.ALPHA,
        mask_dilation_px=3,
        mask_blur_px=4,
        strength=0.5,
        blend=0.6,
        crop=Crop.OFF,
        guidance_rescale=0.7,
        scheduler=Scheduler.UNIPC,
        ip_adapter_start=0.1,
        ip_adapter_end=0.9,
        ip_adapter_mask=True,
        control_guidance_start=0.2,
        control_guidance_end=0.8,
        crop_context=3.0,
        model="photo",
        speed=Speed.FAST,
        quality=Quality.BALANCED,
        color_match=False,
        sharpen=True,
        output_format=OutputFormat.WEBP,
        output_quality=60,
        return_mask=True,
        embed_metadata=True,
        oversize=Oversize.DOWNSCALE,
        loras={"pixel-art": 0.5},
    )


def test_seed_minus_one_means_random():
    assert options(seed=-1).seed is None
    assert options(seed=0).seed == 0


def test_an_empty_list_of_control_types_counts_as_absent():
    assert options(control_types=[]) == options()


def test_a_repeated_control_type_counts_once():
    assert options(control_types=["depth", "pose", "depth"]).control_types == ("depth", "pose")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"points": [[1, 2]], "refine_mask": "off"}, "send a box beside them"),
        ({"points": [[1, 2, 0], [3, 4, 0]]}, "at least one of label 1"),
    ],
)
def test_points_that_cannot_be_segmented_are_refused_unless_there_is_a_box(config: dict, message: str):
    with pytest.raises(ValidationError, match=message) as caught:
        request(config=config)
    assert [error["loc"] for error in caught.value.errors()] == [("config",)]
    assert options(**config, box=[0, 0, 9, 9]).points


def test_no_points_count_as_absent():
    assert options(points=[], box=None, refine_mask="off") == options(refine_mask="off")


@pytest.mark.parametrize("value", [0, 9, -1, 1.0, "2", True, None])
def test_n_is_a_whole_number_from_one_to_eight(value: object):
    assert [request(n=n).n for n in (1, 8)] == [1, 8]
    with pytest.raises(ValidationError) as caught:
        request(n=value)
    assert caught.value.errors()[0]["loc"] == ("n",)


@pytest.mark.parametrize("value", ["", "JSON", "base64", 1, None])
def test_the_response_format_is_json_url_or_binary(value: object):
    assert [request(response_format=name).response_format for name in ("json", "url", "binary")] == list(ResponseFormat)
    with pytest.raises(ValidationError) as caught:
        request(response_format=value)
    assert caught.value.errors()[0]["loc"] == ("response_format",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"response_format": "binary", "n": 2}, "n must be 1"),
        ({"response_format": "binary", "config": {"return_mask": True}}, "config.return_mask must be false"),
        ({"n": 2, "config": {"seed": 2**32 - 1}}, "may be at most 4294967295"),
    ],
)
def test_what_cannot_be_delivered_is_refused_by_name(fields: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        request(**fields)


def test_the_last_seed_may_be_the_last_there_is():
    assert request(n=8, config={"seed": 2**32 - 8}).n == 8
    assert request(n=8, config={"seed": -1}).n == 8


def test_prompts_are_trimmed_and_limited_after_trimming():
    assert request(prompt="  blue car \n").prompt == "blue car"
    assert len(request(prompt=" " + "x" * 1000 + " ").prompt) == 1000
    assert request(negative_prompt=" blurry ").negative_prompt == "blurry"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("prompt", value) for value in ("", "   ", "\n\t")),
        *((field, value) for field in ("prompt", "negative_prompt") for value in ("x" * 1001, 5, ["blue"], {})),
    ],
)
def test_a_prompt_outside_the_table_is_refused(field: str, value: object):
    with pytest.raises(ValidationError) as caught:
        request(**{field: value})
    assert caught.value.errors()[0]["loc"] == (field,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_image", ""),
        *((f, v) for f in ("base_image", "reference_image", "mask_image") for v in (5, [], {"url": "x"})),
    ],
)
def test_a_image_must_be_text(field: str, value: object):
    with pytest.raises(ValidationError) as caught:
        request(**{field: value})
    assert caught.value.errors()[0]["loc"] == (field,)


@pytest.mark.parametrize("value", [5, "aGk=", ["aGk="] * 5, [None], [""], [{"url": "aGk="}]])
def test_references_are_up_to_four_images(value: object):
    assert request(reference_images=["aGk="] * 4).reference_images == ["aGk="] * 4
    with pytest.raises(ValidationError) as caught:
        request(reference_images=value)
    assert caught.value.errors()[0]["loc"][0] == "reference_images"


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({}, None),
        ({"weight": 0}, None),
        ({"weight": 0.5, "for": None}, None),
        ({"for": "  "}, None),
        ({"weight": 1, "for": " the sleeves "}, "the sleeves"),
        ({"for": "s" * 200}, "s" * 200),
        ({"for": {"mask_image": "bWE="}}, DrawnPart(mask_image="bWE=")),
    ],
)
def test_something_may_be_said_of_a_reference(said: dict, part: object):
    plain, one = request(reference_images=["aGk=", {"image": "aGk=", **said}]).reference_images
    assert (plain, one.image, one.weight, one.part) == ("aGk=", "aGk=", said.get("weight", 1.0), part)
    edit = request(prompt=None, edits=[{"prompt": "x", "reference_images": [{"image": "aGk=", **said}]}]).edits[0]
    assert edit.reference_images == [one]


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"weight": 1.1}, "weight"),
        ({"weight": -0.1}, "weight"),
        ({"weight": "1"}, "weight"),
        ({"weight": True}, "weight"),
        ({"weight": None}, "weight"),
        ({"weight": float("nan")}, "weight"),
        ({"image": ""}, "image"),
        ({"image": None}, "image"),
        ({"for": "s" * 201}, "for"),
        ({"for": "???"}, "for"),
        ({"for": 3}, "for"),
        ({"for": ["sleeves"]}, "for"),
        ({"for": {}}, "for.mask_image"),
        ({"for": {"mask_image": ""}}, "for.mask_image"),
        ({"for": {"mask_image": "bWE=", "words": "x"}}, "for.words"),
        ({"part": "sleeves"}, "part"),
        ({"scale": 0.5}, "scale"),
    ],
)
def test_what_is_wrong_with_a_reference_is_named_by_its_path(said: dict, path: str):
    with pytest.raises(ValidationError) as caught:
        request(reference_images=["aGk=", {"image": "aGk=", **said}])
    (error,) = caught.value.errors()
    assert error["loc"] == ("reference_images", 1, *path.split("."))


def test_references_that_nothing_is_said_of_have_the_digest_that_they_always_had():
    assert '"reference_images":["aGk="]' in request(reference_images=["aGk="]).model_dump_json(exclude_defaults=True)
    one, other = (
        request(reference_images=[{"image": "aGk=", "for": part}]).model_dump_json(exclude_defaults=True)
        for part in ("sleeves", {"mask_image": "bWE="})
    )
    assert one != other


def test_references_are_given_once():
    with pytest.raises(ValidationError, match="send one of them"):
        request(reference_image="aGk=", reference_images=["aGk="])
    assert request(reference_image="aGk=", reference_images=[]) == request(reference_image="aGk=")


@pytest.mark.parametrize("field", ["base_image", "prompt"])
def test_what_is_required_cannot_be_left_out_or_null(field: str):
    complete = {"base_image": "aGk=", "prompt": "blue car"}
    with pytest.raises(ValidationError):
        GenerateRequest.model_validate({k: v for k, v in complete.items() if k != field})
    with pytest.raises(ValidationError):
        request(**{field: None})


def test_what_is_optional_may_be_null():
    sent = request(reference_image=None, mask_image=None, negative_prompt=None, callback_url=None, session=None)
    assert sent == request()


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_what_is_optional_and_blank_counts_as_absent(blank: str):
    names = ("reference_image", "mask_image", "negative_prompt", "callback_url", "session")
    sent = request(**dict.fromkeys(names, blank), config={"target": blank})
    assert sent.model_dump() == request().model_dump()


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError) as caught:
        request(Prompt="blue car")
    assert [error["type"] for error in caught.value.errors()] == ["extra_forbidden"]


@pytest.mark.parametrize("value", ["ftp://example.com/x", "example.com", 5, "http://" + "x" * 9000])
def test_a_callback_must_be_an_http_url(value: object):
    with pytest.raises(ValidationError):
        request(callback_url=value)


def test_a_session_is_a_short_name_of_visible_characters():
    assert request(session=" photo-7:tab/2 ").session == "photo-7:tab/2"
    assert request(session="!" * 64).session == "!" * 64
    for value in ("!" * 65, "two words", "a\x00", "\u00e9", 5, ["a"]):
        with pytest.raises(ValidationError):
            request(session=value)


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_config_must_be_an_object(value: object):
    with pytest.raises(ValidationError):
        request(config=value)


@pytest.mark.parametrize("kind", ["ip_adapter", "control_guidance"])
@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.8, 0.2), (1, 1), (0, 0)])
def test_a_window_of_no_steps_is_refused_in_words(kind, start, end):
    with pytest.raises(ValidationError, match=f"{kind}_start must be below {kind}_end"):
        GenerateConfig.model_validate({f"{kind}_start": start, f"{kind}_end": end})
    GenerateConfig.model_validate({f"{kind}_start": 0.2, f"{kind}_end": 0.8})
