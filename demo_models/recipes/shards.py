"""Rendered scenes on disk: **shards** of a few hundred scenes that recipes read as memory maps."""

import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from demo_models.recipes.beside import for_each
from demo_models.world.canvas import SCENE_PX
from demo_models.world.occlusions import sample_hidden
from demo_models.world.people import KEYPOINTS, Person
from demo_models.world.scenes import LabelledBox, Scene, SceneSpec, boxes_of, render, sample_spec
from demo_models.world.seeds import HELD_OUT, TRAINING, TRAINING_HIDDEN
from demo_models.world.textures import SWATCH_PX, swatch

SHARD_SCENES: Final = 500
_ARRAYS: Final = ("images", "parts", "fronts", "depth", "keypoints", "swatches")
_HIDDEN_SHARE: Final = 3 / 8
"""Of so many scenes as others there are scenes in which something stands before the subject."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shard:
    """Consecutive seeds, rendered.

    Attributes:
        first_seed: Seed of the first scene.
        images: RGB uint8 (N, 256, 256, 3).
        parts: Part map uint8 (N, 256, 256).
        fronts: What stands before the subject, uint8 (N, 256, 256), 255 = covers it.
        depth: Inverse depth uint8 (N, 256, 256).
        keypoints: float32 (N, 18, 2), NaN without a person.
        swatches: Sample of the subject's look, RGB uint8 (N, 128, 128, 3).
        boxes: Per scene, its labelled boxes: of a subject that is partly hidden as if it were not, and of what is
            before it.
    """

    first_seed: int
    images: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    fronts: NDArray[np.uint8]
    depth: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    swatches: NDArray[np.uint8]
    boxes: tuple[tuple[LabelledBox, ...], ...]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Maps a shard into memory."""
        rows = json.loads((folder / "boxes.json").read_text())
        boxes = tuple(tuple(LabelledBox(**box) for box in row) for row in rows["boxes"])
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return cls(first_seed=rows["first_seed"], boxes=boxes, **arrays)

    def __len__(self) -> int:
        """The number of scenes."""
        return len(self.boxes)


def render_shard(folder: Path, first_seed: int, scenes: int) -> None:
    """Renders a shard; the folder appears only when it is complete."""
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {
        "images": np.zeros((scenes, SCENE_PX, SCENE_PX, 3), np.uint8),
        "parts": np.zeros((scenes, SCENE_PX, SCENE_PX), np.uint8),
        "fronts": np.zeros((scenes, SCENE_PX, SCENE_PX), np.uint8),
        "depth": np.zeros((scenes, SCENE_PX, SCENE_PX), np.uint8),
        "keypoints": np.full((scenes, KEYPOINTS, 2), np.nan, np.float32),
        "swatches": np.zeros((scenes, SWATCH_PX, SWATCH_PX, 3), np.uint8),
    }
    boxes = []
    for index in range(scenes):
        scene = render(spec_of(first_seed + index))
        arrays["images"][index], arrays["parts"][index] = scene.image, scene.parts
        arrays["depth"][index], arrays["fronts"][index] = scene.depth, scene.front_mask
        arrays["swatches"][index] = swatch(scene.spec.subject.appearance)
        if scene.keypoints is not None:
            arrays["keypoints"][index] = scene.keypoints
        boxes.append([box.__dict__ for box in _pointed_at(scene)])
    for name, array in arrays.items():
        np.save(building / f"{name}.npy", array)
    (building / "boxes.json").write_text(json.dumps({"first_seed": first_seed, "boxes": boxes}))
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


def spec_of(seed: int) -> SceneSpec:
    """Returns the specification of a scene to train on or to score by."""
    return sample_hidden(seed) if seed in TRAINING_HIDDEN else sample_spec(seed)


def front_noun(spec: SceneSpec) -> str | None:
    """Returns what that is called that stands before the subject; None: nothing does."""
    if spec.front is None:
        return None
    return Person.FAMILY if isinstance(spec.front, Person) else spec.front.noun


def _pointed_at(scene: Scene) -> tuple[LabelledBox, ...]:
    """The boxes as a detector draws them: it knows where a thing goes on behind another."""
    front = front_noun(scene.spec)
    if front is None:
        return scene.boxes
    noun = scene.spec.subject.noun
    alone = [box for box in render(replace(scene.spec, front=None)).boxes if box.label == noun]
    parts = [box for box in scene.boxes if box.label != noun]
    return (*alone, *parts, *boxes_of(front, scene.front_mask))


def render_missing(folder: Path, training_scenes: int, processes: int = 1) -> None:
    """Renders the held-out shard and every training shard that is not there yet, in so many processes."""
    shards = {"held-out": (HELD_OUT.start, len(HELD_OUT))}
    for number in range(-(-training_scenes // SHARD_SCENES)):
        shards[f"train-{number:04d}"] = (TRAINING.start + number * SHARD_SCENES, SHARD_SCENES)
    for number in range(math.ceil(_HIDDEN_SHARE * training_scenes / SHARD_SCENES)):
        shards[f"hidden-{number:04d}"] = (TRAINING_HIDDEN.start + number * SHARD_SCENES, SHARD_SCENES)
    missing = [(folder / name, *seeds) for name, seeds in shards.items() if not (folder / name).exists()]
    for_each(_render, missing, processes)


def _render(shard: tuple[Path, int, int]) -> None:
    render_shard(*shard)
    print(f"rendered {shard[0].name}", flush=True)


class SceneSet:
    """Scenes of several shards under one index.

    Attributes:
        hidden: Long (N,), the indices of the scenes in which something stands before the subject.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Joins shards."""
        self._shards = tuple(shards)
        self._ends = np.cumsum([len(shard) for shard in shards])
        seeds = np.concatenate([shard.first_seed + np.arange(len(shard)) for shard in shards])
        self.hidden: Final = np.flatnonzero([int(seed) in TRAINING_HIDDEN for seed in seeds])

    @classmethod
    def training(cls, folder: Path, *, hidden: bool = False) -> Self:
        """Opens every complete training shard in the folder; with those of partly hidden subjects, if wanted."""
        paths = [*folder.glob("train-*"), *(folder.glob("hidden-*") if hidden else ())]
        return cls([Shard.open(path) for path in sorted(paths)])

    @classmethod
    def held_out(cls, folder: Path) -> Self:
        """Opens the scenes that nothing is trained on."""
        return cls([Shard.open(folder / "held-out")])

    def __len__(self) -> int:
        """The number of scenes."""
        return int(self._ends[-1])

    def _locate(self, index: int) -> tuple[Shard, int]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._shards[number], index - int(self._ends[number] - len(self._shards[number]))

    def take(self, array: str, indices: NDArray[np.int64]) -> NDArray[np.generic]:
        """Returns the rows of one of a shard's arrays, stacked in the order of the indices."""
        rows = []
        for index in indices:
            shard, row = self._locate(int(index))
            rows.append(getattr(shard, array)[row])
        return np.stack(rows)

    def index_of(self, seed: int) -> int:
        """Returns the index of the scene with a seed.

        Raises:
            KeyError: No shard has it.
        """
        first = 0
        for shard in self._shards:
            if 0 <= seed - shard.first_seed < len(shard):
                return first + seed - shard.first_seed
            first += len(shard)
        raise KeyError(seed)

    def spec(self, index: int) -> SceneSpec:
        """Returns the specification of a scene."""
        shard, row = self._locate(index)
        return spec_of(shard.first_seed + row)

    def boxes(self, index: int) -> tuple[LabelledBox, ...]:
        """Returns the boxes of a scene."""
        shard, row = self._locate(index)
        return shard.boxes[row]
