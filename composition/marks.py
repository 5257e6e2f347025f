"""What a person clicked or drew on the photo: request -> **mark** -> mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from composition.errors import InvalidInput
from composition.images import Box


class Point(NamedTuple):
    """A click, in pixels of the photo: x right, y down; `label` 1 is on the thing that is meant, 0 is not."""

    x: float
    y: float
    label: int = 1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One thing that is pointed at: by points, by a box, or by both."""

    points: tuple[Point, ...] = ()
    box: Box | None = None

    @property
    def on_thing(self) -> tuple[Point, ...]:
        """The points of label 1."""
        return tuple(point for point in self.points if point.label == 1)

    def check_inside(self, size: tuple[int, int]) -> None:
        """Whether it lies on an image of `size` (width, height). Raises: InvalidInput, with the option's name."""
        width, height = size
        for index, (x, y, _) in enumerate(self.points):
            if not (0 <= x < width and 0 <= y < height):
                raise _outside(f"config.points.{index}", (x, y), size)
        box = self.box
        if box is not None and not (0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height):
            raise _outside("config.box", (box.x0, box.y0, box.x1, box.y1), size)

    def scaled(self, x_factor: float, y_factor: float) -> Mark:
        """The same mark on the image in another size."""
        points = tuple(Point(x * x_factor, y * y_factor, label) for x, y, label in self.points)
        if self.box is None:
            return Mark(points=points)
        box = self.box
        return Mark(
            points=points,
            box=Box(x0=box.x0 * x_factor, y0=box.y0 * y_factor, x1=box.x1 * x_factor, y1=box.y1 * y_factor),
        )


def _outside(field: str, place: tuple[float, ...], size: tuple[int, int]) -> InvalidInput:
    shown = ", ".join(f"{side:g}" for side in place)
    return InvalidInput(
        f"{field}: [{shown}] does not lie on the image, which is {size[0]}x{size[1]} pixels", details={"field": field}
    )
