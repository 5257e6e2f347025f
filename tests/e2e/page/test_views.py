"""Several photographs of one thing on the page: one sentence for all of them, and the results side by side."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from demo_models.world.edits import RECOLOUR
from demo_models.world.views import sample_views
from tests.e2e.page.conftest import SEED, WAIT_MS
from tests.e2e.page.test_editing import drag
from tests.e2e.page.test_for_everybody import PHONE

SCENE = sample_views(4_310_005, RECOLOUR, 3)
"""A car that becomes purple, which the models can do."""
STEPS = "4"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("views")
    paths = [folder / f"side-{number}.png" for number in range(1, 4)]
    for path, pair in zip(paths, SCENE.pairs, strict=True):
        Image.fromarray(pair.before.image).save(path)
    return paths


def choose(visit, paths):
    """Choose files where there is no photo yet."""
    visit.page.get_by_label("Choose a photo").set_input_files(paths)


def add(visit, paths):
    visit.page.get_by_label("More photos of this thing").or_(visit.page.get_by_label("Add photos")).set_input_files(
        paths
    )


def photographs(visit):
    return visit.page.get_by_role("list", name="Photographs", exact=True).get_by_role("listitem")


def edited(visit):
    return visit.page.get_by_role("list", name="Edited photographs").get_by_role("listitem")


def ask(visit):
    """Say what shall change, with a seed and few steps."""
    visit.page.locator("#sentence").fill(SCENE.prompt)
    visit.decided()
    visit.set_number("Seed", str(SEED))
    visit.set_number("Num inference steps", STEPS)


def edit(visit):
    visit.page.get_by_role("button", name="Edit the photos").click()
    visit.page.get_by_text("3 photographs ·").wait_for(timeout=WAIT_MS)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_three_photographs_get_one_edit_and_come_back_side_by_side(visit, files):
    choose(visit, files)
    photographs(visit).nth(2).wait_for()
    assert [item.inner_text().split() for item in photographs(visit).all()] == [
        ["Photograph", str(number), f"side-{number}.png"] for number in (1, 2, 3)
    ]
    ask(visit)
    looked = visit.bodies("analyze")[-1]
    assert looked.keys() == {"base_image", "prompt", "config"} or looked.keys() == {"base_image", "prompt"}
    assert visit.serious() == []
    edit(visit)
    (sent,) = visit.bodies("views/async")
    assert sent.keys() == {"base_images", "prompt", "config"}
    assert sent["base_images"][0] == looked["base_image"]
    assert len(set(sent["base_images"])) == 3
    assert (sent["prompt"], sent["config"]) == (SCENE.prompt, {"seed": SEED, "num_inference_steps": int(STEPS)})
    assert visit.bodies("generate/async") == []
    assert edited(visit).count() == 3
    assert visit.serious() == []
    (job,) = [one for one in httpx.get(f"{visit.url}/api/v1/jobs").json()["jobs"] if one["prompt"] == SCENE.prompt][:1]
    for number, pair in enumerate(SCENE.pairs):
        edited(visit).nth(number).get_by_role("button").click()
        with visit.page.expect_download() as download:
            visit.page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename.endswith(f"-{SEED}-{number + 1}.png")
        after = pixels(Path(download.value.path()).read_bytes())
        fetched = httpx.get(f"{visit.url}/api/v1/jobs/{job['job_id']}/image", params={"index": number})
        assert np.array_equal(after, pixels(fetched.content))
        differs = np.abs(pair.before.image.astype(int) - after).max(axis=2) > 0
        assert differs[pair.region > 200].mean() > 0.2, "the thing was painted"
        assert differs[:40].mean() < 0.01, "the sky stays as it was"
        assert visit.page.get_by_role("img", name="Before the edit").evaluate("(one) => one.naturalWidth") == 256
        visit.page.get_by_role("button", name="All photographs").click()
    after = edited(visit).nth(1).locator("img").get_attribute("src")
    visit.page.get_by_role("button", name="Before", exact=True).click()
    assert edited(visit).nth(1).locator("img").get_attribute("src") != after
    assert "before" in edited(visit).nth(1).inner_text()


def test_more_are_added_to_one_and_taken_away_again_and_nothing_of_a_single_photo_is_sent(visit, files):
    choose(visit, files[:1])
    visit.page.locator("#sentence").fill(SCENE.prompt)
    visit.decided()
    visit.page.get_by_role("button", name="Clear the mask").click()
    drag(visit, (0.2, 0.2), (0.5, 0.2))
    visit.decided()
    assert "mask_image" in visit.bodies("analyze")[-1]
    visit.page.get_by_role("radio", name="4").check()
    add(visit, files[1:2])
    photographs(visit).nth(1).wait_for()
    assert visit.page.get_by_role("group", name="Candidates").count() == 0
    assert visit.page.get_by_role("button", name="Another edit of this photo").count() == 0
    add(visit, files[2:])
    photographs(visit).nth(2).wait_for()
    visit.page.get_by_role("button", name="Remove photograph 1").click()
    visit.page.get_by_text("2 photographs of one thing").wait_for()
    ask(visit)
    visit.set_number("Num inference steps", "100")
    with visit.page.expect_response("**/views/async"):
        visit.page.get_by_role("button", name="Edit the photos").click()
    visit.page.get_by_role("button", name="Cancel").click()
    visit.page.get_by_text("The photos and everything you set").wait_for()
    (sent,) = visit.bodies("views/async")
    assert (sent.keys(), len(sent["base_images"])) == ({"base_images", "prompt", "config"}, 2)
    visit.page.get_by_role("button", name="Back to the photos").click()
    visit.page.get_by_role("button", name="Remove photograph 2").click()
    visit.page.get_by_role("button", name="Edit the photo", exact=True).wait_for()
    assert visit.page.get_by_role("application").count() == 1


def test_a_reload_and_the_history_know_all_photographs(visit, files):
    choose(visit, files)
    ask(visit)
    edit(visit)
    visit.page.reload()
    photographs(visit).nth(2).wait_for()
    visit.page.locator(".history .entry").filter(has_text=SCENE.prompt).first.click()
    edited(visit).nth(2).wait_for()
    visit.page.get_by_role("button", name="Back to the photos").click()
    visit.page.get_by_role("button", name="Edit the photos").click()
    edited(visit).nth(2).wait_for()
    first, second = visit.bodies("views/async")
    assert first == second


def test_too_many_are_said_and_the_service_s_refusal_is_shown(visit, files):
    choose(visit, files * 3)
    visit.page.get_by_role("alert").get_by_text("No more than 8 photographs are edited together").wait_for()
    assert photographs(visit).count() == 8
    assert visit.page.get_by_label("Add photos").count() == 0
    visit.page.locator("#sentence").fill("replace the zebra with a giraffe")
    visit.page.get_by_role("button", name="Edit the photos").click()
    visit.page.get_by_role("alert").get_by_text("Nothing found to change").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_does_not_scroll_sideways_and_axe_finds_nothing_serious(visits, demo_url, files, scheme):
    visit = visits(demo_url, color_scheme=scheme, reduced_motion="reduce", **PHONE)
    visit.open()
    choose(visit, files)
    ask(visit)
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert visit.serious() == []
    edit(visit)
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert visit.serious() == []
