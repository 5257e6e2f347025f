"""A clip on the page: one sentence for all of its frames, progress by frame, and the edited clip beside it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from demo_models.world.clips import sample_clip
from tests.e2e.page.conftest import SEED, WAIT_MS

CLIP = sample_clip(4_510_001, 2)
"""A t-shirt that the camera pans over, which the models paint black."""
STEPS = 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "pan.gif"
    first, *others = (Image.fromarray(frame) for frame in CLIP.frames)
    first.save(path, save_all=True, append_images=others, duration=200, loop=0)
    return path


def frames_of(file) -> list[np.ndarray]:
    with Image.open(file) as moving:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(moving)]


def test_a_clip_is_edited_shown_and_downloaded_and_a_reload_knows_it(visit, clip):
    visit.page.get_by_label("Choose a photo").set_input_files(clip)
    visit.page.get_by_role("img", name="The clip").wait_for()
    assert visit.page.get_by_role("group", name="Candidates").count() == 0
    visit.page.locator("#sentence").fill(CLIP.prompt)
    visit.decided()
    visit.set_number("Seed", str(SEED))
    visit.set_number("Num inference steps", str(STEPS))
    assert visit.bodies("analyze")[-1]["base_image"].startswith("data:image/png")
    assert visit.serious() == []
    visit.page.get_by_role("button", name="Edit the clip").click()
    visit.page.get_by_text("2 of 2 frames").wait_for(timeout=WAIT_MS)
    (sent,) = visit.bodies("video")
    assert sent.keys() == {"video", "prompt", "config"}
    assert (sent["prompt"], sent["config"]) == (CLIP.prompt, {"seed": SEED, "num_inference_steps": STEPS})
    assert visit.serious() == []
    for name in ("Before the edit", "After the edit"):
        assert visit.page.get_by_role("img", name=name).evaluate("(one) => one.naturalWidth") == 256
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(f"-{SEED}.gif")
    made = frames_of(io.BytesIO(Path(download.value.path()).read_bytes()))
    was = frames_of(clip)
    assert len(made) == 2
    for number, (before, after) in enumerate(zip(was, made, strict=True)):
        differs = np.abs(before - after).max(axis=2) > 24
        assert differs[CLIP.region(number) > 200].mean() > 0.2, "the thing was painted"
        assert differs[:20].mean() < 0.01, "the top stays as it was"
    visit.page.set_viewport_size({"width": 390, "height": 800})
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") == 390
    visit.page.get_by_role("button", name="Back to the clip").click()
    visit.page.reload()
    visit.page.get_by_role("img", name="The clip").wait_for()
    visit.page.locator(".history .entry").filter(has_text=CLIP.prompt).first.click()
    visit.page.get_by_role("img", name="After the edit").wait_for()
