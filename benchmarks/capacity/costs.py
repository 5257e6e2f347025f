"""What one request costs a worker, in seconds by shape and rows: measured, or expected of a card.

The least that simulating needs: a forward's seconds depend on its rows, a ControlNet's on the rows that want it, and
encoding, decoding and all that surrounds the diffusion are paid once for a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SecondsByRows = Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class ShapeCosts:
    """Seconds for images of one shape.

    Attributes:
        latent_size: (h, w) of the latents.
        encode_s: all that the model needs before a request's first step.
        decode_s: from the last latents to pixels.
        unet_s: a forward, by its rows.
        controlnet_s: what one ControlNet adds to a step, by the rows that want it; empty where there is none.
    """

    latent_size: tuple[int, int]
    encode_s: float
    decode_s: float
    unet_s: SecondsByRows
    controlnet_s: SecondsByRows = field(default_factory=dict)

    def step_s(self, rows: int, controlled: Sequence[int] = ()) -> float:
        """A step of a batch of `rows`; `controlled` has for each ControlNet that runs the rows that want it.

        Raises:
            ValueError: a ControlNet is asked for that was not measured.
        """
        if controlled and not self.controlnet_s:
            raise ValueError("these step costs have no ControlNet")
        return interpolated(self.unet_s, rows) + sum(interpolated(self.controlnet_s, wanting) for wanting in controlled)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a worker's requests cost.

    Attributes:
        about: where the figures are from, for whoever reads a report.
        shapes: by name, such as "square".
        around_s: what an edit costs outside the diffusion: finding the region, blending, encoding the answer.
        reference_s: what a reference image adds to encoding.
    """

    about: str
    shapes: Mapping[str, ShapeCosts]
    around_s: float = 0.0
    reference_s: float = 0.0

    def shape(self, name: str) -> ShapeCosts:
        """Raises: ValueError for a shape that has no costs."""
        if name not in self.shapes:
            raise ValueError(f"no step costs for the shape {name!r}, only for {', '.join(self.shapes)}")
        return self.shapes[name]


def interpolated(seconds: SecondsByRows, rows: int) -> float:
    """Seconds at `rows`: straight lines between what is known, the outermost drawn on; never below 0.

    Raises:
        ValueError: nothing is known.
    """
    if not seconds:
        raise ValueError("no seconds are known for any number of rows")
    known = sorted(seconds)
    if len(known) == 1:
        return seconds[known[0]] * rows / known[0]
    above = min(max(1, sum(one < rows for one in known)), len(known) - 1)
    low, high = known[above - 1], known[above]
    slope = (seconds[high] - seconds[low]) / (high - low)
    return max(0.0, seconds[low] + slope * (rows - low))


def save(costs: Costs, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(costs), indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> Costs:
    """What `save` wrote.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        shapes = {name: _shape(one) for name, one in found.pop("shapes").items()}
        return Costs(shapes=shapes, **found)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no step costs ({type(error).__name__}: {error})") from error


def _shape(found: Mapping[str, Any]) -> ShapeCosts:
    height, width = found["latent_size"]
    by_rows = {
        name: {int(rows): float(seconds) for rows, seconds in found[name].items()}
        for name in ("unet_s", "controlnet_s")
    }
    return ShapeCosts(
        latent_size=(height, width), encode_s=float(found["encode_s"]), decode_s=float(found["decode_s"]), **by_rows
    )
