"""Every row of the request table against a running service, from the outside."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.e2e.black_box.client import Client, Refused, check_envelope, pixels
from tests.e2e.images import b64, corner_mask, decoded, encoded, photo

QUICK = {"num_inference_steps": 2, "seed": 7}
SIDE = 256
ROWS = {
    "pipeline": (["auto", "simple", "complex"], ["fast", "", 1]),
    "force_controlnet": ([True, False], ["true", 1]),
    "control_types": ([["pose"], ["depth"], ["pose", "depth"], ["canny"], []], ["pose", ["no-such-control"], [1]]),
    "num_inference_steps": ([1, 100], [0, -1, 101, 1.5, "25", True]),
    "guidance_scale": ([1, 20.0], [0.5, -1, 20.5, "7.5", True]),
    "guidance_rescale": ([0, 1], [-0.1, 1.1, "0.5"]),
    "scheduler": (["DPMSolverMultistep", "DPMSolverMultistepKarras", "UniPCMultistep"], ["euler", 1]),
    "seed": ([-1, 0, 2**32 - 1], [-2, 2**32, 1.5, "7"]),
    "ip_adapter_scale": ([0, 1], [-0.1, 1.1, "0.5"]),
    "ip_adapter_start": ([0, 0.5], [-0.1, 1.1, "0.5"]),
    "ip_adapter_end": ([0.5, 1], [-0.1, 1.1, "0.5"]),
    "ip_adapter_mask": ([True, False], ["true", 1]),
    "controlnet_conditioning_scale": ([0, 2], [-0.1, 2.1, "1"]),
    "control_guidance_start": ([0, 0.5], [-0.1, 1.1, "0.5"]),
    "control_guidance_end": ([0.5, 1], [-0.1, 1.1, "0.5"]),
    "target": (["the hat", ""], [5]),
    "points": ([[]], [[1, 2], [[1]], [[1, 2, 3]], [[-1, 2]], [["1", 2]]]),
    "box": ([[64, 64, 192, 192], [0.5, 0.5, 256, 256]], [[1, 2, 3], [9, 9, 9, 20], [-1, 0, 5, 5]]),
    "on_no_detection": (["full"], ["ignore", True]),
    "refine_mask": (["auto", "on", "off"], [True, "yes"]),
    "mask_mode": (["auto", "luminance", "alpha", "inverted"], ["", "white", True]),
    "mask_dilation_px": ([0, 64], [-1, 65, 1.5, "3"]),
    "mask_blur_px": ([0, 63], [-1, 64, 1.5, "3"]),
    "mask_feather": (["in", "out"], ["inside", True]),
    "strength": ([0.1, 1], [0.05, 1.1, "1"]),
    "crop": (["auto", "off"], ["on", True]),
    "crop_context": ([1, 8], [0.9, 8.1, "2"]),
    "speed": (["normal", "fast", "turbo"], ["slow", 1]),
    "quality": (["exact", "draft"], ["best", 1]),
    "color_match": ([True, False], ["false", 1]),
    "keep_parts": (["auto", "off"], ["on", False]),
    "keep_surroundings": (["auto", "off"], ["on", False]),
    "occlusion": (["auto", "off"], ["on", False]),
    "sharpen": ([True, False], ["true", 0]),
    "output_format": (["png", "jpeg", "webp"], ["gif", "PNG"]),
    "return_mask": ([True, False], ["true", 1]),
    "embed_metadata": ([True, False], ["true", 1]),
    "oversize": (["refuse", "downscale"], ["crop", True]),
    "model": ([""], [5, "x" * 65]),
    "loras": ([{}], [["style"], "style", {"style": "1"}]),
}
ACCEPTED = [(field, value) for field, (accepted, _) in ROWS.items() for value in accepted]
REFUSED = [(field, value) for field, (_, refused) in ROWS.items() for value in refused]


@pytest.mark.parametrize(("field", "value"), ACCEPTED, ids=str)
def test_a_config_value_inside_the_table_is_taken_or_not_available_yet(client: Client, edit, field, value):
    answer = client.http.post("/api/v1/analyze", json={**edit, "config": {field: value}})
    if answer.status_code != 200:
        assert Refused(answer).is_not_available_yet, answer.text


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=str)
def test_a_config_value_outside_the_table_is_a_400_that_names_it(client: Client, edit, field, value):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, config={field: value})
    assert caught.value.status == 400
    assert any(f"config.{field}" in item["field"] for item in caught.value.details["fields"])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["guidance_scale", "strength", "ip_adapter_scale"])
def test_what_is_not_a_finite_number_is_a_400(client: Client, edit, field, value):
    body = f'{{"base_image": "{edit["base_image"]}", "prompt": "x", "config": {{"{field}": {value}}}}}'
    answer = client.http.post("/api/v1/generate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    check_envelope(answer)


@pytest.mark.parametrize("kind", ["png", "jpeg", "jpeg-rotated", "webp", "rgba"])
@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_a_base_image_of_any_kind_comes_back_in_its_size(client: Client, edit, kind, prefix):
    data = encoded(photo(256, 300), kind)
    height, width = decoded(data).shape[:2]
    body = {**edit, "base_image": prefix + b64(data), "config": QUICK}
    assert client.generate(**body)["metadata"]["input_resolution"] == f"{width}x{height}"


def test_a_reference_image_is_used(client: Client, edit):
    reference = b64(encoded(photo(200, 150), "jpeg"))
    result = client.generate(**edit, reference_image=reference, config=QUICK)
    assert "ip-adapter" in result["models_used"]
    assert "ip-adapter" not in client.generate(**edit, config=QUICK)["models_used"]


SAID = {"image": b64(encoded(photo(200, 150), "jpeg"))}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"weight": 0.5},
        {"weight": 0},
        {"for": "hat"},
        {"for": {"mask_image": b64(corner_mask(SIDE, SIDE))}},
    ],
    ids=str,
)
def test_something_may_be_said_of_a_reference(client: Client, edit, said):
    config = {**QUICK, "refine_mask": "off"}
    result = client.generate(**edit, reference_images=[SAID, {**SAID, **said}], config=config)
    assert "ip-adapter" in result["models_used"]
    acting = [number for one in result["metadata"]["edits"][0]["references"] for number in one["images"]]
    warned = [text for text in result["metadata"]["warnings"] if "reference" in text]
    assert (0 in acting) != any("reference_images.0" in text for text in warned)
    assert (1 in acting) != any("reference_images.1" in text for text in warned)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"weight": 1.1}, "weight"),
        ({"weight": "1"}, "weight"),
        ({"for": 3}, "for"),
        ({"for": {}}, "for.mask_image"),
        ({"part": "x"}, "part"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_reference_is_a_400_that_names_it(client: Client, edit, said, path):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, reference_images=[{**SAID, **said}])
    assert caught.value.status == 400
    assert [item["field"] for item in caught.value.details["fields"]] == [f"reference_images.0.{path}"]


def test_a_mask_overrides_detection_and_keeps_the_rest_bit_for_bit(client: Client, edit):
    before = pixels(edit["base_image"])
    mask = corner_mask(SIDE, SIDE)
    result = client.generate(**edit, mask_image=b64(mask), config={**QUICK, "return_mask": True})
    after, painted = pixels(result["image"]), pixels(result["mask"])
    assert painted.shape == before.shape[:2]
    assert np.array_equal(after[painted == 0], before[painted == 0])
    assert not np.array_equal(after[painted == 255], before[painted == 255])
    assert (painted[pixels(mask) == 255] > 0).all()
    assert "grounding-dino" not in result["models_used"]


@pytest.mark.parametrize("call", ["generate", "analyze"])
def test_a_photograph_with_a_transparent_hole_is_repainted_in_the_hole_and_says_so(client: Client, edit, call):
    hole = np.zeros((SIDE, SIDE), np.uint8)
    hole[100:160, 120:200] = 255
    mask = encoded(Image.fromarray(np.dstack([photo(SIDE, SIDE), 255 - hole])), "png")
    config = {**QUICK, "return_mask": True} if call == "generate" else {}
    result = getattr(client, call)(**edit, mask_image=b64(mask), config={**config, "mask_blur_px": 0})
    painted = pixels(result["mask"])
    assert (painted[hole == 255] == 255).all()
    assert not painted[:50].any()
    assert any("the transparent part, 7 % of the image, is repainted" in w for w in result["metadata"]["warnings"])


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (corner_mask(SIDE, SIDE + 1), "UNPROCESSABLE_IMAGE"),
        (encoded(Image.new("L", (SIDE, SIDE), 0), "png"), "EMPTY_MASK"),
        (b"no image", "UNPROCESSABLE_IMAGE"),
    ],
    ids=["another size", "all black", "no image"],
)
def test_a_mask_that_cannot_be_used_is_a_422(client: Client, edit, mask, code):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, mask_image=b64(mask))
    assert (caught.value.status, caught.value.code) == (422, code)


@pytest.mark.parametrize(
    ("field", "value"),
    [("prompt", ""), ("prompt", " \n "), *((f, v) for f in ("prompt", "negative_prompt") for v in ("x" * 1001, 5))],
)
def test_a_prompt_outside_the_table_is_a_400(client: Client, edit, field, value):
    with pytest.raises(Refused) as caught:
        client.generate(**{**edit, field: value})
    assert caught.value.status == 400


def test_prompts_at_the_limit_are_taken(client: Client, edit):
    client.analyze(**{**edit, "prompt": " " + "x" * 1000 + " ", "negative_prompt": "y" * 1000})


@pytest.mark.parametrize("missing", ["base_image", "prompt"])
def test_what_is_required_is_required(client: Client, edit, missing):
    with pytest.raises(Refused) as caught:
        client.generate(**{name: value for name, value in edit.items() if name != missing})
    assert (caught.value.status, caught.value.code) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("body", [{"surprise": 1}, {"config": {"surprise": 1}}])
def test_an_unknown_key_is_a_400(client: Client, edit, body):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, **body)
    assert caught.value.status == 400


def test_a_callback_is_only_for_async(client: Client, edit):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, callback_url="https://example.com/hook")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("types", "models"),
    [
        (["pose"], {"controlnet-pose"}),
        (["depth"], {"controlnet-depth"}),
        (["pose", "depth"], {"controlnet-pose", "controlnet-depth"}),
        (["canny", "tile"], {"controlnet-canny", "controlnet-tile"}),
    ],
)
def test_forced_control_types_run_and_no_others(client: Client, edit, types, models):
    result = client.generate(**edit, config={**QUICK, "force_controlnet": True, "control_types": types})
    assert result["pipeline_used"] == "complex"
    assert result["metadata"]["routing"]["rule"] == "forced"
    assert {name for name in result["models_used"] if name.startswith("controlnet")} == models


def test_forcing_wins_over_a_simple_pipeline_with_a_warning(client: Client, edit):
    config = {**QUICK, "force_controlnet": True, "pipeline": "simple"}
    result = client.generate(**edit, config=config)
    assert (result["pipeline_used"], result["metadata"]["routing"]["rule"]) == ("complex", "forced")
    assert result["metadata"]["warnings"]


@pytest.mark.parametrize("pipeline", ["simple", "complex"])
def test_a_requested_pipeline_runs(client: Client, edit, pipeline):
    result = client.generate(**edit, config={**QUICK, "pipeline": pipeline})
    assert (result["pipeline_used"], result["metadata"]["routing"]["rule"]) == (pipeline, "requested")


def test_the_same_seed_gives_the_same_image_and_another_does_not(client: Client, edit):
    first, again, other = (client.generate(**edit, config={**QUICK, "seed": seed}) for seed in (7, 7, 8))
    assert first["image"] == again["image"]
    assert first["image"] != other["image"]
    assert (first["metadata"]["seed_used"], other["metadata"]["seed_used"]) == (7, 8)


def test_a_random_seed_is_told_and_gives_the_image_again(client: Client, edit):
    random = client.generate(**edit, config={**QUICK, "seed": -1})
    seed = random["metadata"]["seed_used"]
    assert 0 <= seed <= 2**32 - 1
    assert client.generate(**edit, config={**QUICK, "seed": seed})["image"] == random["image"]


def test_a_given_target_is_what_is_looked_for(client: Client, edit):
    result = client.analyze(**edit, config={"target": "the left shoe"})
    assert "shoe" in result["metadata"]["routing"]["target"]["phrase"]


def test_nothing_found_is_the_whole_image_or_a_422_as_asked(client: Client, edit):
    looking_for = {"target": "xylophone", "refine_mask": "off"}
    found = client.analyze(**edit, config=looking_for)["metadata"]["detections"]
    if found:
        client.analyze(**edit, config={**looking_for, "on_no_detection": "error"})
        return
    assert client.analyze(**edit, config=looking_for)["metadata"]["warnings"]
    with pytest.raises(Refused) as caught:
        client.analyze(**edit, config={**looking_for, "on_no_detection": "error"})
    assert (caught.value.status, caught.value.code) == (422, "NO_DETECTION")


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_the_image_comes_in_the_format_that_was_asked_for(client: Client, edit, output_format):
    job_id = client.submit(**edit, config={**QUICK, "output_format": output_format})
    assert client.wait(job_id)["status"] == "completed"
    answer = client.image(job_id)
    assert answer.headers["content-type"] == f"image/{output_format}"
    assert Image.open(io.BytesIO(answer.content)).format == output_format.upper()


def test_the_mask_is_there_only_when_it_was_asked_for(client: Client, edit):
    with_mask = client.generate(**edit, config={**QUICK, "return_mask": True})
    assert pixels(with_mask["mask"]).shape == (SIDE, SIDE)
    assert with_mask["mask"] is not None
    assert client.generate(**edit, config=QUICK).get("mask") is None


def test_no_blur_and_no_dilation_keep_a_users_mask_as_it_is(client: Client, edit):
    mask = corner_mask(SIDE, SIDE)
    config = {**QUICK, "mask_dilation_px": 0, "mask_blur_px": 0, "return_mask": True}
    result = client.generate(**edit, mask_image=b64(mask), config=config)
    assert np.array_equal(pixels(result["mask"]), pixels(mask))


def test_a_lora_that_is_not_on_the_list_is_a_400(client: Client, edit):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, config={**QUICK, "loras": {"nobody-knows-it": 1.0}})
    assert caught.value.status == 400


def test_content_type_must_say_json(client: Client):
    answer = client.http.post("/api/v1/generate", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    check_envelope(answer)
