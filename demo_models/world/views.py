"""Several photographs of one thing: a car, a person or a piece of furniture from elsewhere, before something else."""

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np

from demo_models.world.backdrops import Backdrop
from demo_models.world.canvas import CANVAS_PX
from demo_models.world.cars import Car
from demo_models.world.edits import EditPair, edit_pair, sample_edit, visible, with_look
from demo_models.world.furniture import Furniture
from demo_models.world.people import Person, Posture
from demo_models.world.scenes import SceneSpec
from demo_models.world.seeds import SCENES_PER_EDIT, edit_scene

_ZOOM: Final = (0.78, 1.04)
_MARGIN_PX: Final = 14.0
_YAW_RAD: Final = 0.7
_SHIFT_M: Final = 0.3
_NEARER_M: Final = (-0.2, 0.6)


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewsEdit:
    """One edit of several photographs of a thing; of each its own truth, which has the same look in all."""

    prompt: str
    pairs: tuple[EditPair, ...]


def sample_views(seed: int, kind: str, count: int) -> ViewsEdit:
    """Draws an edit of a kind (recolour or material) and so many views; the first is `sample_edit`'s. Deterministic."""
    first = sample_edit(seed, kind)
    look, pairs = first.after.spec.subject.appearance, [first]
    for attempt in range(SCENES_PER_EDIT):
        rng = np.random.default_rng((edit_scene(seed, attempt), count))
        before = seen_from_elsewhere(rng, first.before.spec)
        pair = edit_pair(kind, first.prompt, before, with_look(before, look), first.noun)
        pairs += [pair] if visible(pair) else []
        if len(pairs) == count:
            return ViewsEdit(prompt=first.prompt, pairs=tuple(pairs))
    raise AssertionError(f"no {count} views for seed {seed}")


def seen_from_elsewhere(rng: np.random.Generator, spec: SceneSpec) -> SceneSpec:
    """Returns another photograph of a scene's subject: nearer or farther, shifted, turned or mirrored, elsewhere.

    Raises:
        ValueError: Such a subject is only known from one side.
    """
    subject, backdrop = spec.subject, spec.backdrop
    if isinstance(subject, Car):
        return SceneSpec(backdrop=Backdrop.sample(rng, backdrop.kind), subject=_car(rng, subject))
    if isinstance(subject, Person):
        return SceneSpec(backdrop=Backdrop.sample(rng, backdrop.kind), subject=_person(rng, subject))
    if isinstance(subject, Furniture):
        piece = _furniture(rng, subject)
        return SceneSpec(backdrop=Backdrop.sample(rng, backdrop.kind, piece.camera), subject=piece)
    raise ValueError(f"a {subject.noun} is known from one side only")


def _car(rng: np.random.Generator, car: Car) -> Car:
    length = min(car.length_px * float(rng.uniform(*_ZOOM)), CANVAS_PX - 2 * _MARGIN_PX)
    return dataclasses.replace(
        car,
        length_px=length,
        left_px=float(rng.uniform(_MARGIN_PX, CANVAS_PX - _MARGIN_PX - length)),
        base_px=float(rng.uniform(365, 445)),
        facing_left=bool(rng.random() < 0.5),
    )


def _person(rng: np.random.Generator, person: Person) -> Person:
    height = person.height_px * float(rng.uniform(*_ZOOM))
    return dataclasses.replace(
        person,
        posture=_mirrored(person.posture) if rng.random() < 0.5 else person.posture,
        height_px=height,
        centre_px=float(rng.uniform(200, 312)),
        top_px=float(rng.uniform(_MARGIN_PX, CANVAS_PX - _MARGIN_PX - height)),
    )


def _mirrored(posture: Posture) -> Posture:
    return Posture(
        lean=-posture.lean,
        shoulders=posture.shoulders[::-1],
        elbows=posture.elbows[::-1],
        hips=posture.hips[::-1],
        knees=posture.knees[::-1],
        head_turn=-posture.head_turn,
    )


def _furniture(rng: np.random.Generator, piece: Furniture) -> Furniture:
    farther = float(rng.uniform(*_NEARER_M))
    camera = dataclasses.replace(piece.camera, distance_m=piece.camera.distance_m + farther)
    return dataclasses.replace(
        piece,
        yaw_rad=float(rng.uniform(-_YAW_RAD, _YAW_RAD)),
        shift_m=float(rng.uniform(-_SHIFT_M, _SHIFT_M)),
        camera=camera,
    )
