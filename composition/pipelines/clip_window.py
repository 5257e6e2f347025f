"""Frames of a clip that are painted together: mask -> **condition** -> diffuse.

What the model is asked about them, and what goes on from the frame before into each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from composition.diffusion import DiffusionRequest, ViewRequest
from composition.images import Image
from composition.imaging import geometry
from composition.imaging.flow import Flow, carried
from composition.imaging.keeping import Carried, Material
from composition.masking.edit_mask import EditMask
from composition.pipelines.clip_state import Shot
from composition.pipelines.locating import Located
from composition.pipelines.painting import Scene, make_request

CARRIED_STRENGTH: Final = 0.6
"""Of what starts from the result of the frame before: enough to take up what has come into view."""
_SURE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One frame on its way.

    Attributes:
        image: as it was sent.
        flow: to the frame before; None: a shot begins.
        shot: what is known at this frame.
        edit: where it is painted; None: nowhere.
        anew: it does not go on from how the frames before were shown to the model.
        follows: the frame before was painted in the same shot.
    """

    image: Image
    flow: Flow | None
    shot: Shot
    edit: Located | None
    anew: bool
    follows: bool = False


def begun(window: Sequence[Step], result: Image | None) -> list[Image | None]:
    """Of each frame the photograph with what the frame before the window has become in its region; None: nothing."""
    images: list[Image | None] = []
    moved = result if window[0].follows else None
    for step in window:
        if moved is None or step.flow is None:
            return [None] * len(window)
        moved = carried(moved, step.flow)
        inside = None if step.edit is None else (step.edit.mask.repaint > 0) & (step.flow.sure > _SURE)
        images.append(None if inside is None else np.where(inside[..., None], moved, step.image))
    return images


def request_of(scenes: Sequence[Scene], starts: Sequence[Image | None], shots: Sequence[Shot]) -> DiffusionRequest:
    """That of the first frame, with what the others have of their own."""
    first, *others = (_of_frame(scene, start, shot) for scene, start, shot in zip(scenes, starts, shots, strict=True))
    views = (
        ViewRequest(image=one.image, mask=one.mask, controls=one.controls, noise_from=one.noise_from) for one in others
    )
    return replace(first, views=tuple(views))


def _of_frame(scene: Scene, start: Image | None, shot: Shot) -> DiffusionRequest:
    edit = scene.edits[0]
    mask, cell_px = edit.mask, edit.ctx.models.latent_cell_px
    request = make_request(scene.edits)
    if shot.noise is not None:
        request = replace(request, noise_from=shot.noise.cells(mask.crop, mask.fit, cell_px))
    if start is None:
        return request
    shown = mask.fit.to_model(mask.view(start))
    return replace(request, image=shown, strength=min(request.strength, CARRIED_STRENGTH))


def carried_on(material: Material | None, step: Step) -> Carried | None:
    """The material of the frame before, of the whole image's size, where it would be now."""
    if material is None or step.flow is None or not step.follows:
        return None
    sure = np.rint(step.flow.sure * 255.0).astype(np.uint8)
    return Carried(material=replace(material, share=carried(material.share, step.flow)), sure=sure)


def whole(material: Material, mask: EditMask, image: Image) -> Material:
    """That of what the model saw, as a part of the image."""
    if mask.crop is None:
        return material
    return replace(material, share=geometry.paste(np.zeros(image.shape[:2], np.uint8), material.share, mask.crop))
