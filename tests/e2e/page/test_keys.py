"""A service with keys: the page opens without one, asks once, and keeps it for the tab."""

from __future__ import annotations

import httpx

from tests.e2e.conftest import KEYS
from tests.e2e.images import b64, encoded, photo
from tests.e2e.page.conftest import SEED, WAIT_MS

KEY = KEYS["page"]
STORE_IT = f"sessionStorage.setItem('image-composition-key', '{KEY}')"
OTHERS_BEFORE, OTHERS_BESIDE = 6, 2
"""One's own edit does not begin before the page follows it, and then shares the steps with others: it takes seconds."""


def test_a_key_is_asked_for_once_and_kept_in_the_tab(visits, keyed_url):
    visit = visits(keyed_url)
    visit.open()
    dialog = visit.page.get_by_role("dialog")
    dialog.wait_for()
    assert visit.serious() == []
    dialog.get_by_label("API key").fill("guess")
    dialog.get_by_role("button", name="Use this key").click()
    dialog.get_by_text("That key was not accepted").wait_for()
    dialog.get_by_label("API key").fill(KEY)
    dialog.get_by_role("button", name="Use this key").click()
    dialog.wait_for(state="hidden")
    visit.take("Colour change")
    visit.edit()
    visit.page.locator(".comparison").wait_for(timeout=WAIT_MS)
    visit.page.reload()
    visit.page.get_by_role("button", name="Edit the photo").wait_for()
    visit.decided()
    assert dialog.count() == 0
    stored = visit.page.evaluate("() => JSON.stringify([localStorage, document.cookie, location.href])")
    assert KEY not in stored


def test_what_is_being_painted_is_shown_where_the_service_sends_it(visits, keyed_url):
    visit = visits(keyed_url)
    visit.page.add_init_script(STORE_IT)
    visit.open()
    visit.take("Colour change")
    visit.set_number("Num inference steps", "100")
    headers = {"X-API-Key": KEY}
    body = {"base_image": b64(encoded(photo(256, 256), "png")), "prompt": "a blue car", "n": 4}
    config = {"num_inference_steps": 100, "pipeline": "simple"}
    with httpx.Client(base_url=f"{keyed_url}/api/v1", headers=headers, timeout=60) as others:
        jobs = [
            others.post("/generate/async", json={**body, "config": {**config, "seed": seed}}).json()["job_id"]
            for seed in range(OTHERS_BEFORE + OTHERS_BESIDE)
        ]
        with visit.page.expect_request("**/events*"):
            visit.edit()
        for job in jobs[:OTHERS_BEFORE]:
            others.delete(f"/jobs/{job}").raise_for_status()
        visit.page.get_by_alt_text("What is being painted").wait_for(timeout=WAIT_MS)
        for job in jobs[OTHERS_BEFORE:]:
            others.delete(f"/jobs/{job}")


def test_what_is_clicked_is_what_changes_where_the_models_know_clicks(visits, keyed_url):
    visit = visits(keyed_url)
    visit.page.add_init_script(STORE_IT)
    visit.open()
    visit.take("Colour change")
    visit.page.get_by_role("radio", name="Click").check()
    photo = visit.page.locator(".surface")
    area = photo.bounding_box()
    photo.click(position={"x": area["width"] / 2, "y": area["height"] * 0.75})
    photo.click(position={"x": area["width"] / 4, "y": area["height"] / 4}, modifiers=["Alt"])
    visit.page.get_by_text("what you pointed at").wait_for()
    visit.page.wait_for_function("() => document.querySelectorAll('.point').length === 2")
    visit.decided()
    assert visit.bodies("analyze")[-1]["config"] == {"seed": SEED, "points": [[128, 192], [64, 64, 0]]}
