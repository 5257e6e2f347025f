"""Several edits of one photo on the page: one after the other into the hand, all of them in one request."""

from __future__ import annotations

import numpy as np
import pytest

from tests.e2e.page.conftest import SEED, WAIT_MS
from tests.e2e.page.test_editing import CASES, drag, grey, pixels
from tests.e2e.page.test_for_everybody import PHONE, focused, tab_to

ANOTHER = "Another edit of this photo"


def sentence(visit):
    return visit.page.locator("#sentence")


def rows(visit):
    return visit.page.get_by_role("group", name="Edits of this photo").get_by_role("listitem")


def told(visit, where=".decision"):
    """What is said of each edit."""
    return visit.page.locator(where).get_by_role("list", name="What is said of each edit").get_by_role("listitem")


def another(visit, prompt):
    """The second edit."""
    visit.page.get_by_role("button", name=ANOTHER).click()
    visit.page.get_by_label("Edit 2: what should change?").wait_for()
    sentence(visit).fill(prompt)
    visit.decided()


def paint_in_the_sky(visit):
    visit.page.get_by_role("button", name="Clear the mask").click()
    drag(visit, (0.2, 0.2), (0.5, 0.2))
    visit.decided()


def analyzed_as_several(visit):
    """The last request for all of them, once its answer is shown."""
    visit.decided()
    return visit.bodies("analyze")[-1]


def test_a_second_edit_with_a_mask_and_a_strength_of_its_own_goes_with_the_first(visit):
    case = CASES["Colour change"]
    visit.take("Colour change")
    another(visit, "a green ball")
    paint_in_the_sky(visit)
    visit.page.locator("summary").filter(has_text="Only edit 2").click()
    visit.page.get_by_label("Strength").first.fill("0.9")
    visit.page.get_by_label("Strength").first.blur()
    visit.decided()
    asked = visit.bodies("analyze")[-1]
    first, second = asked["edits"]
    assert first == {"prompt": "blue car"}
    assert {name: value for name, value in second.items() if name != "mask_image"} == {
        "prompt": "a green ball",
        "strength": 0.9,
    }
    assert asked["config"] == {"seed": SEED, "mask_mode": "luminance"}
    assert asked.keys() == {"base_image", "edits", "config"}
    told(visit).nth(1).get_by_text("your mask").wait_for()
    assert "Edit 1: “blue car”" in told(visit).nth(0).inner_text()
    assert "car" in told(visit).nth(0).get_by_text("Changes").locator("xpath=following-sibling::dd").inner_text()
    assert "0.9" in told(visit).nth(1).inner_text()
    assert visit.page.locator(".frame").filter(has_text="Edit 1").count() == 1
    assert visit.page.locator(".decision .warnings").filter(has_text="mask_mode").count() == 0
    assert visit.serious() == []
    visit.edit()
    after = pixels(visit.result())
    sent = visit.bodies("generate/async")[-1]
    assert sent["edits"] == asked["edits"]
    differs = np.abs(case.base.astype(int) - after).max(axis=2) > 0
    mask = grey(second["mask_image"])
    assert differs[mask == 255].mean() > 0.1
    assert differs[140:230].mean() > 0.05, "the car was painted, too"
    assert not differs[:100][mask[:100] == 0].any(), "beside the mask the sky stays as it was"
    told(visit, ".under").nth(1).get_by_text("pixels at").wait_for()
    assert told(visit, ".under").count() == 2
    assert visit.serious() == []


def test_what_is_in_the_hand_changes_without_asking_anything_and_one_is_taken_away(visit):
    visit.take("Colour change")
    visit.set_number("Guidance scale", "5.5")
    another(visit, "a green ball")
    paint_in_the_sky(visit)
    assert rows(visit).nth(1).inner_text().replace("\n", " ") == "2. a green ball your mask"
    asked = len(visit.bodies("analyze"))
    rows(visit).nth(0).get_by_role("button").first.click()
    assert sentence(visit).input_value() == "blue car"
    visit.page.locator(".frame").filter(has_text="Edit 2").wait_for()
    assert visit.page.get_by_label("Edit 1: what should change?").count() == 1
    visit.page.wait_for_timeout(500)
    assert len(visit.bodies("analyze")) == asked
    sentence(visit).fill("red car")
    assert [one["prompt"] for one in analyzed_as_several(visit)["edits"]] == ["red car", "a green ball"]
    visit.page.get_by_role("button", name="Remove edit 2").click()
    visit.page.get_by_label("What should change?", exact=True).wait_for()
    assert focused(visit.page) == "What should change?"
    visit.decided()
    single = visit.bodies("analyze")[-1]
    assert (single["prompt"], single["config"]) == ("red car", {"seed": SEED, "guidance_scale": 5.5})
    assert rows(visit).count() == 0


