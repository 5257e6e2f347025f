"""The world moves: a car drives past a camera that stands still, a person moves, or the camera pans over the rest."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo_models.world.canvas import CANVAS_PX, SUPERSAMPLING
from demo_models.world.cars import Car
from demo_models.world.edits import RECOLOUR, EditPair, edit_pair, sample_edit, with_look
from demo_models.world.people import Person, Posture
from demo_models.world.scenes import SceneSpec, render_empty
from demo_models.world.seeds import edit_scene

DRIVE: Final = "drive"
PAN: Final = "pan"
MOVE: Final = "move"
_SMALLER: Final = 0.85
"""Of a car, so that it has a way to go and is still of a size that the demo models have seen."""
_EDGE_PX: Final = 14.0
_FASTEST_PX: Final = 8.0
"""Canvas pixels a frame."""
_THERE_AND_BACK: Final = 48
"""Frames: two seconds of a film."""
_PAN_PX: Final = 2
"""Scene pixels a frame at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipEdit:
    """One edit of a clip, with its truth.

    Attributes:
        prompt: What a user would write.
        motion: drive, pan or move.
        frames: As filmed, RGB uint8 (256, 256, 3) each.
        pairs: Of each frame the edit's truth, as a camera that stands still would see it.
        empty: What a camera that stands still would see without the thing.
        camera: Of each frame how many pixels to the right the picture lies that such a camera would see.
        moved: Of each frame how far to the right, in pixels, the thing is from where it is in the first. None: no such
            figure says how it moves.
    """

    prompt: str
    motion: str
    frames: tuple[NDArray[np.uint8], ...]
    pairs: tuple[EditPair, ...]
    empty: NDArray[np.uint8]
    camera: tuple[int, ...]
    moved: tuple[float, ...] | None

    def region(self, number: int) -> NDArray[np.uint8]:
        """The part whose look changes, as filmed, uint8 (256, 256), 255 = changes."""
        return shifted(self.pairs[number].region, self.camera[number], fill=0)

    def silhouette(self, number: int) -> NDArray[np.uint8]:
        """The whole thing, as filmed, uint8 (256, 256)."""
        return shifted(self.pairs[number].silhouette, self.camera[number], fill=0)

    def truth(self, number: int) -> NDArray[np.uint8]:
        """What should become of a frame."""
        return _with_more_of(self.empty, self.pairs[number].after.image, self.camera[number])

    def as_seen_standing(self, number: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An edited frame as the truth is given; what the frame does not show is as it was before."""
        before, shift = self.pairs[number].before.image, self.camera[number]
        known = shifted(np.full(image.shape[:2], 255, np.uint8), -shift, fill=0) > 0
        return np.where(known[..., None], shifted(image, -shift), before)


def sample_clip(seed: int, count: int, *, people_move: bool = False) -> ClipEdit:
    """Draws a recolour of a clip of so many frames. Deterministic.

    A car drives; a person moves, if people are to; everything else is panned over.
    """
    first = sample_edit(seed, RECOLOUR)
    rng = np.random.default_rng((edit_scene(seed, 0), count))
    match first.before.spec.subject:
        case Car():
            return _driven(rng, first, count)
        case Person() if people_move:
            return _moving(rng, first, count)
        case _:
            return _panned(rng, first, count)


def joined(*clips: ClipEdit) -> tuple[NDArray[np.uint8], ...]:
    """The frames of clips one after the other, with a cut between each two."""
    return tuple(frame for clip in clips for frame in clip.frames)


def _driven(rng: np.random.Generator, first: EditPair, count: int) -> ClipEdit:
    car = first.before.spec.subject
    assert isinstance(car, Car)
    length = _SMALLER * car.length_px
    room = CANVAS_PX - 2 * _EDGE_PX - length
    step = min(_FASTEST_PX, room / max(count - 1, 1)) * float(rng.uniform(0.6, 1.0))
    way = step * (count - 1)
    start = _EDGE_PX + float(rng.uniform(0, room - way))
    places = start + step * np.arange(count)
    if car.facing_left:
        places = places[::-1]
    cars = [dataclasses.replace(car, length_px=length, left_px=float(place)) for place in places]
    return _filmed(DRIVE, first, cars, tuple(float(place - places[0]) / SUPERSAMPLING for place in places))


def _moving(rng: np.random.Generator, first: EditPair, count: int) -> ClipEdit:
    """Arms, legs, back and head go from one posture to another and back, as fast as people do it."""
    person = first.before.spec.subject
    assert isinstance(person, Person)
    other = Posture.sample(rng)
    ways = (1 - np.cos(2 * np.pi * np.arange(count) / _THERE_AND_BACK)) / 2
    people = [dataclasses.replace(person, posture=person.posture.towards(other, float(way))) for way in ways]
    return _filmed(MOVE, first, people, None)


def _filmed(
    motion: str, first: EditPair, subjects: Sequence[Car | Person], moved: tuple[float, ...] | None
) -> ClipEdit:
    """A camera that stands still sees the subject otherwise in each frame."""
    spec, look = first.before.spec, first.after.spec.subject.appearance
    pairs = []
    for subject in subjects:
        before = SceneSpec(backdrop=spec.backdrop, subject=subject)
        pairs.append(edit_pair(RECOLOUR, first.prompt, before, with_look(before, look), first.noun))
    return ClipEdit(
        prompt=first.prompt,
        motion=motion,
        frames=tuple(pair.before.image for pair in pairs),
        pairs=tuple(pairs),
        empty=render_empty(first.before.spec),
        camera=(0,) * len(pairs),
        moved=moved,
    )


def _panned(rng: np.random.Generator, first: EditPair, count: int) -> ClipEdit:
    columns = np.flatnonzero(first.silhouette.any(axis=0))
    left, right = int(columns[0]), first.silhouette.shape[1] - 1 - int(columns[-1])
    room, way = max((left, -1), (right, 1))
    step = min(_PAN_PX, room // max(count - 1, 1))
    camera = tuple(way * round(at) for at in np.arange(count) * max(step, min(1.0, room / max(count - 1, 1))))
    empty = render_empty(first.before.spec)
    return ClipEdit(
        prompt=first.prompt,
        motion=PAN,
        frames=tuple(_with_more_of(empty, first.before.image, shift) for shift in camera),
        pairs=(first,) * count,
        empty=empty,
        camera=camera,
        moved=tuple(float(shift) for shift in camera),
    )


def _with_more_of(empty: NDArray[np.uint8], picture: NDArray[np.uint8], right_px: int) -> NDArray[np.uint8]:
    """A picture that lies farther right; what comes into view is of the empty scene, not a second thing."""
    known = shifted(np.full(picture.shape[:2], 255, np.uint8), right_px, fill=0) > 0
    return np.where(known[..., None], shifted(picture, right_px), shifted(empty, right_px))


def shifted(picture: NDArray[np.uint8], right_px: int, fill: int | None = None) -> NDArray[np.uint8]:
    """Returns a picture or mask that lies farther right; what comes into view mirrors the edge, or is `fill`."""
    before, after = max(right_px, 0), max(-right_px, 0)
    around = ((0, 0), (before, after), *((0, 0),) * (picture.ndim - 2))
    padded = np.pad(picture, around, mode="reflect") if fill is None else np.pad(picture, around, constant_values=fill)
    width = picture.shape[1]
    return padded[:, after : after + width].copy()
