"""A user's LoRAs on the page: brought in, chosen, told of in the result, deleted; what cannot be is said in words."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from tests.e2e.images import encoded, photo
from tests.e2e.page.conftest import WAIT_MS
from tests.e2e.page.test_for_everybody import PHONE, tab_to
from tests.e2e.test_loras import lora_for_the_served_model
from tests.unit.composition.loras.files import kohya, safetensors

PHOTO = encoded(photo(256, 256), "png")
MB = 1 << 20


@pytest.fixture(scope="module")
def ink(service_url):
    """For the models that are served, as a file; it listens to "ink wash"."""
    return lora_for_the_served_model(1)


@pytest.fixture
def service(service_url):
    """The service, which keeps nobody's LoRAs before and after a test."""
    with httpx.Client(base_url=f"{service_url}/api/v1", timeout=300) as client:
        yield client
        for lora in client.get("/loras").json()["loras"]:
            client.delete(f"/loras/{lora['name']}")


@pytest.fixture
def visit(visits, service_url, service):
    started = visits(service_url)
    started.open()
    return started


def keep(service, name, data):
    answer = service.post("/loras", files={"file": (f"{name}.safetensors", data)})
    assert answer.status_code == 200, answer.text


def summary(visit):
    """What opens the panel."""
    return visit.page.locator("summary").filter(has_text="LoRAs")


def open_loras(visit):
    summary(visit).click()
    panel = visit.page.locator(".lora-panel")
    panel.wait_for()
    return panel


def give(visit, data, filename="ink.safetensors", **texts):
    """Choose a file in the panel, fill in the rest and send it."""
    form = visit.page.get_by_role("form", name="Upload a LoRA")
    file = {"name": filename, "mimeType": "application/octet-stream", "buffer": data}
    form.locator("input[type=file]").set_input_files(file)
    for label, text in texts.items():
        form.get_by_label(label.replace("_", " ").capitalize()).fill(text)
    return form


def uploads(visit):
    return [one for one in visit.asked if one.method == "POST" and one.url.endswith("/api/v1/loras")]


def say_what_to_edit(visit):
    chosen = {"name": "photo.png", "mimeType": "image/png", "buffer": PHOTO}
    visit.page.get_by_label("Choose a photo").set_input_files(chosen)
    visit.page.get_by_label("What should change?").fill("replace the head with a ball")
    visit.decided()


def limited(visit, **limits):
    """As a service answers whose operator allows that much; none at all without limits."""

    def answer(route):
        if route.request.method != "GET":
            return route.fallback()
        answered = route.fetch()
        body = answered.json()
        uploads = {**body["uploads"], **limits} if limits else None
        return route.fulfill(response=answered, json={**body, "uploads": uploads})

    visit.page.route("**/api/v1/loras", answer)


def test_an_uploaded_lora_is_chosen_acts_and_is_told_in_the_result(visit, service, ink):
    panel = open_loras(visit)
    form = give(visit, ink, name="wash")
    assert form.get_by_text("0 of 20 uploaded").is_visible()
    form.get_by_role("button", name="Upload").click()
    panel.get_by_text("“wash” is there and can be chosen.").wait_for()
    (kept,) = service.get("/loras").json()["loras"]
    assert (kept["name"], kept["trigger_words"]) == ("wash", ["ink wash"])
    assert form.get_by_text("1 of 20 uploaded").is_visible()
    say_what_to_edit(visit)
    assert "loras" not in visit.bodies("analyze")[-1].get("config", {}), "what is there is not chosen yet"
    panel.get_by_role("checkbox", name="wash").check()
    panel.get_by_role("slider", name="Scale of wash").fill("0.75")
    panel.get_by_role("button", name="Add to the sentence: ink wash").click()
    assert visit.page.get_by_label("What should change?").input_value() == "replace the head with a ball, ink wash"
    assert panel.get_by_role("button", name="ink wash").count() == 0
    visit.decided()
    assert visit.serious() == []
    visit.set_number("Seed", "7")
    visit.set_number("Num inference steps", "2")
    visit.edit()
    visit.page.get_by_role("status").filter(has_text="with wash × 0.75").wait_for(timeout=WAIT_MS)
    body = visit.bodies("generate/async")[-1]
    assert body["config"] == {"seed": 7, "num_inference_steps": 2, "loras": {"wash": 0.75}}
    assert body["prompt"] == "replace the head with a ball, ink wash"
    visit.page.reload()
    summary(visit).get_by_text("1 chosen").wait_for()
    visit.page.locator(".history .entry").filter(has_not_text="elsewhere").click()
    visit.page.get_by_role("button", name="Another try").click()
    visit.page.get_by_role("status").filter(has_text="with wash × 0.75").wait_for(timeout=WAIT_MS)
    assert visit.bodies("generate/async")[-1]["config"]["loras"] == {"wash": 0.75}


