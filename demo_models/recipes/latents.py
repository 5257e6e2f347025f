"""Latents on disk: every scene in three views, whole and masked, encoded as the inpainting pipeline would do it."""

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from demo_models.recipes.beside import for_each
from demo_models.recipes.masks import BOXED, ROOMY, SILHOUETTE, VARIANTS, View, latent_cells, pixels_of, training_view
from demo_models.recipes.shards import Shard
from demo_models.recipes.vae import SCALING_FACTOR, as_input, cell_px
from demo_models.world.canvas import SCENE_PX
from demo_models.world.scenes import SceneSpec, sample_spec

_BATCH: Final = 10
_ARRAYS: Final = ("whole", "masked", "cells", "windows")


def encode_shard(shard: Shard, autoencoder: AutoencoderKL, folder: Path) -> None:
    """Encodes a shard; the folder appears only when it is complete."""
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    shape = (len(shard), len(VARIANTS))
    size_px = cell_px(autoencoder)
    grid = (SCENE_PX // size_px,) * 2
    whole, masked = (np.zeros((*shape, 4, *grid), np.float16) for _ in range(2))
    cells, windows = np.zeros((*shape, *grid), np.bool_), np.zeros((*shape, 3), np.int16)
    labels: list[list[str]] = []
    for first in range(0, len(shard), _BATCH):
        rows = range(first, min(first + _BATCH, len(shard)))
        views = [_views(shard, row) for row in rows]
        labels += [[view.label for view in of_scene] for of_scene in views]
        part = slice(rows.start, rows.stop)
        cells[part] = [[latent_cells(view.mask, size_px) for view in of_scene] for of_scene in views]
        windows[part] = [[(view.left, view.top, view.side) for view in of_scene] for of_scene in views]
        for variant in VARIANTS:
            pixels = [of_scene[variant].of(shard.images[row]) for row, of_scene in zip(rows, views, strict=True)]
            images = as_input(np.stack(pixels))
            kept = torch.from_numpy(np.stack([~pixels_of(mask) for mask in cells[part, variant]]))[:, None]
            masked[part, variant] = encode(autoencoder, images * kept)
            same = variant in (SILHOUETTE, ROOMY)
            whole[part, variant] = whole[part, BOXED] if same else encode(autoencoder, images)
    for name, array in zip(_ARRAYS, (whole, masked, cells, windows), strict=True):
        np.save(building / f"{name}.npy", array)
    (building / "labels.json").write_text(json.dumps({"first_seed": shard.first_seed, "labels": labels}))
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


def _views(shard: Shard, row: int) -> list[View]:
    seed = shard.first_seed + row
    spec, rng = sample_spec(seed), np.random.default_rng([3, seed])
    return [training_view(spec, shard.parts[row], variant, rng) for variant in VARIANTS]


def encode(autoencoder: AutoencoderKL, images: torch.Tensor) -> NDArray[np.float32]:
    """Returns the scaled mean latents of images float32 (N, 3, H, W) in -1..1, float32 (N, 4, h, w)."""
    with torch.no_grad(), torch.autocast(autoencoder.device.type, torch.bfloat16):
        planes = images.to(autoencoder.device).float().contiguous(memory_format=torch.channels_last)
        mean = autoencoder.encode(planes).latent_dist.mean
    scaled: NDArray[np.float32] = (mean.float() * SCALING_FACTOR).cpu().numpy()
    return scaled


@cache
def kept_autoencoder(weights: Path, device: str) -> AutoencoderKL:
    """Returns an autoencoder that scenes are encoded by, loaded once in a process."""
    torch.set_num_threads(1)
    return AutoencoderKL.from_pretrained(weights).eval().to(device, memory_format=torch.channels_last)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What is encoded by which autoencoder, where and in how many processes."""

    latents: Path
    weights: Path
    device: str = "cpu"
    processes: int = 1

    def missing_scenes(self, scenes: Path, shards: int | None = None) -> None:
        """Encodes every training shard that has no latents yet, at most ``shards`` of them."""
        missing = [path for path in sorted(scenes.glob("train-*")) if not (self.latents / path.name).exists()]
        for_each(self._encode, missing[:shards], self.processes)

    def _encode(self, path: Path) -> None:
        target = self.latents / path.name
        if not target.exists():  # another process may have been quicker
            encode_shard(Shard.open(path), kept_autoencoder(self.weights, self.device), target)
            print(f"encoded {path.name}", flush=True)


class LatentSet:
    """Latents of all encoded shards, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        """Opens every complete shard in the folder."""
        self._paths = sorted(folder.glob("train-*"))
        rows = [json.loads((path / "labels.json").read_text()) for path in self._paths]
        self._ends = np.cumsum([len(row["labels"]) for row in rows])
        self._seeds = np.concatenate([row["first_seed"] + np.arange(len(row["labels"])) for row in rows])
        self.labels: list[list[str]] = [labels for row in rows for labels in row["labels"]]
        self._arrays = {
            name: [np.load(path / f"{name}.npy", mmap_mode="r") for path in self._paths] for name in _ARRAYS
        }

    @classmethod
    def reopened(cls, folder: Path, former: Self | None) -> Self:
        """Returns the former set if nothing has been added to the folder, else a new one."""
        if former is not None and len(former._paths) == len(list(folder.glob("train-*"))):
            return former
        return cls(folder)

    def take(self, name: str, indices: NDArray[np.int64], variants: NDArray[np.int64]) -> NDArray[Any]:
        """Returns one of ``whole``, ``masked``, ``cells`` and ``windows`` of examples, stacked in their order."""
        numbers = np.searchsorted(self._ends, indices, side="right")
        starts = np.concatenate([[0], self._ends])[numbers]
        places = zip(numbers, indices - starts, variants, strict=True)
        return np.stack([self._arrays[name][number][row, variant] for number, row, variant in places])

    def __len__(self) -> int:
        """The number of scenes."""
        return len(self.labels)

    def spec(self, index: int) -> SceneSpec:
        """Returns the specification of a scene."""
        return sample_spec(int(self._seeds[index]))

    def seed(self, index: int) -> int:
        """Returns the seed of a scene."""
        return int(self._seeds[index])