def test_a_box_of_one_of_several_becomes_a_mask_with_the_outline_of_the_thing(visit):
    visit.take("Colour change")
    another(visit, "green car")
    visit.page.get_by_role("radio", name="Box").check()
    drag(visit, (0.05, 0.5), (0.95, 0.9))
    visit.page.locator(".frame.selection").first.wait_for()
    visit.page.wait_for_function("() => document.querySelector('.edit-accounts')?.textContent.includes('pointed at')")
    visit.decided()
    outlined, asked = visit.bodies("analyze")[-2:]
    assert (outlined["prompt"], outlined["config"].keys()) == ("green car", {"box"})
    assert "box" not in asked["config"]
    mask = grey(asked["edits"][1]["mask_image"])
    assert mask[190, 110:150].mean() > 200, "the car is in it"
    assert (mask[:100] == 0).all(), "the sky is not"
    before = len(visit.bodies("analyze"))
    sentence(visit).fill("green car with stripes")
    visit.decided()
    rows(visit).nth(0).get_by_role("button").first.click()
    sentence(visit).fill("yellow car")
    visit.decided()
    assert [set(body) & {"prompt", "edits"} for body in visit.bodies("analyze")[before:]] == [
        {"prompt"}, {"edits"}, {"edits"},
    ]  # fmt: skip


def test_a_click_that_these_models_cannot_use_becomes_a_box_here_too(visit):
    visit.take("Colour change")
    another(visit, "green car")
    visit.page.get_by_role("radio", name="Click").check()
    drag(visit, (0.5, 0.75))
    visit.page.get_by_role("alert").get_by_text("good with boxes only").wait_for()
    visit.page.get_by_role("button", name="Draw a box instead").click()
    assert visit.page.get_by_role("radio", name="Box").is_checked()


def test_an_empty_mask_is_said_with_the_number_of_its_edit(visit):
    visit.take("Colour change")
    another(visit, "a green ball")
    visit.page.get_by_role("button", name="Clear the mask").click()
    visit.page.get_by_role("alert").get_by_text("The mask of edit 2 is empty.").wait_for()


def test_the_found_region_of_one_of_several_is_corrected_and_the_others_stay_out_of_it(visit):
    visit.take("Colour change")
    another(visit, "a green ball")
    paint_in_the_sky(visit)
    rows(visit).nth(0).get_by_role("button").first.click()
    visit.page.locator(".frame.found").first.wait_for()
    visit.page.wait_for_function("() => performance.getEntriesByName('analysis-shown').length > 0")
    visit.page.wait_for_timeout(300)
    visit.page.get_by_role("radio", name="Eraser").check()
    drag(visit, (0.05, 0.85), (0.95, 0.85))
    visit.decided()
    first, second = (grey(edit["mask_image"]) for edit in visit.bodies("analyze")[-1]["edits"])
    assert (first[217] == 0).all()
    assert first[190, 110:150].mean() > 200, "the rest of what was found is still there"
    assert (first[:100] == 0).all(), "what was painted for the other edit is not"
    assert (second[51, 60:120] == 255).all()


def test_a_reload_the_history_and_another_try_know_of_all_of_them(visit):
    visit.take("Colour change")
    visit.set_number("Num inference steps", "2")
    another(visit, "a green ball")
    paint_in_the_sky(visit)
    visit.edit()
    visit.result()
    visit.page.reload()
    rows(visit).nth(1).wait_for()
    assert sentence(visit).input_value() == "a green ball"
    entry = visit.page.locator(".history .entry").filter(has_text="blue car · a green ball")
    visit.page.get_by_role("button", name="Remove edit 1").click()
    entry.first.click()
    told(visit, ".under").nth(1).wait_for()
    visit.page.get_by_role("button", name="Edit this again").click()
    assert rows(visit).count() == 2
    visit.edit()
    visit.result()
    first, second = visit.bodies("generate/async")
    assert first["edits"] == second["edits"]
    assert first["base_image"] == second["base_image"]


def test_a_sentence_that_asks_for_several_edits_is_told_edit_by_edit(visit):
    visit.take("Colour change")
    sentence(visit).fill("make the car blue and replace the tree with a lamp")
    told(visit).nth(1).wait_for()
    asked = visit.bodies("analyze")[-1]
    assert asked["prompt"] == "make the car blue and replace the tree with a lamp"
    assert "edits" not in asked
    assert rows(visit).count() == 0


def test_the_simple_case_is_one_sentence_and_one_button(visit):
    assert visit.page.get_by_role("button", name=ANOTHER).is_disabled()
    visit.take("Colour change")
    assert visit.page.get_by_label("What should change?", exact=True).count() == 1
    assert visit.bodies("analyze")[-1].keys() == {"base_image", "prompt"}
    visit.page.get_by_role("button", name=ANOTHER).click()
    rows(visit).nth(1).wait_for()
    assert focused(visit.page) == "Edit 2: what should change?"
    assert visit.page.get_by_role("button", name="Edit the photo").get_attribute("aria-disabled") == "true"
    assert visit.page.get_by_text("Say in a sentence what edit 2 should change.").first.is_visible()
    tab_to(visit.page, "1. blue car")
    visit.page.keyboard.press("Enter")
    assert sentence(visit).input_value() == "blue car"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_does_not_scroll_sideways_and_axe_finds_nothing_serious(visits, demo_url, scheme):
    visit = visits(demo_url, color_scheme=scheme, reduced_motion="reduce", **PHONE)
    visit.open()
    visit.take("Colour change")
    another(visit, "a sentence that is so long that it does not fit into the row of an edit on a telephone")
    paint_in_the_sky(visit)
    visit.page.locator("summary").filter(has_text="Only edit 2").click()
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert visit.serious() == []
    visit.edit()
    visit.page.locator(".comparison").wait_for(timeout=WAIT_MS)
    told(visit, ".under").nth(1).wait_for()
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert visit.serious() == []
