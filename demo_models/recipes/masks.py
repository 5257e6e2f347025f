"""Masks to train inpainting with: as the service makes them, from boxes and from silhouettes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from demo_models.world.canvas import SCENE_PX
from demo_models.world.cars import Car
from demo_models.world.edits import roomy_box
from demo_models.world.scenes import SceneSpec

BOXED, SILHOUETTE, CROPPED, ROOMY = VARIANTS = (0, 1, 2, 3)
"""Around a box, along the silhouette; either of them in an enlarged part of the scene; a box with room on each side."""
_LEAST_WINDOW_PX: Final = 128


def label_mask(spec: SceneSpec, parts: NDArray[np.uint8], label: str) -> NDArray[np.bool_]:
    """Returns where a label of the scene is visible."""
    return np.isin(parts, spec.subject.LABELS[label])


def edited_label(spec: SceneSpec, rng: np.random.Generator) -> str:
    """Draws what is to be repainted: mostly the subject, sometimes a car's wheels."""
    if isinstance(spec.subject, Car) and rng.random() < 0.3:
        return str(rng.choice(["rims", "wheels"]))
    return spec.subject.noun


def box_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the filled bounding box of every separate piece that is not tiny, or of the whole."""
    filled = np.zeros_like(mask)
    for rows, columns in ndimage.find_objects(ndimage.label(mask)[0]):
        if mask[rows, columns].sum() > 60:
            filled[rows, columns] = True
    return filled


def widened(mask: NDArray[np.bool_], margin_px: int) -> NDArray[np.bool_]:
    """Returns the mask grown by a margin in every direction (square neighbourhood)."""
    return np.asarray(ndimage.maximum_filter(mask, size=2 * margin_px + 1))


def latent_cells(mask: NDArray[np.bool_], cell_px: int) -> NDArray[np.bool_]:
    """Returns the latent cells (H / cell_px, W / cell_px) that a pixel mask touches."""
    height, width = mask.shape
    cells = mask.reshape(height // cell_px, cell_px, width // cell_px, cell_px)
    return np.asarray(cells.any(axis=(1, 3)))


def pixels_of(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the pixel mask (256, 256) of a scene's latent cells."""
    cell_px = SCENE_PX // len(cells)
    return np.repeat(np.repeat(cells, cell_px, axis=0), cell_px, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What one training example shows of a scene, and what of it is to be repainted.

    Attributes:
        label: What is masked.
        left: Column where the square view begins, scene pixels.
        top: Row where it begins.
        side: Its side; 256 shows the whole scene.
        mask: The pixels (256, 256) of the view to repaint, not yet widened to whole latent cells.
    """

    label: str
    left: int
    top: int
    side: int
    mask: NDArray[np.bool_]

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns the view of an image or map (256, 256, ...), scaled to 256 pixels."""
        return seen(image, (self.left, self.top, self.side))


def seen(image: NDArray[np.uint8], window: Sequence[int]) -> NDArray[np.uint8]:
    """Returns a square window (left, top, side) of an image or map (256, 256, ...), scaled to 256 pixels."""
    left, top, side = (int(value) for value in window)
    if side == SCENE_PX:
        return image
    cut = Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    return np.asarray(cut.resize((SCENE_PX, SCENE_PX), Image.Resampling.BICUBIC))


def window_about(shape: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int, int]:
    """Draws a square window (left, top, side) that shows a mask with context, as the service crops small regions."""
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(np.clip(extent * rng.uniform(1.5, 2.4), _LEAST_WINDOW_PX, SCENE_PX))
    corner = [int(np.clip(line.mean() - side / 2 + rng.normal(0, 6), 0, SCENE_PX - side)) for line in (columns, rows)]
    return corner[0], corner[1], side


def training_view(spec: SceneSpec, parts: NDArray[np.uint8], variant: int, rng: np.random.Generator) -> View:
    """Draws a training example of a scene: ``BOXED``, ``SILHOUETTE``, ``CROPPED`` or ``ROOMY``."""
    label = spec.subject.noun if variant == ROOMY else edited_label(spec, rng)
    shape = label_mask(spec, parts, label)
    if variant == ROOMY:
        shape = roomy_box(shape, rng)
    if variant == BOXED or (variant == CROPPED and rng.random() < 0.5):
        shape = box_of(shape)
    shape = widened(shape, int(rng.integers(3, 13)))
    window = window_about(shape, rng) if variant == CROPPED and shape.any() else (0, 0, SCENE_PX)
    shown = seen(shape.astype(np.uint8) * np.uint8(255), window) > 127
    return View(label=label, left=window[0], top=window[1], side=window[2], mask=shown)