def test_a_scale_of_nothing_is_warned_of_by_the_service_before_and_after(visit, service, ink):
    keep(service, "wash", ink)
    say_what_to_edit(visit)
    panel = open_loras(visit)
    panel.get_by_role("checkbox", name="wash").check()
    panel.get_by_role("slider", name="Scale of wash").fill("0")
    visit.page.locator(".decision .warnings").get_by_text("LoRA of weight 0 has no effect: wash").wait_for()
    visit.set_number("Num inference steps", "2")
    visit.set_number("Seed", "7")
    visit.edit()
    visit.page.locator(".under .warnings").get_by_text("LoRA of weight 0 has no effect: wash").wait_for(timeout=WAIT_MS)
    assert visit.page.get_by_role("status").filter(has_text="with wash").count() == 0


def test_what_cannot_be_kept_is_refused_before_it_is_sent_or_in_the_services_words(visit, service, ink):
    limited(visit, max_size_bytes=1 * MB, max_bytes_per_owner=2 * MB)
    open_loras(visit)
    alert = visit.page.get_by_role("alert")
    form = give(visit, b"x" * (MB + MB // 2))
    alert.get_by_text("“ink.safetensors” has 1.5 MB, and a file may have 1 MB.").wait_for()
    assert form.get_by_role("button", name="Upload").count() == 0
    give(visit, ink, "ink.ckpt")
    alert.get_by_text("“ink.ckpt” is not a .safetensors file.").wait_for()
    assert uploads(visit) == []
    give(visit, b"\x80\x04\x95" + bytes(100)).get_by_role("button", name="Upload").click()
    alert.get_by_text("is a Python pickle").wait_for()
    give(visit, ink, name="not/a name").get_by_role("button", name="Upload").click()
    alert.get_by_text("Name: must be 1 to 64 letters").wait_for()
    assert len(uploads(visit)) == 2
    assert service.get("/loras").json()["loras"] == []
    assert visit.serious() == []


def test_who_keeps_as_many_as_are_kept_is_told_to_delete_one(visit, service, ink):
    keep(service, "wash", ink)
    limited(visit, max_per_owner=1)
    panel = open_loras(visit)
    panel.get_by_text("There is no room for another one: delete one first.").wait_for()
    assert panel.locator("input[type=file]").count() == 0


def test_who_learns_only_of_the_service_that_there_is_no_room_sees_why(visit, service, ink):
    """Another tab has brought the last one in meanwhile; the refusal comes while the file is still being sent."""
    for number in range(19):
        keep(service, f"wash{number}", ink)
    panel = open_loras(visit)
    keep(service, "other", ink)
    give(visit, bytes(12 * MB)).get_by_role("button", name="Upload").click()
    visit.page.get_by_role("alert").get_by_text("You have 20 LoRAs, and 20 are kept: delete one.").wait_for()
    panel.get_by_text("There is no room for another one: delete one first.").wait_for()
    assert panel.get_by_role("checkbox", name="other").is_visible()


def test_one_that_cannot_act_says_so_and_cannot_be_chosen(visit, service):
    keep(service, "xl", safetensors(kohya(context=2048)))
    panel = open_loras(visit)
    panel.get_by_text("Made for Stable Diffusion XL: it cannot act here.").wait_for()
    assert panel.get_by_role("checkbox", name="xl").is_disabled()


def test_no_more_are_chosen_than_act_in_one_edit(visit, service, ink):
    for number in range(6):
        keep(service, f"wash{number}", ink)
    panel = open_loras(visit)
    boxes = panel.get_by_role("checkbox")
    for number in range(5):
        boxes.nth(number).check()
    assert boxes.nth(5).is_disabled()
    boxes.nth(0).uncheck()
    assert boxes.nth(5).is_enabled()


def test_one_is_deleted_only_after_a_question(visit, service, ink):
    keep(service, "wash", ink)
    panel = open_loras(visit)
    panel.get_by_role("checkbox", name="wash").check()
    delete = panel.get_by_role("button", name="Delete wash")
    delete.click()
    dialog = visit.page.get_by_role("dialog", name="Delete “wash”?")
    dialog.wait_for()
    assert visit.serious() == []
    visit.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert delete.evaluate("(one) => one === document.activeElement"), "who keeps it goes on where he was"
    delete.click()
    dialog.get_by_role("button", name="Keep it").click()
    assert [one for one in visit.asked if one.method == "DELETE"] == []
    delete.click()
    dialog.get_by_role("button", name="Delete it").click()
    gone = panel.get_by_role("status").get_by_text("“wash” is deleted.")
    gone.wait_for()
    assert visit.page.evaluate("() => document.activeElement.textContent") == "“wash” is deleted."
    assert service.get("/loras").json()["loras"] == []
    assert panel.get_by_role("checkbox").count() == 0
    assert summary(visit).get_by_text("none").is_visible()


def test_one_that_was_deleted_elsewhere_is_said_and_left_out_by_one_button(visit, service, ink):
    keep(service, "wash", ink)
    say_what_to_edit(visit)
    panel = open_loras(visit)
    panel.get_by_role("checkbox", name="wash").check()
    visit.decided()
    assert visit.bodies("analyze")[-1]["config"]["loras"] == {"wash": 1}
    service.delete("/loras/wash")
    visit.page.reload()
    visit.page.get_by_role("alert").get_by_text("there is no LoRA 'wash'").wait_for()
    open_loras(visit).get_by_text("It is no longer there: an edit with it is refused.").wait_for()
    visit.page.get_by_role("button", name="Edit without LoRAs").click()
    visit.decided()
    assert "loras" not in visit.bodies("analyze")[-1].get("config", {})


def test_an_upload_says_how_far_it_is_and_can_be_stopped(visit, service):
    open_loras(visit)
    slow = visit.page.context.new_cdp_session(visit.page)
    speed = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": MB // 2}
    slow.send("Network.emulateNetworkConditions", speed)
    form = give(visit, bytes(8 * MB))
    form.get_by_role("button", name="Upload").click()
    progress = form.get_by_role("progressbar", name="Progress of the upload")
    visit.page.wait_for_function("(bar) => bar.value > 0.02 && bar.value < 0.9", arg=progress.element_handle())
    form.get_by_role("button", name="Cancel").click()
    form.get_by_role("button", name="Upload").wait_for()
    assert visit.page.get_by_role("alert").count() == 0
    assert service.get("/loras").json()["loras"] == []


def test_the_panel_is_there_only_where_the_service_has_loras_and_its_script_only_when_it_is_opened(visits, service_url):
    visit = visits(service_url)
    limited(visit)
    visit.open()
    visit.page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/api/v1/loras'))"
    )
    assert summary(visit).count() == 1
    assert not summary(visit).is_visible()
    visit.page.unroute_all()
    visit.page.reload()
    summary(visit).wait_for()
    assert [one.url for one in visit.asked if "on-demand" in one.url] == []
    assert visit.page.evaluate("() => window.shifts") == []
    open_loras(visit)
    assert sorted({one.url.rpartition(".")[2] for one in visit.asked if "on-demand" in one.url}) == ["css", "js"]


def test_a_script_that_does_not_come_is_said(visits, service_url):
    visit = visits(service_url)
    visit.page.route("**/on-demand*.js", lambda route: route.abort())
    visit.open()
    summary(visit).click()
    visit.page.get_by_role("alert").get_by_text("This part of the page could not be loaded.").wait_for()


def test_one_is_chosen_and_scaled_with_the_keyboard_alone(visit, service, ink):
    keep(service, "wash", ink)
    summary(visit).wait_for()
    tab_to(visit.page, "LoRAs")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("checkbox", name="wash").wait_for()
    tab_to(visit.page, "wash")
    visit.page.keyboard.press(" ")
    tab_to(visit.page, "Scale of wash")
    visit.page.keyboard.press("ArrowLeft")
    assert visit.page.get_by_role("slider", name="Scale of wash").input_value() == "0.95"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_does_not_scroll_sideways_and_axe_finds_nothing_serious(
    visits, service, service_url, ink, scheme
):
    keep(service, "a-name-of-sixty-four-letters-that-does-not-break-anywhere-at-all", ink)
    visit = visits(service_url, color_scheme=scheme, reduced_motion="reduce", **PHONE)
    visit.open()
    panel = open_loras(visit)
    panel.get_by_role("checkbox").check()
    give(visit, np.zeros(1, np.uint8).tobytes(), "another-long-name-of-a-file-that-has-no-end-to-it.safetensors")
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert visit.serious() == []
