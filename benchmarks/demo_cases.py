"""The edits of SPEC.md section 8: on photographs, and in the little painted world that the demo models know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

from demo_models.world.cars import Car
from demo_models.world.furniture import Furniture
from demo_models.world.palette import RIM_COLOURS, SURFACES
from demo_models.world.people import Person, garment_image
from demo_models.world.scenes import SceneSpec, render, sample_spec
from demo_models.world.textures import Appearance, swatch
from demo_models.world.wheels import Rim, rim_reference

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
_SUIT = [
    *((22, 511), (45, 270), (110, 215), (120, 245), (155, 280), (205, 296), (255, 292), (300, 262), (308, 238)),
    *((345, 270), (360, 345), (305, 380), (282, 440), (285, 511)),
]
"""The astronaut's suit, below the collar and left of the helmet, as a polygon."""
_CUP = [
    *((174, 120), (200, 180), (250, 205), (300, 208), (350, 195), (405, 130), (400, 190), (370, 240), (330, 275)),
    *((290, 284), (250, 276), (215, 225), (185, 185)),
]
"""The outside of the coffee cup."""


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
    """Two photographs, which the demo models were not made to paint, with masks as a user would draw them."""
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    suit = Image.new("L", (astronaut.shape[1], astronaut.shape[0]))
    ImageDraw.Draw(suit).polygon(_SUIT, fill=255)
    cup = Image.new("L", (coffee.shape[1], coffee.shape[0]))
    ImageDraw.Draw(cup).polygon(_CUP, fill=255)
    return [
        Case(name="9.1 photograph, suit", prompt="make the suit green", base=astronaut, mask=np.asarray(suit)),
        Case(name="9.2 photograph, cup", prompt="make the cup blue", base=coffee, mask=np.asarray(cup)),
    ]


def _scene(wanted: Callable[[Any], bool]) -> SceneSpec:
    return next(spec for spec in map(sample_spec, range(10_000)) if wanted(spec.subject))


def _image(spec: SceneSpec) -> Pixels:
    return render(spec).image
