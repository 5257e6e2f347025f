"""Edit pairs: a scene, an instruction, perhaps a reference image, and the exact truth of the edit."""

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from demo_models.world.cars import Car
from demo_models.world.furniture import Furniture
from demo_models.world.occlusions import occluded
from demo_models.world.palette import COLOURS, PATTERNS, PLAIN, SURFACES
from demo_models.world.people import Person
from demo_models.world.scenes import Scene, SceneSpec, render, sample_spec
from demo_models.world.scoring import colour_difference, mean_colour
from demo_models.world.seeds import SCENES_PER_EDIT, edit_scene
from demo_models.world.textures import Appearance, swatch
from demo_models.world.wheels import Rim, rim_reference

RECOLOUR: Final = "recolour"
MATERIAL: Final = "material"
REFERENCE: Final = "reference"
STRUCTURE: Final = "structure"
OCCLUSION: Final = "occlusion"
KINDS: Final = (RECOLOUR, MATERIAL, REFERENCE, STRUCTURE)
"""What the models are trained for and judged by as a whole."""
ALL_KINDS: Final = (*KINDS, OCCLUSION)
_LEAST_CHANGE: Final = 14.0
"""CIEDE2000 between the mean colours before and after; a smaller change could not be judged."""
_LEAST_HIDDEN_PX: Final = 300
"""Of what stands in front, within the window that the thing's shape is judged in."""
_WINDOW_MARGIN_PX: Final = 16
_ROOM: Final = (0.05, 0.6)


@dataclass(frozen=True, kw_only=True, eq=False)
class EditPair:
    """One edit with its truth.

    Attributes:
        kind: recolour, material, reference, structure or occlusion (a structure edit of what is partly hidden).
        prompt: What a user would write.
        noun: The label of the thing to be repainted.
        before: The scene as photographed.
        after: The scene as it should become; every pixel outside ``region`` equals ``before``.
        region: The part whose look changes, uint8 (256, 256), 255 = changes.
        silhouette: The whole thing that must keep its shape, uint8 (256, 256).
        reference: The reference image, RGB uint8 (128, 128, 3), or None.
    """

    kind: str
    prompt: str
    noun: str
    before: Scene
    after: Scene
    region: NDArray[np.uint8]
    silhouette: NDArray[np.uint8]
    reference: NDArray[np.uint8] | None

    @property
    def silhouette_window(self) -> NDArray[np.bool_]:
        """Where the painted shape is compared with the true one: the thing and a margin for what strays from it."""
        margin = 2 * _WINDOW_MARGIN_PX + 1
        return np.asarray(ndimage.maximum_filter(self.silhouette > 127, size=margin))

    @property
    def rough_mask(self) -> NDArray[np.uint8]:
        """What a careless hand would mark, uint8 (256, 256): a rectangle with room on every side."""
        room = roomy_box(self.silhouette > 127, np.random.default_rng(int(self.silhouette.sum())))
        return room.astype(np.uint8) * np.uint8(255)


