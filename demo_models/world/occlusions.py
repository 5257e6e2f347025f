"""What stands in front of things: a person before a car, a chair before a table or a sofa."""

import dataclasses
from typing import Final

import numpy as np

from demo_models.world.cars import Car
from demo_models.world.furniture import Furniture
from demo_models.world.ground import Camera
from demo_models.world.people import L_ANKLE, R_ANKLE, Person
from demo_models.world.scenes import SceneSpec, sample_spec

_BEFORE_CAR_PX: Final = (14.0, 44.0)
"""How far below a car's tyres the soles stand, canvas pixels."""
_ALONG_CAR: Final = (0.15, 0.85)
_BEFORE_FURNITURE_M: Final = (0.55, 0.8)
_BESIDE_FURNITURE_M: Final = 0.55


def occluded(rng: np.random.Generator, spec: SceneSpec) -> SceneSpec:
    """Returns a scene of a car or a piece of furniture with something that stands in front of it.

    Raises:
        ValueError: Nothing is known to stand before such a thing.
    """
    if isinstance(spec.subject, Car):
        return dataclasses.replace(spec, front=_person_before(rng, spec.subject))
    if isinstance(spec.subject, Furniture):
        return dataclasses.replace(spec, front=_chair_before(rng, spec.subject))
    raise ValueError(f"nothing stands before a {spec.subject.noun}")


def _person_before(rng: np.random.Generator, car: Car) -> Person:
    person = dataclasses.replace(
        Person.sample(rng), centre_px=car.left_px + car.length_px * float(rng.uniform(*_ALONG_CAR))
    )
    soles = float(person.keypoints()[[R_ANKLE, L_ANKLE], 1].max()) + 0.2 * person.unit_px
    wanted = car.base_px + float(rng.uniform(*_BEFORE_CAR_PX))
    return dataclasses.replace(person, top_px=person.top_px + wanted - soles)


def _chair_before(rng: np.random.Generator, piece: Furniture) -> Furniture:
    """Nearer to the same camera: it is drawn as by a camera that stands less far away."""
    nearer = float(rng.uniform(*_BEFORE_FURNITURE_M))
    camera: Camera = dataclasses.replace(piece.camera, distance_m=piece.camera.distance_m - nearer)
    beside = float(rng.uniform(-_BESIDE_FURNITURE_M, _BESIDE_FURNITURE_M))
    return dataclasses.replace(Furniture.sample(rng, "chair"), camera=camera, shift_m=piece.shift_m + beside)


def sample_hidden(seed: int) -> SceneSpec:
    """Draws a car or a piece of furniture with something before it; before a chair there is nothing. Deterministic."""
    rng = np.random.default_rng([7, seed])
    spec = sample_spec(seed, str(rng.choice([Car.FAMILY, Furniture.FAMILY])))
    return spec if spec.subject.noun == "chair" else occluded(rng, spec)
