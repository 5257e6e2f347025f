"""Who paints an edit of the demo world: the service's own models, or a cheat that the judge has to see through.

The control group paints what the service would have masked (flat, tint), nothing at all (noop), or everything: `ruined`
is the truth itself where the thing is, and noise everywhere else. Flat and tint know the true colour.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from scipy import ndimage

from benchmarks.demo_judge import REACH_PX, Pixels, flat_paint, tinted, true_shapes
from composition.decision import Pipeline
from composition.request import EditRequest
from demo_models.world.edits import EditPair

if TYPE_CHECKING:
    from composition.editor import Editor


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted:
    """An edited image (256, 256, 3) with the mask (256, 256) that it was blended with; `pipeline` None for a cheat."""

    image: Pixels
    mask: Pixels
    pipeline: Pipeline | None = None
    time_ms: int = 0


Painter: TypeAlias = Callable[["Editor", EditPair, EditRequest], Awaitable[Painted]]


async def model(editor: Editor, pair: EditPair, request: EditRequest) -> Painted:
    """The service. Raises: CompositionError."""
    name = f"{pair.kind}-{request.options.seed}"
    result = await editor.edit(request, request_id=name, listener=lambda progress: None)
    return Painted(image=result.image, mask=result.mask, pipeline=result.pipeline, time_ms=result.processing_time_ms)


async def flat(editor: Editor, pair: EditPair, request: EditRequest) -> Painted:
    """One colour under the service's mask."""
    mask = await _mask(editor, request)
    return Painted(image=flat_paint(pair, mask), mask=mask)


async def tint(editor: Editor, pair: EditPair, request: EditRequest) -> Painted:
    """The asked colour times the brightness that was there, under the service's mask."""
    mask = await _mask(editor, request)
    return Painted(image=tinted(pair, mask), mask=mask)


async def noop(editor: Editor, pair: EditPair, request: EditRequest) -> Painted:
    """The photograph as it came."""
    return Painted(image=pair.before.image, mask=np.zeros(pair.region.shape, np.uint8))


async def ruined(editor: Editor, pair: EditPair, request: EditRequest) -> Painted:
    """Perfect inside, noise outside."""
    far = ndimage.distance_transform_edt(~true_shapes(pair)) > REACH_PX
    image = pair.after.image.copy()
    image[far] = np.random.default_rng(request.options.seed).integers(0, 256, (int(far.sum()), 3), dtype=np.uint8)
    return Painted(image=image, mask=np.full(pair.region.shape, 255, np.uint8))


PAINTERS: Final[Mapping[str, Painter]] = {"model": model, "flat": flat, "tint": tint, "noop": noop, "ruined": ruined}


async def _mask(editor: Editor, request: EditRequest) -> Pixels:
    return (await editor.analyze(request, request_id=f"mask-{request.options.seed}")).mask
