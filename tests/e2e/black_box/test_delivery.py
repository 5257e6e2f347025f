"""Where to repaint, how many images, and how they come: against a running service, from the outside."""

from __future__ import annotations

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.black_box.client import Client, Refused, check_envelope, pixels
from tests.e2e.images import b64, encoded, photo

QUICK = {"num_inference_steps": 2, "seed": 7}
BOX = [64, 80, 192, 160]


def posted(client: Client, **body) -> httpx.Response:
    answer = client.http.post("/api/v1/generate", json=body)
    if answer.status_code != 200:
        raise Refused(answer)
    return answer


def box_mask() -> np.ndarray:
    mask = np.zeros((256, 256), np.uint8)
    mask[80:160, 64:192] = 255
    return mask


def test_the_box_itself_is_repainted_and_nothing_else_and_analyze_shows_it(client: Client, edit):
    config = {"box": BOX, "refine_mask": "off", "mask_blur_px": 0, "return_mask": True}
    result = client.generate(**edit, config={**QUICK, **config})
    before, after = pixels(edit["base_image"]), pixels(result["image"])
    assert np.array_equal(pixels(result["mask"]), box_mask())
    changed = (before != after).any(axis=2)
    assert not changed[box_mask() == 0].any()
    assert changed[box_mask() > 0].mean() > 0.5
    assert not {"grounding-dino", "sam"} & set(result["models_used"])
    analysis = client.analyze(**edit, config=config)
    assert np.array_equal(pixels(analysis["mask"]), box_mask())
    for answer in (result, analysis):
        routing = answer["metadata"]["routing"]
        assert (routing["target"], routing["region_from"]) == (None, "box")


def test_a_box_with_points_is_segmented_by_sam(client: Client, edit):
    config = {"box": BOX, "points": [[128, 120], [5, 5, 0]]}
    result = client.analyze(**edit, config=config)
    assert result["models_used"].count("sam") == 1
    assert "grounding-dino" not in result["models_used"]
    assert pixels(result["mask"]).any()
    assert result["metadata"]["routing"]["region_from"] == "points and box"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"points": [[256, 5]]}, "config.points.0"),
        ({"box": [0, 0, 257, 256]}, "config.box"),
        ({"points": [[5, 5]], "refine_mask": "off"}, "config"),
        ({"points": [[5, 5, 0]]}, "config"),
    ],
)
def test_what_cannot_be_pointed_at_is_a_400_that_names_it(client: Client, edit, config, named):
    with pytest.raises(Refused, match=named) as caught:
        client.analyze(**edit, config=config)
    assert caught.value.status == 400


def test_candidates_are_the_images_of_their_seeds_in_one_answer_or_by_url(client: Client, edit):
    alone = [pixels(client.generate(**edit, config={**QUICK, "seed": seed})["image"]) for seed in (7, 8)]
    together = client.generate(**edit, n=2, config=QUICK)
    assert together["metadata"]["seeds"] == [7, 8]
    assert together["images"][0] == together["image"]
    linked = posted(client, **edit, n=2, response_format="url", config=QUICK).json()["result"]
    assert "image" not in linked
    by_url = [client.http.get(url).content for url in linked["image_urls"]]
    for candidates in (together["images"], by_url):
        for candidate, single in zip(candidates, alone, strict=True):
            assert np.abs(pixels(candidate).astype(int) - single).mean() < 1
    assert not np.array_equal(alone[0], alone[1])


def test_a_background_job_of_candidates_has_each_by_its_index_and_no_more(client: Client, edit):
    job_id = client.submit(**edit, n=2, config=QUICK)
    result = client.wait(job_id)["result"]
    image = f"/api/v1/jobs/{job_id}/image"
    files = [client.http.get(image, params={"index": index}).content for index in range(2)]
    assert [np.array_equal(pixels(a), pixels(b)) for a, b in zip(files, result["images"], strict=True)] == [True, True]
    assert client.image(job_id).content == files[0]
    beyond = client.http.get(image, params={"index": 2})
    assert beyond.status_code == 404
    check_envelope(beyond)


def test_a_binary_answer_is_the_file_itself(client: Client, edit):
    answer = posted(client, **edit, response_format="binary", config={**QUICK, "output_format": "webp"})
    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).format == "WEBP"
    assert (answer.headers["x-seed"], answer.headers["x-pipeline"]) == ("7", "complex")
    assert int(answer.headers["x-warnings"]) >= 0
    plain = client.generate(**edit, config=QUICK)["image"]
    assert np.array_equal(pixels(answer.content), pixels(plain))


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": "binary", "n": 2},
        {"response_format": "binary", "config": {"return_mask": True}},
        {"n": 9},
        {"n": 2, "config": {"seed": 2**32 - 1}},
    ],
)
def test_what_cannot_be_delivered_is_a_400(client: Client, edit, body):
    with pytest.raises(Refused) as caught:
        client.generate(**edit, **body)
    assert caught.value.status == 400


def test_a_photo_above_the_limit_is_edited_reduced_on_request(client: Client, edit):
    large = {**edit, "base_image": b64(encoded(photo(1000, 2500), "jpeg"))}
    with pytest.raises(Refused) as caught:
        client.analyze(**large)
    assert caught.value.status == 413
    result = posted(client, **large, config={**QUICK, "oversize": "downscale", "box": [1000, 200, 1500, 800]}).json()
    metadata = result["result"]["metadata"]
    assert (metadata["input_resolution"], metadata["output_resolution"]) == ("2500x1000", "2048x819")
    assert pixels(result["result"]["image"]).shape == (819, 2048, 3)
    assert any("reduced to 2048x819" in warning for warning in metadata["warnings"])


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_a_file_says_that_a_model_made_a_part_of_it_only_where_that_is_asked_for(client: Client, edit, output_format):
    said = b"compositeWithTrainedAlgorithmicMedia"
    config = {**QUICK, "output_format": output_format}
    told = posted(client, **edit, response_format="binary", config={**config, "embed_metadata": True}).content
    plain = posted(client, **edit, response_format="binary", config=config).content
    assert said in Image.open(io.BytesIO(told)).info["xmp"]
    assert said not in plain
    assert np.array_equal(pixels(told), pixels(plain))
