"""Masks to train inpainting with: as the service makes them, from boxes and from silhouettes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models_store.demo.world.cars import Car
from models_store.demo.world.scenes import SceneSpec

LATENT_CELL_PX: Final = 8


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


def latent_cells(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the latent cells (H/8, W/8) that a pixel mask touches."""
    height, width = mask.shape
    cells = mask.reshape(height // LATENT_CELL_PX, LATENT_CELL_PX, width // LATENT_CELL_PX, LATENT_CELL_PX)
    return np.asarray(cells.any(axis=(1, 3)))


def pixels_of(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the pixel mask of latent cells."""
    return np.repeat(np.repeat(cells, LATENT_CELL_PX, axis=0), LATENT_CELL_PX, axis=1)


def training_cells(
    spec: SceneSpec, parts: NDArray[np.uint8], boxed: bool, rng: np.random.Generator
) -> tuple[str, NDArray[np.bool_]]:
    """Draws a training mask.

    Returns:
        What is masked, and the latent cells (32, 32) to repaint.
    """
    label = edited_label(spec, rng)
    shape = label_mask(spec, parts, label)
    if boxed:
        shape = box_of(shape)
    return label, latent_cells(widened(shape, int(rng.integers(3, 13))))
