"""detect -> **mask** -> condition: the one mask of an edit, which an analysis shows and which painting blends with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from composition.decision import EditPlan
from composition.images import Box, Detection, Mask, Pose
from composition.imaging import geometry, masks
from composition.journal import Journal
from composition.masking import grow
from composition.masking.region import Region, Scene, make_region
from composition.ports.vision import Segmenter


@dataclass(frozen=True, kw_only=True, eq=False)
class EditMask:
    """Where an edit changes the image. All masks have the size of the whole image (H, W).

    Attributes:
        thing: what the edit is about, before dilation (0/255).
        repaint: what the model repaints (0/255).
        reach: `repaint`, what is protected included, with a soft rim around (0..255): outside nothing was to change.
        alpha: the weights (0..255) of what is painted, where it is laid over fully; 0 keeps the original bit for bit.
        blend: the share (0..1) of these weights that it is laid over with.
        protected: > 0 stays as it is, whatever is around it; None: nothing is protected.
        crop: the part of the image that the model sees; None = all of it.
        fit: of the crop, or of the whole, to the model's size.
        detections: the instances that it was made from.
        exact: it is the user's own mask, which is not dilated.
        outlined: `thing` is the outline of what keeps its shape, and is blended in along it.
        known: whether the profile's models were made for images of this kind, as far as that was asked.
        own: > 0 is nearer to this edit's thing than to those of others; None: there are no others.
    """

    thing: Mask
    repaint: Mask
    reach: Mask
    alpha: Mask
    protected: Mask | None
    crop: Box | None
    fit: geometry.Fit
    detections: tuple[Detection, ...]
    exact: bool
    outlined: bool
    known: bool = True
    blend: float = 1.0
    own: Mask | None = None

    @property
    def weights(self) -> Mask:
        """Those that the image is blended with (H, W; 0..255)."""
        return masks.weakened(self.alpha, self.blend)

    @property
    def region(self) -> Region:
        """What it was grown from."""
        return Region(
            thing=self.thing,
            detections=self.detections,
            exact=self.exact,
            outlined=self.outlined,
            known=self.known,
            protected=self.protected,
        )

    def view(self, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The part that the model sees of an image or mask of the whole image's size."""
        return array if self.crop is None else geometry.crop(array, self.crop)

    def poses_to_model(self, poses: Sequence[Pose]) -> list[Pose]:
        """Poses in pixels of the whole image in pixels of the model's."""
        shown = poses if self.crop is None else [geometry.crop_pose(pose, self.crop) for pose in poses]
        return [self.fit.pose_to_model(pose) for pose in shown]


async def make_edit_mask(
    scene: Scene, plan: EditPlan, *, segmenter: Segmenter, native_size: int, journal: Journal
) -> EditMask:
    """The stage "mask", whole: for an analysis and for the edit alike.

    Args:
        scene: the photograph and what is known of it.
        plan: the target, and how its mask is refined, grown and cropped.
        segmenter: draws silhouettes where the plan refines masks.
        native_size: the model's own image size, in pixels.
        journal: takes time, warnings and the models that ran.

    Raises:
        NoDetection: nothing was found and the request says `on_no_detection: error`.
        EmptyMask: the user's mask is empty, or the subject leaves no background.
    """
    with journal.stage("mask"):
        region = await make_region(scene, plan, segmenter=segmenter, journal=journal)
        return await asyncio.to_thread(grown, region, plan, native_size)


def grown(region: Region, plan: EditPlan, native_size: int) -> EditMask:
    """The mask of a region whose pixels are known."""
    repaint = region.thing if region.exact else grow.dilated(region.thing, plan.mask_dilation_px)
    reach = grow.feathered(repaint, plan.mask_blur_px)
    if region.outlined:
        alpha = grow.along_outline(region.thing, plan)
    else:
        alpha = grow.softened(region.thing, plan, exact=region.exact)
    if region.protected is not None:
        alpha = grow.spared(alpha, region.protected)
        repaint = grow.without(repaint, region.protected)
    crop, fit = grow.crop_and_fit(reach, plan.crop, native_size, plan.crop_context)
    return EditMask(
        thing=region.thing,
        repaint=repaint,
        reach=reach,
        alpha=alpha,
        blend=plan.blend,
        protected=region.protected,
        crop=crop,
        fit=fit,
        detections=region.detections,
        exact=region.exact,
        outlined=region.outlined,
        known=region.known,
    )
