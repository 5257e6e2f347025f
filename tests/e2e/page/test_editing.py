"""What people do on the page, from the photo to the result; every answer is the real service's."""

from __future__ import annotations

import base64
import io
import re

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.demo_cases import world_cases
from tests.e2e.images import encoded, photo
from tests.e2e.page.conftest import SEED, WAIT_MS

CASES = {case.name.partition(" ")[2].capitalize(): case for case in world_cases()}
RULES = {
    "Virtual try-on": "try_on",
    "Rim replacement": "structural_object",
    "Colour change": "appearance",
    "Texture transfer": "appearance",
}


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def grey(data_url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2]))).convert("L"))


def changed(before, after):
    """The share of pixels that differ."""
    return (np.abs(before.astype(int) - after).max(axis=2) > 0).mean()


def upload(visit, image, name="photo.png", kind="image/png"):
    file = {"name": name, "mimeType": kind, "buffer": image}
    visit.page.get_by_label("Choose a photo").set_input_files(file)


def drag(visit, *points):
    """Draw over the photo; points are shares of its width and height."""
    area = visit.page.locator(".surface").bounding_box()
    places = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in points]
    visit.page.mouse.move(*places[0])
    visit.page.mouse.down()
    for place in places[1:]:
        visit.page.mouse.move(*place, steps=6)
    visit.page.mouse.up()


@pytest.mark.parametrize("title", RULES)
def test_each_example_is_decided_live_and_edited(visit, title):
    case = CASES[title]
    visit.take(title)
    assert visit.page.locator(".decision .rule").inner_text() == RULES[title]
    analyzed = visit.bodies("analyze")[-1]
    assert analyzed["prompt"] == case.prompt
    assert ("reference_image" in analyzed) is (case.reference is not None)
    assert visit.page.locator(".frame.found").count() >= 1
    visit.edit()
    after = pixels(visit.result())
    assert after.shape == case.base.shape
    assert 0.01 < changed(case.base, after) < 0.6
    assert visit.page.get_by_role("status").filter(has_text="Done in").count() == 1


def test_a_mask_drawn_with_the_mouse_is_what_changes_and_nothing_else(visit):
    case = CASES["Colour change"]
    visit.take("Colour change")
    visit.page.get_by_role("button", name="Clear the mask").click()
    drag(visit, (0.2, 0.2), (0.5, 0.2))
    visit.decided()
    assert visit.page.get_by_text("your mask").is_visible()
    visit.edit()
    after = pixels(visit.result())
    body = visit.bodies("generate/async")[-1]
    mask = grey(body["mask_image"])
    assert body["config"]["mask_mode"] == "luminance"
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[51, 60:120] == 255).all()
    assert (mask[:35] == 0).all()
    assert (mask[70:] == 0).all()
    differs = np.abs(case.base.astype(int) - after).max(axis=2) > 0
    assert not differs[mask == 0].any()
    assert differs[mask == 255].mean() > 0.1, "plain sky may be painted as it was, but not all of it"


def test_a_found_mask_is_corrected_and_the_correction_taken_back(visit):
    visit.take("Colour change")
    visit.page.get_by_role("radio", name="Eraser").check()
    drag(visit, (0.05, 0.85), (0.95, 0.85))
    visit.decided()
    erased = grey(visit.bodies("analyze")[-1]["mask_image"])
    assert (erased[217] == 0).all()
    assert erased[190, 110:150].mean() > 200, "the rest of what was found is still there"
    visit.page.get_by_role("radio", name="Brush").check()
    drag(visit, (0.1, 0.1), (0.3, 0.1))
    visit.decided()
    painted = grey(visit.bodies("analyze")[-1]["mask_image"])
    assert (painted[26, 30:70] == 255).all()
    visit.page.get_by_role("button", name="Undo").click()
    visit.page.wait_for_function("document.querySelector('button[aria-label=Redo]').disabled === false")
    visit.page.get_by_role("button", name="Undo").click()
    assert visit.page.get_by_role("button", name="Undo").is_disabled()
    visit.decided()
    visit.page.locator(".frame.found").first.wait_for()
    assert "mask_image" not in visit.bodies("analyze")[-1]
    visit.page.get_by_role("button", name="Redo").click()
    visit.page.get_by_role("button", name="Redo").click()
    visit.decided()
    assert np.array_equal(grey(visit.bodies("analyze")[-1]["mask_image"]), painted)