def roomy_box(shape: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Returns a rectangle (H, W) about a shape, with room of 5 to 60 % of its extent on each side."""
    room = np.zeros_like(shape)
    sides = []
    for axis, length in enumerate(shape.shape):
        places = np.flatnonzero(shape.any(axis=1 - axis))
        first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, length)
        before, after = rng.uniform(*_ROOM, 2) * (last - first)
        sides.append(slice(max(0, round(first - before)), min(length, round(last + after))))
    room[sides[0], sides[1]] = True
    return room


def sample_edit(seed: int, kind: str) -> EditPair:
    """Draws an edit of a kind; deterministic. Edits of unequal seeds share no scene.

    Raises:
        ValueError: The kind is unknown.
    """
    if kind not in ALL_KINDS:
        raise ValueError(f"no edit {kind!r}; known: {', '.join(ALL_KINDS)}")
    draw = {
        RECOLOUR: _recolour,
        MATERIAL: _material,
        REFERENCE: _reference,
        STRUCTURE: _structure,
        OCCLUSION: _occlusion,
    }[kind]
    for attempt in range(SCENES_PER_EDIT):
        number = edit_scene(seed, attempt)
        pair = draw(np.random.default_rng(number), number)
        if pair is not None and visible(pair):
            return pair
    raise AssertionError(f"no visible {kind} edit for seed {seed}")


def visible(pair: EditPair) -> bool:
    """Whether an edit changes enough to be judged."""
    inside = pair.region > 200
    if inside.sum() < 60:
        return False
    before, after = (mean_colour(scene.image, pair.region) for scene in (pair.before, pair.after))
    return colour_difference(before, after) >= _LEAST_CHANGE


def with_look(spec: SceneSpec, look: Appearance) -> SceneSpec:
    """Returns a scene whose subject looks otherwise."""
    return dataclasses.replace(spec, subject=dataclasses.replace(spec.subject, appearance=look))


def edit_pair(
    kind: str, prompt: str, before: SceneSpec, after: SceneSpec, noun: str, reference: NDArray[np.uint8] | None = None
) -> EditPair:
    """Renders a scene and what it should become."""
    first, second = render(before), render(after)
    region = first.masks["rims"] if noun == "rims" else first.named_mask
    return EditPair(
        kind=kind,
        prompt=prompt,
        noun=noun,
        before=first,
        after=second,
        region=region,
        silhouette=first.masks[noun],
        reference=reference,
    )


def _other_colour(rng: np.random.Generator, look: Appearance) -> str:
    return str(rng.choice([name for name in COLOURS if name != look.colour]))


def _recolour(rng: np.random.Generator, number: int) -> EditPair | None:
    spec = sample_spec(number, str(rng.choice([Car.FAMILY, Person.FAMILY, Furniture.FAMILY])))
    noun = spec.subject.noun
    if spec.subject.appearance.material not in (PLAIN, *PATTERNS):
        return None
    colour = _other_colour(rng, spec.subject.appearance)
    orders = (f"make the {noun} {colour}", f"change the {noun} color to {colour}")
    wordings = (f"{colour} {noun}", f"a {colour} {noun}", *orders)
    look = Appearance.sample(rng, (PLAIN,), colour)
    return edit_pair(RECOLOUR, str(rng.choice(wordings)), spec, with_look(spec, look), noun)


def _material(rng: np.random.Generator, number: int) -> EditPair | None:
    spec = sample_spec(number, Furniture.FAMILY)
    if spec.subject.noun != "table":
        return None
    material = str(rng.choice([m for m in SURFACES if m != spec.subject.appearance.material]))
    wordings = (f"{material} table", f"table with {material} texture", f"make the table {material}")
    look = Appearance.sample(rng, (material,))
    return edit_pair(MATERIAL, str(rng.choice(wordings)), spec, with_look(spec, look), "table")


def _reference(rng: np.random.Generator, number: int) -> EditPair | None:
    if rng.random() < 0.5:
        spec = sample_spec(number, Car.FAMILY)
        assert isinstance(spec.subject, Car)
        old, rim = spec.subject.rim, Rim.sample(rng)
        if (old.style, old.colour) == (rim.style, rim.colour):
            return None
        rim = dataclasses.replace(rim, turn_rad=old.turn_rad)
        after = dataclasses.replace(spec, subject=dataclasses.replace(spec.subject, rim=rim))
        return edit_pair(REFERENCE, "car with these sport rims", spec, after, "rims", rim_reference(rim))
    spec = sample_spec(number, Person.FAMILY)
    noun = spec.subject.noun
    look = Appearance.sample(rng, (PLAIN, *PATTERNS))
    return edit_pair(REFERENCE, f"person wearing this {noun}", spec, with_look(spec, look), noun, swatch(look))


def _structure(rng: np.random.Generator, number: int) -> EditPair | None:
    return _replacement(STRUCTURE, rng, sample_spec(number, str(rng.choice([Car.FAMILY, Furniture.FAMILY]))))


def _occlusion(rng: np.random.Generator, number: int) -> EditPair | None:
    spec = sample_spec(number, str(rng.choice([Car.FAMILY, Furniture.FAMILY])))
    if spec.subject.noun == "chair":  # another one stands before it: which would be meant?
        return None
    pair = _replacement(OCCLUSION, rng, occluded(rng, spec))
    hides = np.count_nonzero(pair.before.front_mask[pair.silhouette_window])
    return pair if hides >= _LEAST_HIDDEN_PX else None


def _replacement(kind: str, rng: np.random.Generator, spec: SceneSpec) -> EditPair:
    noun = spec.subject.noun
    colour = _other_colour(rng, spec.subject.appearance)
    look = Appearance.sample(rng, (PLAIN,), colour)
    return edit_pair(kind, f"replace the {noun} with a {colour} {noun}", spec, with_look(spec, look), noun)
