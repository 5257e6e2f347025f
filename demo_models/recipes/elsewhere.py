"""Pictures beyond the painted world on disk, encoded as scenes are, for the painters' batches.

Kept beside the scenes' latents: folders ``elsewhere-NNNN`` of consecutive seeds, one mask for each picture.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from demo_models.elsewhere.pictures import draw, thing_of
from demo_models.recipes.beside import for_each
from demo_models.recipes.latents import Encoding, encode, kept_autoencoder
from demo_models.recipes.masks import latent_cells, pixels_of
from demo_models.recipes.vae import as_input, cell_px
from demo_models.world.seeds import ELSEWHERE
from demo_models.world.textures import swatch

SHARD_PICTURES: Final = 500
_BATCH: Final = 10
_LATENTS: Final = ("whole", "masked", "cells")


def encode_pictures(folder: Path, first_seed: int, pictures: int, autoencoder: AutoencoderKL) -> None:
    """Draws and encodes pictures of consecutive seeds; the folder appears only when it is complete.

    Writes ``whole`` and ``masked`` float16 (N, 4, h, w), ``cells`` bool (N, h, w), ``depth`` uint8 (N, 256, 256).
    """
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, list[NDArray[Any]]] = {name: [] for name in (*_LATENTS, "depth")}
    for first in range(first_seed, first_seed + pictures, _BATCH):
        drawn = [draw(seed) for seed in range(first, min(first + _BATCH, first_seed + pictures))]
        cells = np.stack([latent_cells(picture.mask, cell_px(autoencoder)) for picture in drawn])
        images = as_input(np.stack([picture.image for picture in drawn]))
        kept = torch.from_numpy(np.stack([~pixels_of(mask) for mask in cells]))[:, None]
        arrays["whole"].append(encode(autoencoder, images).astype(np.float16))
        arrays["masked"].append(encode(autoencoder, images * kept).astype(np.float16))
        arrays["cells"].append(cells)
        arrays["depth"].append(np.stack([picture.depth for picture in drawn]))
    for name, parts in arrays.items():
        np.save(building / f"{name}.npy", np.concatenate(parts))
    (building / "seeds.json").write_text(json.dumps({"first_seed": first_seed}))
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


def encode_missing_pictures(encoding: Encoding, shards: int) -> None:
    """Encodes the first so many shards of pictures, as far as they are not there yet."""
    targets = [(number, encoding.latents / f"elsewhere-{number:04d}") for number in range(shards)]
    missing = [(number, target, encoding) for number, target in targets if not target.exists()]
    for_each(_encode, missing, encoding.processes)


def _encode(shard: tuple[int, Path, Encoding]) -> None:
    number, target, encoding = shard
    if not target.exists():  # another process may have been quicker
        autoencoder = kept_autoencoder(encoding.weights, encoding.device)
        encode_pictures(target, ELSEWHERE.start + number * SHARD_PICTURES, SHARD_PICTURES, autoencoder)
        print(f"encoded {target.name}", flush=True)


class PictureSet:
    """All encoded pictures of a folder, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        """Opens every complete shard.

        Raises:
            FileNotFoundError: There is none.
        """
        self._paths = sorted(folder.glob("elsewhere-*"))
        if not self._paths:
            raise FileNotFoundError(f"no pictures are encoded in {folder}")
        self._arrays = {
            name: [np.load(path / f"{name}.npy", mmap_mode="r") for path in self._paths]
            for name in (*_LATENTS, "depth")
        }
        firsts = [json.loads((path / "seeds.json").read_text())["first_seed"] for path in self._paths]
        lengths = [len(array) for array in self._arrays["cells"]]
        self._seeds = np.concatenate([first + np.arange(n) for first, n in zip(firsts, lengths, strict=True)])
        self._ends = np.cumsum(lengths)

    @classmethod
    def reopened(cls, folder: Path, former: Self | None) -> Self:
        """Returns the former set if nothing has been added to the folder, else a new one."""
        if former is not None and len(former._paths) == len(list(folder.glob("elsewhere-*"))):
            return former
        return cls(folder)

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self._seeds)

    def latents(self, indices: NDArray[np.int64]) -> Mapping[str, torch.Tensor]:
        """Returns ``whole``, ``masked`` and ``cells`` of pictures as a painter is trained with them, float32."""
        rows = {name: torch.from_numpy(self._take(name, indices)).float() for name in _LATENTS}
        return {**rows, "cells": rows["cells"][:, None]}

    def depth(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Returns inverse depth, uint8 (N, 256, 256)."""
        return self._take("depth", indices)

    def prompts(self, indices: Sequence[int], bare: Sequence[bool], rng: np.random.Generator) -> list[str]:
        """Words for pictures; bare ones name no look."""
        things = [thing_of(int(self._seeds[index])) for index in indices]
        return [
            thing.bare_prompt(rng) if plain else thing.prompt(rng) for thing, plain in zip(things, bare, strict=True)
        ]

    def reference(self, index: int) -> NDArray[np.uint8]:
        """Returns a sample of the look of a picture's thing, RGB uint8 (128, 128, 3)."""
        return swatch(thing_of(int(self._seeds[index])).look)

    def _take(self, name: str, indices: NDArray[np.int64]) -> NDArray[Any]:
        numbers = np.searchsorted(self._ends, indices, side="right")
        starts = np.concatenate([[0], self._ends])[numbers]
        return np.stack([self._arrays[name][n][row] for n, row in zip(numbers, indices - starts, strict=True)])