def test_an_empty_mask_is_no_edit_and_says_what_to_do(visit):
    visit.take("Colour change")
    visit.page.get_by_role("button", name="Clear the mask").click()
    alert = visit.page.get_by_role("alert")
    alert.get_by_text("paint what should change").wait_for()
    visit.edit()
    assert visit.bodies("generate/async") == []
    visit.page.get_by_role("button", name="Find it automatically").click()
    visit.page.locator(".frame.found").first.wait_for()


def test_a_box_is_outlined_by_sam_and_the_click_that_these_models_cannot_use_becomes_one(visit):
    visit.take("Colour change")
    visit.page.get_by_role("radio", name="Click").check()
    drag(visit, (0.5, 0.75))
    visit.page.get_by_role("alert").get_by_text("good with boxes only").wait_for()
    assert visit.bodies("analyze")[-1]["config"]["points"] == [[128, 192]]
    visit.page.get_by_role("button", name="Draw a box instead").click()
    assert visit.page.get_by_role("radio", name="Box").is_checked()
    drag(visit, (0.05, 0.5), (0.95, 0.9))
    visit.decided()
    visit.page.locator(".frame.selection").wait_for()
    config = visit.bodies("analyze")[-1]["config"]
    assert config.keys() == {"seed", "box"}
    assert config["box"] == pytest.approx([12, 128, 244, 231], abs=2)
    assert visit.page.get_by_text("what you pointed at").is_visible()


def test_candidates_come_side_by_side_with_seeds_that_follow_one_another(visit):
    visit.take("Colour change")
    visit.set_number("Seed", "40")
    visit.set_number("Num inference steps", "15")
    visit.page.get_by_role("radio", name="3").check()
    visit.edit()
    tiles = visit.page.locator(".candidates button")
    for place in (0, 1, 2):
        tiles.nth(place).get_by_text(re.compile(r"Painting \d+ %")).wait_for(timeout=WAIT_MS)
    stage = visit.page.locator(".stage").bounding_box()
    for tile in tiles.all():
        box = tile.bounding_box()
        assert stage["y"] <= box["y"]
        assert box["y"] + box["height"] <= stage["y"] + stage["height"]
    tiles.nth(2).get_by_text("seed 42").wait_for(timeout=WAIT_MS)
    tiles.nth(1).get_by_text("seed 41").wait_for(timeout=WAIT_MS)
    tiles.nth(0).get_by_text("seed 40").wait_for(timeout=WAIT_MS)
    assert visit.serious() == []
    tiles.nth(1).click()
    second = pixels(visit.result())
    visit.page.get_by_role("button", name="All candidates").click()
    tiles.nth(0).click()
    assert changed(pixels(visit.result()), second) > 0.01


def test_an_edit_is_cancelled(visit):
    visit.take("Colour change")
    visit.set_number("Num inference steps", "100")
    visit.edit()
    visit.page.get_by_role("status").get_by_text("Painting").wait_for()
    visit.page.get_by_role("button", name="Cancel").click()
    visit.page.get_by_text("Cancelled. The photo").wait_for()
    (job,) = [
        job for job in httpx.get(f"{visit.url}/api/v1/jobs", timeout=600).json()["jobs"] if job["kind"] == "edit"
    ][:1]
    assert job["status"] == "cancelled"


def test_a_reload_while_a_job_runs_keeps_job_and_draft(visit):
    visit.take("Rim replacement")
    visit.set_number("Num inference steps", "30")
    visit.edit()
    visit.page.get_by_role("status").get_by_text("Painting").wait_for()
    visit.page.reload()
    visit.page.get_by_role("progressbar", name="Progress of the edit").wait_for()
    assert visit.page.get_by_label("What should change?").input_value() == "car with these sport rims"
    assert visit.page.get_by_alt_text("The reference").is_visible()
    assert changed(CASES["Rim replacement"].base, pixels(visit.result())) > 0.01
    assert len(visit.bodies("generate/async")) == 1


