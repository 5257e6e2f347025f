"""A scene: sample a specification by seed, render it with its ground truth.

Flow: seed -> **specification** -> **scene** (image, masks, boxes, depth, key points). Rendering the same
specification with one attribute replaced gives the exact truth of an edit. What stands in front of the subject hides
a part of it, in the image and in the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from demo_models.world.backdrops import ROOM, STREET, STUDIO, Backdrop
from demo_models.world.boards import HazardBoard
from demo_models.world.canvas import SUPERSAMPLING, Canvas, averaged
from demo_models.world.cars import Car
from demo_models.world.furniture import Furniture
from demo_models.world.ground import Ground
from demo_models.world.people import Person
from demo_models.world.textures import Appearance

FAMILIES: Final = (Car.FAMILY, Furniture.FAMILY, Person.FAMILY, HazardBoard.FAMILY)
_SHARES: Final = (0.32, 0.32, 0.31, 0.05)
_MANY: Final = frozenset({"wheels", "rims", "windows"})
_LEAST_BOX_AREA_PX: Final = 12


class Subject(Protocol):
    """What a scene is about."""

    @property
    def appearance(self) -> Appearance:
        """The look that a caption names."""

    @property
    def noun(self) -> str:
        """What a caption calls it."""

    @property
    def LABELS(self) -> Mapping[str, tuple[int, ...]]:  # noqa: N802 - a constant of most families
        """The nouns to be found in the image and the parts that they cover."""

    @property
    def NAMED_PARTS(self) -> tuple[int, ...]:  # noqa: N802 - a constant of every family
        """The parts that carry the appearance."""

    def draw(self, canvas: Canvas, ground: Ground) -> None:
        """Paints itself."""


@dataclass(frozen=True, kw_only=True)
class LabelledBox:
    """One instance of a noun: corners in scene pixels, right and bottom exclusive."""

    label: str
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """Every choice that a scene is made of.

    Attributes:
        backdrop: What is behind.
        subject: What the scene is about.
        front: What stands before the subject, if anything does.
    """

    backdrop: Backdrop
    subject: Car | Furniture | Person | HazardBoard
    front: Person | Furniture | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A rendered scene.

    Attributes:
        spec: What was rendered.
        image: RGB uint8 (256, 256, 3).
        masks: Per noun, uint8 (256, 256), 255 = belongs to it (averaged at the edge).
        named_mask: The part that carries the appearance, uint8 (256, 256).
        parts: Which part of the subject is visible, uint8 (256, 256), 0 = none; ``subject.LABELS`` names them.
        boxes: One per instance of a noun.
        depth: Inverse depth, uint8 (256, 256), 255 = nearest.
        keypoints: OpenPose-18 joints of the subject in scene pixels (x, y), float32 (18, 2); None when it is no person.
        front_mask: What stands before the subject, uint8 (256, 256), 255 = covers it; all 0 when nothing does.
    """

    spec: SceneSpec
    image: NDArray[np.uint8]
    masks: Mapping[str, NDArray[np.uint8]]
    named_mask: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    boxes: tuple[LabelledBox, ...]
    depth: NDArray[np.uint8]
    keypoints: NDArray[np.float32] | None
    front_mask: NDArray[np.uint8]

    @property
    def silhouette(self) -> NDArray[np.uint8]:
        """The mask of the thing that a caption names: the car, the chair, the garment."""
        return self.masks[self.spec.subject.noun]


def sample_spec(seed: int, family: str | None = None) -> SceneSpec:
    """Draws a scene's specification; the same seed and family give the same specification."""
    rng = np.random.default_rng(seed)
    drawn = str(rng.choice(FAMILIES, p=_SHARES))
    match family or drawn:
        case Car.FAMILY:
            return SceneSpec(backdrop=Backdrop.sample(rng, STREET), subject=Car.sample(rng))
        case Furniture.FAMILY:
            piece = Furniture.sample(rng)
            return SceneSpec(backdrop=Backdrop.sample(rng, ROOM, piece.camera), subject=piece)
        case Person.FAMILY:
            kind = str(rng.choice([STUDIO, STREET, ROOM]))
            return SceneSpec(backdrop=Backdrop.sample(rng, kind), subject=Person.sample(rng))
        case HazardBoard.FAMILY:
            kind = str(rng.choice([STREET, STUDIO, ROOM]))
            return SceneSpec(backdrop=Backdrop.sample(rng, kind), subject=HazardBoard.sample(rng))
        case unknown:
            raise ValueError(f"no family {unknown!r}; known: {', '.join(FAMILIES)}")


def render(spec: SceneSpec) -> Scene:
    """Renders a specification; deterministic."""
    canvas = Canvas()
    ground = spec.backdrop.draw(canvas)
    spec.subject.draw(canvas, ground)
    hidden = _draw_front(spec, canvas, ground)
    masks = {label: part_mask(canvas, parts) for label, parts in spec.subject.LABELS.items()}
    joints = spec.subject.keypoints() / SUPERSAMPLING if isinstance(spec.subject, Person) else None
    return Scene(
        spec=spec,
        image=canvas.image(),
        masks=masks,
        named_mask=part_mask(canvas, spec.subject.NAMED_PARTS),
        parts=canvas.parts[::SUPERSAMPLING, ::SUPERSAMPLING].copy(),
        boxes=tuple(box for label, mask in masks.items() for box in boxes_of(label, mask)),
        depth=np.rint(np.clip(averaged(canvas.depth), 0, 255)).astype(np.uint8),
        keypoints=None if joints is None else joints.astype(np.float32),
        front_mask=_share(hidden),
    )


def render_empty(spec: SceneSpec) -> NDArray[np.uint8]:
    """Renders the scene without the subject, RGB uint8 (256, 256, 3)."""
    canvas = Canvas()
    _draw_front(spec, canvas, spec.backdrop.draw(canvas))
    return canvas.image()


def _draw_front(spec: SceneSpec, canvas: Canvas, ground: Ground) -> NDArray[np.bool_]:
    """Paints what stands before the subject, whose parts are gone where it is. Returns where it is, canvas-sized."""
    if spec.front is None:
        return np.zeros_like(canvas.parts, dtype=bool)
    behind, canvas.parts = canvas.parts, np.zeros_like(canvas.parts)
    spec.front.draw(canvas, ground)
    hidden = canvas.parts > 0
    canvas.parts = np.where(hidden, np.uint8(0), behind)
    return hidden


def part_mask(canvas: Canvas, parts: tuple[int, ...]) -> NDArray[np.uint8]:
    """Returns where the parts are visible, uint8 (SCENE_PX, SCENE_PX), 255 = fully."""
    return _share(np.isin(canvas.parts, parts))


def _share(chosen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """How much of each scene pixel is chosen on the canvas, uint8 (SCENE_PX, SCENE_PX), 255 = all of it."""
    return np.rint(averaged(chosen.astype(np.float32)) * 255).astype(np.uint8)


def boxes_of(label: str, mask: NDArray[np.uint8]) -> list[LabelledBox]:
    """Returns the box of every instance of a noun, whose mask (256, 256) is given."""
    solid = mask > 127
    if not solid.any():
        return []
    marks = ndimage.label(solid)[0] if label in _MANY else solid.astype(int)
    found = []
    for rows, columns in ndimage.find_objects(marks):
        if (rows.stop - rows.start) * (columns.stop - columns.start) >= _LEAST_BOX_AREA_PX:
            left, right = columns.start, columns.stop
            found.append(LabelledBox(label=label, left=left, top=rows.start, right=right, bottom=rows.stop))
    return found
