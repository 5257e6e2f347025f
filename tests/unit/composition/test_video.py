"""One edit of a clip: found on key frames, carried in between, painted in windows, steady, and resumable."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from composition.config import Config
from composition.diffusion import DiffusionProgress, DiffusionResult
from composition.errors import InvalidInput, NoDetection
from composition.pipelines.clip_state import dump_state, load_state
from composition.pipelines.clip_window import CARRIED_STRENGTH
from composition.request import EditOptions, EditRequest, Keep, OnNoDetection
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import detection
from tests.fakes.fake_diffuser import FakeDiffuser

SIDE = 60
EXACT = {"mask_dilation_px": 0, "mask_blur_px": 0, "color_match": False, "keep_surroundings": Keep.OFF}
RED = np.array([210, 40, 40], np.uint8)


def backdrop(seed=0):
    noise = np.random.default_rng(seed).random((260, 320, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    grey = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    image = (60 + 120 * grey).astype(np.uint8)
    if seed:  # nothing like the others
        y, x = np.mgrid[:260, :320] // (10 + 5 * seed)
        image[(x + y) % 2 > 0] = (40, 230, 40 * seed)
    return image


def frame(x, y=100, seed=0):
    """A mug, red and grained so that its motion can be seen, before a backdrop."""
    image = backdrop(seed)
    grain = np.random.default_rng(9).integers(-20, 20, (SIDE, SIDE, 1))
    image[y : y + SIDE, x : x + SIDE] = np.clip(RED.astype(int) + grain, 0, 255)
    return image


def drive(count, start=40, step=3, seed=0):
    return [frame(start + step * number, seed=seed) for number in range(count)]


def is_mug(image):
    return (image[..., 0].astype(int) - image[..., 1] > 100) & (image[..., 2] < 100)


class SeesMugs:
    """Finds the red square by its colour; `blind` says at which calls it does not."""

    def __init__(self, blind=lambda call: False):
        self.blind, self.calls, self.likes = blind, 0, []

    async def detect(self, image, phrase, *, like=None):
        self.calls += 1
        self.likes.append(like)
        places = np.argwhere(is_mug(image))
        if phrase != "mug" or len(places) < 100 or self.blind(self.calls):
            return ()
        (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0) + 1
        return (detection("mug", float(left), float(top), float(right), float(bottom)),)


class Flickers(FakeDiffuser):
    """Paints every frame in a shade of its own."""

    def __init__(self, spread=30):
        super().__init__()
        self.spread, self.painted = spread, 0

    async def diffuse(self, request):
        self.requests.append(request)
        yield DiffusionProgress(step=1, total=1, preview=np.zeros((2, 2, 3), np.uint8))
        images = []
        for one in request.regions:
            image = one.image.copy()
            image[one.mask > 0] = (20, 90 + self.spread * (self.painted % 2), 200)
            images.append(image)
            self.painted += 1
        yield DiffusionResult(image=images[0], others=tuple(images[1:]), models_used=("sd-inpainting",))


class ForgetsHalf(Flickers):
    """Leaves the right half of what it is to paint as it was, in every other frame."""

    async def diffuse(self, request):
        async for event in super().diffuse(request):
            if isinstance(event, DiffusionResult):
                for image, one in zip((event.image, *event.others), request.regions, strict=True):
                    self.painted += 1
                    if self.painted % 2:
                        right = np.flatnonzero(one.mask.any(axis=0)).mean().astype(int)
                        image[:, right:] = one.image[:, right:]
            yield event


async def each(images):
    for image in images:
        yield image


def table(bench, **fakes):
    video = {"window_frames": fakes.pop("window", 4), "key_frame_interval": fakes.pop("interval", 8)}
    return bench(Config.model_validate({"video": video}), **{"detector": SeesMugs(), "diffuser": Flickers(), **fakes})


async def edit(b, frames, *, state=None, before=None, prompt="replace the mug with a teapot", total=None, **options):
    """Every finished frame, the states after each window, and the painter."""
    request = EditRequest(base=frames[0], prompt=prompt, options=EditOptions(**{"seed": 7, **EXACT, **options}))
    painter = await b.editor.open_clip(
        request, request_id="clip", frames=total or len(frames), listener=b.progress.append, state=state
    )
    done, states = [], []
    rest = frames[state.done :] if state is not None else frames
    async for window in painter.paint(each(image.copy() for image in rest), before):
        done += window.images
        states.append(window.state)
    return done, states, painter


async def test_every_frame_is_painted_where_its_thing_is_and_nowhere_else(bench):
    b = table(bench, interval=2)
    frames = drive(10)
    done, _, painter = await edit(b, frames)
    assert len(done) == 10
    for image, before in zip(done, frames, strict=True):
        mug = is_mug(before)
        grown = cv2.dilate(mug.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
        assert np.array_equal(image[~grown], before[~grown])
        assert (np.abs(image[mug].astype(int) - before[mug]).max(axis=-1) > 60).mean() > 0.95
    account = painter.account()
    assert (account["frames"], account["frames_edited"], account["shots"]) == (10, 10, [0])


async def test_the_thing_is_looked_for_on_key_frames_only(bench):
    b = table(bench, interval=4)
    _, _, painter = await edit(b, drive(10))
    assert painter.account()["key_frames"] == [0, 4, 8]
    assert b.detector.calls == 3


async def test_every_frame_is_looked_at_by_the_networks_that_are_asked_about_the_first(bench):
    b = table(bench, interval=4)
    frames = [*drive(6), *drive(3, seed=1)]
    _, _, painter = await edit(b, frames, prompt="person holding a mug", target="mug")
    assert painter.account()["key_frames"] == [0, 4, 6]
    for likes in (b.detector.likes, b.analyzer.likes):
        assert likes[0] is None  # as for an edit of it, and once
        assert likes[1:]
        assert all(like is frames[0] for like in likes[1:])


async def test_frames_of_a_window_are_views_of_one_request(bench):
    b = table(bench, window=3)
    await edit(b, drive(7))
    assert [len(request.regions) for request in b.diffuser.requests] == [3, 3, 1]
    first, later, _ = b.diffuser.requests
    assert len({region.image.shape for request in b.diffuser.requests for region in request.regions}) == 1
    assert {request.seed for request in b.diffuser.requests} == {7}
    assert (first.strength, later.strength) == (1.0, CARRIED_STRENGTH)
    assert len({request.request_id for request in b.diffuser.requests}) == 3


async def test_a_window_has_no_more_rows_than_a_forward_may_have(bench):
    config = Config.model_validate({"generation": {"max_rows": 4}, "video": {"window_frames": 8}})
    b = bench(config, detector=SeesMugs(), diffuser=Flickers())
    await edit(b, drive(4))
    assert [len(request.regions) for request in b.diffuser.requests] == [2, 2]


async def test_a_window_starts_from_what_the_one_before_has_become(bench):
    b = table(bench, window=2)
    await edit(b, drive(4))
    first, later = b.diffuser.requests
    assert is_mug(first.image).any()
    inside = cv2.erode(later.mask, np.ones((9, 9), np.uint8)) > 0
    assert (later.image[inside][:, 2] > 150).mean() > 0.9  # the teapot's blue, where the photograph is red


async def test_the_noise_goes_along_with_the_thing(bench):
    """The crop follows the thing, so that what stands still behind it takes its noise from elsewhere on the canvas."""
    b = table(bench, window=4)
    await edit(b, drive(4, step=5))
    for region in b.diffuser.requests[0].regions:
        assert region.noise_from.shape == (region.image.shape[0] // 8, region.image.shape[1] // 8, 2)
    cells = [region.noise_from for region in b.diffuser.requests[0].regions]
    rows, columns = cells[0].shape[:2]
    identity = np.stack(np.mgrid[:rows, :columns], axis=-1)
    assert (cells[0] == identity).mean() > 0.99
    middle = (slice(rows // 2 - 3, rows // 2 + 3), slice(columns // 2 - 3, columns // 2 + 3))
    assert np.abs(cells[3][middle].astype(int) - identity[middle]).max() <= 1  # 15 pixels on it went 3 cells


async def test_frames_flicker_less_than_what_was_painted_of_them(bench):
    async def flicker(spread):
        b = table(bench, window=4, diffuser=Flickers(spread))
        done, _, _ = await edit(b, drive(8), seed=7)
        greens = [np.median(image[is_mug(before)][:, 1]) for image, before in zip(done, drive(8), strict=True)]
        return np.abs(np.diff(greens)).mean()

    assert await flicker(20) < 10
    assert await flicker(0) < 1


async def test_what_has_changed_in_the_frame_before_changes_in_the_next_one_too(bench):
    frames = drive(6)
    done, _, _ = await edit(table(bench, window=3, diffuser=ForgetsHalf(0)), frames, prompt="make the mug blue")
    halves = []
    for number, image in enumerate(done):
        left = 40 + 3 * number + SIDE // 2
        halves.append(image[105:155, left + 5 : left + SIDE // 2 - 5].reshape(-1, 3).mean(axis=0))
    assert np.abs(np.diff(halves, axis=0)).max() < 30


class PaintsAPatternFirst(Flickers):
    """The first frame in stripes of three colours, of which none is most of it; the others in one."""

    async def diffuse(self, request):
        first = not self.painted
        async for event in super().diffuse(request):
            if first and isinstance(event, DiffusionResult):
                inside = request.regions[0].mask > 0
                stripes = np.array([(230, 220, 40), (30, 160, 60), (60, 40, 170)], np.uint8)
                rows = np.arange(inside.shape[0]) // 6 % 3
                event.image[inside] = np.broadcast_to(stripes[rows][:, None], event.image.shape)[inside]
            yield event


async def test_what_the_first_frame_left_as_painted_the_others_leave_as_painted(bench):
    def grain(image, left):
        inside = image[110:150, left + 10 : left + SIDE - 10, 2].astype(float)
        return (inside - cv2.GaussianBlur(inside, (0, 0), 3.0)).std()

    frames = drive(8)
    for diffuser, most, least in ((PaintsAPatternFirst(0), 2.0, 0.0), (Flickers(0), 40.0, 3.0)):
        done, _, _ = await edit(table(bench, window=4, diffuser=diffuser), frames, prompt="make the mug blue")
        for number in (6, 7):
            assert least <= grain(done[number], 40 + 3 * number) <= most, (number, type(diffuser))


class SeesHandlesOnce(SeesMugs):
    """In the upper left quarter of the mug is its handle, which is found on the first key frame alone."""

    def __init__(self):
        super().__init__()
        self.handles = 0

    async def detect(self, image, phrase, *, like=None):
        if phrase == "mug":
            return await super().detect(image, phrase, like=like)
        self.handles += 1
        (mug,) = await super().detect(image, "mug")
        box = mug.box
        return (detection(phrase, box.x0, box.y0, box.x0 + 30, box.y0 + 30),) if self.handles == 1 else ()


async def test_what_is_to_stay_stays_in_every_frame_though_one_key_frame_does_not_show_it(bench):
    frames = drive(6)
    b = table(bench, interval=3, detector=SeesHandlesOnce())
    done, _, painter = await edit(b, frames, prompt="make the mug blue except the handle")
    account = painter.account()
    assert (account["key_frames"], b.detector.handles) == ([0, 3], 2)
    for number, (image, before) in enumerate(zip(done, frames, strict=True)):
        left = 40 + 3 * number
        assert np.array_equal(image[108:120, left + 8 : left + 22], before[108:120, left + 8 : left + 22])
        assert (image[140:155, left + 5 : left + 55, 2] > 120).mean() > 0.9
    assert account["warnings"] == []


async def test_a_cut_begins_a_shot_with_nothing_carried(bench):
    b = table(bench, window=4)
    frames = [*drive(3), backdrop(1), *drive(3, start=200, step=-3, seed=2)]
    done, _, painter = await edit(b, frames)
    account = painter.account()
    assert account["shots"] == [0, 3, 4]
    assert np.array_equal(done[3], frames[3])
    assert account["frames_edited"] == 6
    assert account["warnings"] == ["frame 3: nothing like 'mug' was found in the image"]
    assert [len(request.regions) for request in b.diffuser.requests] == [3, 3]
    assert [request.strength for request in b.diffuser.requests] == [1.0, 1.0]


async def test_a_thing_that_is_not_seen_again_on_a_key_frame_goes_on_being_followed(bench):
    b = table(bench, interval=3, detector=SeesMugs(blind=lambda call: call == 2))
    done, _, painter = await edit(b, drive(6))
    assert painter.account()["frames_edited"] == 6
    assert any("frame 3" in text for text in painter.account()["warnings"])
    assert not np.array_equal(done[4], drive(6)[4])


async def test_a_clip_without_the_thing_is_an_error(bench):
    with pytest.raises(NoDetection, match="no frame can be edited"):
        await edit(table(bench), [backdrop()] * 3)
    with pytest.raises(NoDetection, match="nothing like 'mug'"):
        await edit(table(bench), [backdrop()] * 3, on_no_detection=OnNoDetection.ERROR)


async def test_a_thing_that_comes_into_view_is_found_then(bench):
    b = table(bench, interval=2)
    frames = [backdrop()] * 3 + [frame(100)] * 4
    done, _, painter = await edit(b, frames)
    assert all(np.array_equal(image, before) for image, before in zip(done[:3], frames[:3], strict=True))
    assert painter.account()["frames_edited"] >= 3
    assert not np.array_equal(done[-1], frames[-1])


async def test_several_edits_in_one_prompt_are_refused(bench):
    with pytest.raises(InvalidInput, match="which a video cannot have"):
        await edit(table(bench), drive(2), prompt="replace the mug with a teapot and make the plate red")


async def test_a_whole_image_is_repainted_in_every_frame(bench):
    b = table(bench)
    done, _, painter = await edit(b, drive(3), prompt="make it a watercolour")
    assert painter.account()["frames_edited"] == 3
    for image, before in zip(done, drive(3), strict=True):
        assert (image != before).any(axis=-1).mean() > 0.95


@pytest.mark.parametrize(
    ("prompt", "known"),
    [("replace the mug with a teapot", True), ("make the mug blue", True), ("make the mug blue", False)],
)
async def test_an_interrupted_clip_goes_on_as_if_it_had_not_been(bench, prompt, known):
    frames = drive(9)
    options = {"prompt": prompt, "color_match": True}

    def anew():
        return table(bench, window=3, diffuser=Flickers(0), analyzer=FakeAnalyzer(known=known))

    whole, states, painter = await edit(anew(), frames, **options)
    assert [state.done for state in states] == [3, 6, 9]
    state = load_state(dump_state(states[0]))
    assert state.shot.track.region.known is (known or "replace" in prompt)
    b = anew()
    rest, _, again = await edit(b, frames, state=state, before=(frames[2], whole[2]), **options)
    assert len(rest) == 6
    for image, wanted in zip(rest, whole[3:], strict=True):
        assert np.array_equal(image, wanted)
    told, expected = again.account(), painter.account()
    for name in ("shots", "key_frames", "frames_edited", "warnings", "detections"):
        assert told[name] == expected[name]


async def test_progress_rises_by_frames_and_has_previews(bench):
    b = table(bench, window=2)
    await edit(b, drive(6))
    fractions = [progress.fraction for progress in b.progress]
    assert fractions == sorted(fractions)
    assert {progress.step for progress in b.progress} == {0, 2, 4}
    assert {progress.total_steps for progress in b.progress} == {6}
    assert any(progress.preview is not None for progress in b.progress)


async def test_what_has_no_effect_is_told_once(bench):
    _, _, painter = await edit(table(bench), drive(4), ip_adapter_scale=0.4)
    assert painter.account()["warnings"] == ["ip_adapter_scale has no effect without reference_image"]
