"""Latents on disk: every scene encoded once, and once for each of two masks, as the inpainting pipeline would do it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from models_store.demo.recipes.masks import pixels_of, training_cells
from models_store.demo.recipes.shards import Shard
from models_store.demo.recipes.vae import SCALING_FACTOR, as_input
from models_store.demo.world.scenes import SceneSpec, sample_spec

_BATCH: Final = 10
VARIANTS: Final = 2
"""Masks per scene: around a box, along the silhouette."""


def encode_shard(shard: Shard, autoencoder: AutoencoderKL, folder: Path) -> None:
    """Encodes a shard; the folder appears only when it is complete."""
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    scenes = len(shard)
    whole = np.zeros((scenes, 4, 32, 32), np.float16)
    masked = np.zeros((scenes, VARIANTS, 4, 32, 32), np.float16)
    cells = np.zeros((scenes, VARIANTS, 32, 32), np.bool_)
    labels: list[list[str]] = []
    for index in range(scenes):
        spec, rng = sample_spec(shard.first_seed + index), np.random.default_rng([3, shard.first_seed + index])
        drawn = [training_cells(spec, shard.parts[index], boxed, rng) for boxed in (True, False)]
        cells[index] = [mask for _, mask in drawn]
        labels.append([label for label, _ in drawn])
    for first in range(0, scenes, _BATCH):
        images = as_input(shard.images[first : first + _BATCH])
        whole[first : first + _BATCH] = encode(autoencoder, images)
        for variant in range(VARIANTS):
            kept = np.stack([~pixels_of(mask) for mask in cells[first : first + _BATCH, variant]])
            masked[first : first + _BATCH, variant] = encode(autoencoder, images * torch.from_numpy(kept)[:, None])
    for name, array in (("whole", whole), ("masked", masked), ("cells", cells)):
        np.save(building / f"{name}.npy", array)
    (building / "labels.json").write_text(json.dumps({"first_seed": shard.first_seed, "labels": labels}))
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


def encode(autoencoder: AutoencoderKL, images: torch.Tensor) -> NDArray[np.float32]:
    """Returns the scaled mean latents of images float32 (N, 3, H, W) in -1..1, float32 (N, 4, H/8, W/8)."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        planes = images.float().contiguous(memory_format=torch.channels_last)
        mean = autoencoder.encode(planes).latent_dist.mean
    scaled: NDArray[np.float32] = (mean.float() * SCALING_FACTOR).numpy()
    return scaled


def encode_missing(scenes: Path, latents: Path, weights: Path, shards: int | None = None) -> None:
    """Encodes every training shard that has no latents yet, at most ``shards`` of them."""
    autoencoder = AutoencoderKL.from_pretrained(weights).eval().to(memory_format=torch.channels_last)
    torch.set_num_threads(1)
    missing = [path for path in sorted(scenes.glob("train-*")) if not (latents / path.name).exists()]
    for path in missing[:shards]:
        encode_shard(Shard.open(path), autoencoder, latents / path.name)
        print(f"encoded {path.name}", flush=True)


class LatentSet:
    """Latents of all encoded shards, in memory (5 MB a shard of 100 scenes)."""

    def __init__(self, folder: Path) -> None:
        """Reads every complete shard in the folder."""
        self._paths = sorted(folder.glob("train-*"))
        rows = [json.loads((path / "labels.json").read_text()) for path in self._paths]
        self._seeds = np.concatenate([row["first_seed"] + np.arange(len(row["labels"])) for row in rows])
        self.labels: list[list[str]] = [labels for row in rows for labels in row["labels"]]
        self.whole, self.masked, self.cells = (self._joined(name) for name in ("whole", "masked", "cells"))

    @classmethod
    def reopened(cls, folder: Path, former: Self | None) -> Self:
        """Returns the former set if nothing has been added to the folder, else a new one."""
        if former is not None and len(former._paths) == len(list(folder.glob("train-*"))):
            return former
        return cls(folder)

    def _joined(self, name: str) -> NDArray[Any]:
        return np.concatenate([np.load(path / f"{name}.npy") for path in self._paths])

    def __len__(self) -> int:
        """The number of scenes."""
        return len(self.labels)

    def spec(self, index: int) -> SceneSpec:
        """Returns the specification of a scene."""
        return sample_spec(int(self._seeds[index]))

    def seed(self, index: int) -> int:
        """Returns the seed of a scene."""
        return int(self._seeds[index])