def test_a_result_is_edited_further_and_an_earlier_edit_taken_up_again(visit):
    visit.take("Colour change")
    visit.set_number("Num inference steps", "4")
    visit.edit()
    first = visit.result()
    visit.page.get_by_role("button", name="Use as photo").click()
    visit.page.get_by_label("What should change?").fill("green car")
    visit.decided()
    sent = visit.bodies("analyze")[-1]
    assert base64.b64decode(sent["base_image"].partition(",")[2]) == first
    visit.page.locator(".history .entry").filter(has_not_text="elsewhere").click()
    visit.page.get_by_role("button", name="Edit this again").click()
    assert visit.page.get_by_label("What should change?").input_value() == "blue car"
    visit.edit()
    visit.result()
    before, after = visit.bodies("generate/async")
    assert after["base_image"] == before["base_image"]


def test_a_paste_and_a_drop_bring_photo_and_reference(visit):
    give = """([data, kind, place]) => {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "given.png", { type: "image/png" }));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
      document.querySelector(place).dispatchEvent(event);
    }"""
    car = base64.b64encode(encoded(Image.fromarray(CASES["Colour change"].base), "png")).decode()
    visit.page.evaluate(give, [car, "paste", "body"])
    visit.page.locator(".surface").wait_for()
    visit.page.evaluate(give, [car, "drop", ".reference"])
    visit.page.get_by_alt_text("The reference").wait_for()
    visit.page.get_by_label("What should change?").fill("blue car")
    visit.decided()
    sent = visit.bodies("analyze")[-1]
    assert sent["base_image"] == sent["reference_image"] == f"data:image/png;base64,{car}"


def test_a_file_that_is_no_image_is_refused_kindly(visit):
    upload(visit, b"no image at all", name="letter.png")
    alert = visit.page.get_by_role("alert")
    alert.get_by_text("“letter.png” is not an image that this browser can read").wait_for()
    upload(visit, encoded(photo(300, 300), "png"))
    visit.page.locator(".surface").wait_for()
    assert alert.count() == 0


def test_what_the_service_refuses_is_said_with_what_to_do(visit):
    upload(visit, encoded(photo(100, 120), "png"))
    visit.page.get_by_label("What should change?").fill("blue car")
    alert = visit.page.get_by_role("alert")
    alert.get_by_text("This image does not work").wait_for()
    assert "256" in alert.inner_text()
    assert "Try another file" in alert.inner_text()


def test_a_photo_above_the_limit_is_scaled_down_by_one_button(visit):
    upload(visit, encoded(photo(600, 2500), "jpeg"), name="wide.jpg", kind="image/jpeg")
    visit.page.get_by_label("What should change?").fill("blue suit")
    visit.page.get_by_role("button", name="Scale the photo down to 2048 pixels").click()
    visit.page.get_by_text("Scaled down from 2500 × 600 pixels").wait_for()
    visit.decided()
    sent = base64.b64decode(visit.bodies("analyze")[-1]["base_image"].partition(",")[2])
    assert Image.open(io.BytesIO(sent)).size == (2048, 492)


def test_a_rotated_photo_is_masked_as_it_is_seen(visit):
    upload(visit, encoded(photo(256, 400), "jpeg-rotated"), name="tall.jpg", kind="image/jpeg")
    visit.page.get_by_label("What should change?").fill("make the suit green")
    visit.page.get_by_role("button", name="Clear the mask").click()
    drag(visit, (0.5, 0.2), (0.5, 0.8))
    visit.decided()
    mask = grey(visit.bodies("analyze")[-1]["mask_image"])
    assert mask.shape == (400, 256)
    assert visit.page.get_by_role("alert").count() == 0


def test_a_service_that_is_away_is_said_and_nothing_is_lost(visit):
    visit.take("Colour change")
    visit.page.context.set_offline(True)
    visit.edit()
    visit.page.get_by_role("alert").get_by_text("No connection").wait_for()
    visit.page.context.set_offline(False)
    visit.page.get_by_role("button", name="Back to the photo").click()
    visit.edit()
    assert changed(CASES["Colour change"].base, pixels(visit.result())) > 0.01


