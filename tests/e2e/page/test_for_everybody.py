"""Without a mouse, without eyes, on a phone, in the dark; and as fast as a page should be."""

from __future__ import annotations

import os

import pytest

from tests.e2e.page.conftest import AXE, WAIT_MS

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def focused(page):
    """What has the focus, as it is announced."""
    return page.evaluate(
        """() => {
          const { activeElement: one } = document;
          return one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent;
        }"""
    )


def tab_to(page, name, *, most=80):
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in (focused(page) or ""):
            return
    raise AssertionError(f"{name} is not reached by the Tab key")


def test_an_edit_is_made_with_the_keyboard_alone(visit):
    page = visit.page
    tab_to(page, "Colour change")
    page.keyboard.press("Enter")
    visit.decided()
    tab_to(page, "Photo. Arrow keys")
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    page.get_by_text("your mask").wait_for()
    page.keyboard.press("Control+z")
    page.locator(".frame.found").first.wait_for()
    page.keyboard.press("Shift+ArrowLeft")
    page.get_by_text("your mask").wait_for()
    tab_to(page, "What should change?")
    page.keyboard.press("Control+a")
    page.keyboard.type("green car")
    page.keyboard.press("Enter")
    page.locator(".comparison").wait_for(timeout=WAIT_MS)
    assert visit.bodies("generate/async")[-1]["prompt"] == "green car"
    page.locator("body").evaluate("() => document.activeElement.blur()")
    tab_to(page, "How much of the photo before")
    slider = page.get_by_role("slider", name="How much of the photo before the edit is shown")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "40 % before, 60 % after"
    outline = page.evaluate("() => getComputedStyle(document.querySelector('.edge'), '::after').outlineStyle")
    assert outline == "solid"


def test_every_focus_is_seen(visit):
    visit.take("Rim replacement")
    page, unseen, seen = visit.page, [], 0
    page.locator("body").evaluate("() => document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        outlined = page.evaluate(
            """() => {
              const shown = (one) => one && one !== document.body && getComputedStyle(one).outlineStyle !== "none";
              const { activeElement: one } = document;
              return one === document.body || shown(one) || shown(one.closest("label"));
            }"""
        )
        seen += 1
        if not outlined:
            unseen.append(focused(page))
    assert seen == 40
    assert unseen == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(visits, demo_url, scheme, device):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: cd page && npm ci")
    visit = visits(demo_url, color_scheme=scheme, reduced_motion="reduce", **device)
    visit.open()
    found = {}

    def look(where):
        found[where] = visit.serious()

    look("start")
    visit.take("Rim replacement")
    visit.open_settings()
    look("edit")
    visit.set_number("Num inference steps", "20")
    visit.edit()
    visit.page.get_by_role("progressbar", name="Progress of the edit").wait_for()
    look("running")
    visit.page.locator(".comparison").wait_for(timeout=WAIT_MS)
    look("result")
    visit.page.get_by_role("button", name="Back to the photo").click()
    visit.page.get_by_role("button", name="Clear the mask").click()
    visit.page.get_by_role("alert").wait_for()
    look("error")
    assert {where: problems for where, problems in found.items() if problems} == {}


def test_a_phone_never_scrolls_sideways_and_its_buttons_fit_a_finger(visits, demo_url):
    visit = visits(demo_url, **PHONE)
    visit.open()
    page = visit.page

    def fits():
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390

    fits()
    visit.take("Rim replacement")
    fits()
    visit.open_settings()
    fits()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, .tool, .file, .count label")]
          .map((one) => [one.textContent, one.getBoundingClientRect()])
          .filter(([, { width, height }]) => width > 0 && (width < 24 || height < 24)).map(([name]) => name)"""
    )
    assert small == []
    visit.edit()
    page.get_by_role("progressbar", name="Progress of the edit").wait_for()
    fits()
    page.locator(".comparison").wait_for(timeout=WAIT_MS)
    fits()
    assert page.locator(".stage").bounding_box()["height"] < 520


def test_the_page_is_dark_in_the_dark_and_light_in_the_light(visits, demo_url):
    grounds = {}
    for scheme in ("light", "dark"):
        visit = visits(demo_url, color_scheme=scheme)
        visit.open()
        colour = visit.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(int(part) for part in colour.strip("rgb()").split(","))
    assert grounds["light"] > 700
    assert grounds["dark"] < 100


def test_what_happens_is_announced(visit):
    visit.take("Colour change")
    live = visit.page.locator(".decision [aria-live=polite]")
    assert "Simple edit" in live.inner_text()
    visit.edit()
    visit.page.get_by_role("status").get_by_text("Done in").wait_for(timeout=WAIT_MS)


def test_nothing_jumps_while_a_photo_is_edited(visit):
    visit.take("Colour change")
    visit.edit()
    visit.page.locator(".comparison").wait_for(timeout=WAIT_MS)
    assert visit.page.evaluate("() => window.shifts") == []


def test_the_page_is_one_document_one_style_one_script_and_weighs_little(visit):
    loaded = visit.page.evaluate(
        """() => performance.getEntriesByType("resource")
          .filter(({ initiatorType }) => ["link", "script"].includes(initiatorType))
          .map(({ name, encodedBodySize }) => [name.split(".").at(-1), encodedBodySize])"""
    )
    assert sorted(kind for kind, _ in loaded if kind != "svg") == ["css", "js"]
    assert sum(size for _, size in loaded) < 32_000


@pytest.fixture
def quiet_machine():
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip("the machine is busy: times would say nothing")


@pytest.mark.usefixtures("quiet_machine")
def test_the_page_is_painted_within_a_second(visit):
    painted = visit.page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert painted < 1000


@pytest.mark.usefixtures("quiet_machine")
def test_the_decision_is_shown_within_300_ms_of_the_analysis(visit):
    visit.take("Colour change")
    visit.page.wait_for_function("() => performance.getEntriesByName('analysis-shown').length > 0")
    answered, shown = visit.page.evaluate(
        """() => [
          performance.getEntriesByType("resource").findLast(({ name }) => name.endsWith("/analyze")).responseEnd,
          performance.getEntriesByName("analysis-shown").at(-1).startTime,
        ]"""
    )
    assert 0 <= shown - answered < 300
