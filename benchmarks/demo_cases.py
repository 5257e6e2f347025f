"""The edits of SPEC.md section 8: on photographs, and in the little painted world that the demo models know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import skimage.data

from benchmarks.demo_photograph_things import load_things
from demo_models.world.cars import Car
from demo_models.world.furniture import Furniture
from demo_models.world.palette import RIM_COLOURS, SURFACES
from demo_models.world.people import Person, garment_image
from demo_models.world.scenes import SceneSpec, render, sample_spec
from demo_models.world.textures import Appearance, swatch
from demo_models.world.wheels import Rim, rim_reference

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One edit: images are RGB uint8 (H, W, 3), `mask` is uint8 (H, W), 255 = repaint."""

    name: str
    prompt: str
    base: Pixels
    reference: Pixels | None = None
    mask: Pixels | None = None

    @property
    def title(self) -> str:
        """The name without its number, as the page and the gallery show it."""
        title = self.name.partition(" ")[2]
        return title[0].upper() + title[1:]


def photo_cases() -> list[Case]:
    """The four cases on photographs that scikit-image ships (sources and licences: docs/licences.md)."""
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    motorcycle, other_view, _ = skimage.data.stereo_motorcycle()
    return [
        Case(
            name="8.1 virtual try-on",
            prompt="person wearing this jacket",
            base=astronaut,
            reference=astronaut[300:500, 40:240],
        ),
        Case(
            name="8.2 rim replacement",
            prompt="motorcycle with these sport rims",
            base=motorcycle,
            reference=other_view[200:420, 60:280],
        ),
        Case(name="8.3 colour change", prompt="blue cup", base=coffee),
        Case(
            name="8.4 texture transfer",
            prompt="table with brick texture",
            base=coffee,
            reference=np.repeat(skimage.data.brick()[:, :, None], 3, axis=2),
        ),
    ]


def world_cases() -> list[Case]:
    """The four cases in the demo models' own world, in scenes that they were not trained on."""
    wearer = _scene(lambda s: isinstance(s, Person) and s.noun == "t-shirt" and s.appearance.colour == "grey")
    jacket = _scene(lambda s: isinstance(s, Person) and s.noun == "jacket" and s.appearance.phrase.startswith("red"))
    car = _scene(lambda s: isinstance(s, Car) and s.appearance.colour == "red" and s.rim.colour == "black")
    table = _scene(lambda s: isinstance(s, Furniture) and s.noun == "table" and s.appearance.material == "oak wood")
    assert isinstance(jacket.subject, Person)
    assert isinstance(car.subject, Car)
    rim = replace(car.subject.rim, style="five spoke", colour="gold")
    assert rim.colour in RIM_COLOURS
    marble = Appearance.sample(np.random.default_rng(0), (SURFACES[2],))
    return [
        Case(
            name="8.1 virtual try-on",
            prompt=f"person wearing this {jacket.subject.noun}",
            base=_image(wearer),
            reference=garment_image(jacket.subject),
        ),
        Case(
            name="8.2 rim replacement",
            prompt="car with these sport rims",
            base=_image(car),
            reference=rim_reference(Rim(style=rim.style, colour=rim.colour, turn_rad=rim.turn_rad)),
        ),
        Case(name="8.3 colour change", prompt="blue car", base=_image(car)),
        Case(
            name="8.4 texture transfer",
            prompt="table with marble texture",
            base=_image(table),
            reference=swatch(marble),
        ),
    ]


def photo_recolours() -> list[Case]:
    """Photographs on which the demo models paint another colour.

    What somebody wears is found there; a saucer is none of what is, and has a mask as a user would draw it.
    """
    coffee = skimage.data.coffee()
    saucer = next(thing for thing in load_things() if thing.photograph == "coffee" and thing.recoloured)
    mask = saucer.silhouette((coffee.shape[0], coffee.shape[1])).astype(np.uint8) * np.uint8(255)
    return [
        Case(name="9.1 suit on a photograph", prompt="make the suit green", base=skimage.data.astronaut()),
        Case(name="9.2 saucer in a mask by hand", prompt="make the saucer blue", base=coffee, mask=mask),
    ]


def _scene(wanted: Callable[[Any], bool]) -> SceneSpec:
    return next(spec for spec in map(sample_spec, range(10_000)) if wanted(spec.subject))


def _image(spec: SceneSpec) -> Pixels:
    return render(spec).image