def test_a_negative_prompt_and_settings_are_sent_as_they_are_set(visit):
    visit.take("Colour change")
    visit.set_number("Guidance scale", "5.5")
    visit.page.get_by_label("Not wanted").fill("rust")
    visit.page.get_by_label("Output format").select_option("jpeg")
    visit.page.get_by_role("switch", name="Sharpen").check()
    visit.page.get_by_text("5 changed").or_(visit.page.get_by_text("4 changed")).wait_for()
    visit.edit()
    assert visit.result().startswith(b"\xff\xd8")
    body = visit.bodies("generate/async")[-1]
    assert body["negative_prompt"] == "rust"
    assert body["config"] == {"seed": SEED, "guidance_scale": 5.5, "output_format": "jpeg", "sharpen": True}


KEPT_REFERENCES = """
() => new Promise((done, fail) => {
  const opening = indexedDB.open("image-composition");
  opening.onerror = () => fail(opening.error);
  opening.onsuccess = () => {
    const asked = opening.result.transaction("draft", "readonly").objectStore("draft").get("draft");
    asked.onsuccess = () => { opening.result.close(); done(asked.result?.references.length); };
  };
})
"""
"""The page keeps a draft a moment after its last change."""


def test_several_references_are_sent_and_each_can_be_taken_away(visit):
    visit.take("Texture transfer")
    field = visit.page.locator(".reference input[type=file]")
    for colour in ("red", "blue"):
        image = encoded(Image.new("RGB", (64, 64), colour), "png")
        field.set_input_files({"name": f"{colour}.png", "mimeType": "image/png", "buffer": image})
        visit.page.get_by_alt_text(f"Reference {2 if colour == 'red' else 3}").wait_for()
    visit.page.get_by_role("button", name="Remove reference 1").click()
    visit.page.get_by_alt_text("Reference 3").wait_for(state="detached")
    visit.decided()
    sent = visit.bodies("analyze")[-1]
    assert "reference_image" not in sent
    colours = [pixels(base64.b64decode(url.partition(",")[2]))[0, 0].tolist() for url in sent["reference_images"]]
    assert colours == [[255, 0, 0], [0, 0, 255]]
    while visit.page.evaluate(KEPT_REFERENCES) != 2:
        visit.page.wait_for_timeout(50)
    visit.page.reload()
    visit.page.get_by_alt_text("Reference 2").wait_for()


def test_references_are_kept_that_come_before_the_page_knows_how_many_there_may_be(visits, demo_url):
    visit, held = visits(demo_url), []
    visit.page.route("**/openapi.json", lambda route: held.append(route))
    visit.open()
    field = visit.page.locator(".reference input[type=file]")
    for colour in ("red", "blue"):
        image = encoded(Image.new("RGB", (64, 64), colour), "png")
        field.set_input_files({"name": f"{colour}.png", "mimeType": "image/png", "buffer": image})
    for route in held:
        route.continue_()
    assert held
    visit.page.get_by_alt_text("Reference 2").wait_for()


def test_what_another_program_has_made_is_seen_in_the_history(visits, demo_url):
    image = base64.b64encode(encoded(Image.fromarray(CASES["Colour change"].base), "png")).decode()
    body = {"base_image": image, "prompt": "a car from elsewhere", "config": {"seed": SEED, "num_inference_steps": 2}}
    submitted = httpx.post(f"{demo_url}/api/v1/generate/async", json=body).json()["job_id"]
    with httpx.stream("GET", f"{demo_url}/api/v1/jobs/{submitted}/events", timeout=180) as events:
        assert [line for line in events.iter_lines() if "completed" in line]
    visit = visits(demo_url)
    visit.open()
    entry = visit.page.locator(".history .entry").filter(has_text="a car from elsewhere").first
    entry.scroll_into_view_if_needed()
    entry.locator("img").wait_for()
    small = [request.url for request in visit.asked if submitted in request.url]
    assert small == [f"{demo_url}/api/v1/jobs/{submitted}/image?max_side=236"]
    entry.click()
    visit.page.get_by_alt_text("After the edit").wait_for()
