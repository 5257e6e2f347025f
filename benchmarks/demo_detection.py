"""The demo models that look, judged by ground truth: the service's own detectors on scenes that none was trained on.

Usage: python -m benchmarks.demo_detection --first-seed N --scenes M [--profile demo]

Prints last `nouns A/N every instance B/N absent C/M sam IOU pose OKS`: nouns of a scene whose best detection lies on
one (IoU >= 0.5), nouns of which every instance was found (a car has two rims), nouns that are not in the scene and
were not found, SAM's mean IoU from true boxes, and the mean similarity of people's key points. One question a noun, as
the service asks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.demo_world import as_box, local_editor
from composition.images import Box, Detection
from demo_models.world.captions import WORDS_FOR
from demo_models.world.scenes import Scene, render, sample_spec
from demo_models.world.scoring import intersection_over_union, keypoint_similarity

if TYPE_CHECKING:
    from composition.pipelines.context import Models

SAME_BOX = 0.5
ABSENT_PER_SCENE = 2


def box_overlap(one: Box, two: Box) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(one.x1, two.x1) - max(one.x0, two.x0))
    height = max(0.0, min(one.y1, two.y1) - max(one.y0, two.y0))
    shared = width * height
    return shared / (one.area + two.area - shared)


def instances_found(found: Sequence[Detection], truth: Sequence[Box]) -> int:
    """How many instances of a noun have a detection that overlaps them."""
    return sum(any(box_overlap(item.box, box) >= SAME_BOX for item in found) for box in truth)


def best_is_right(found: Sequence[Detection], truth: Sequence[Box]) -> bool:
    """Whether the best detection lies on an instance of the noun."""
    return bool(instances_found(found[:1], truth))


@dataclass(kw_only=True)
class Tally:
    """Per label: was the best detection right, was every instance found; and silence on absent nouns."""

    best: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    every: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    silent: list[bool] = field(default_factory=list)


def share(hits: Iterable[bool]) -> str:
    """Successes of all, as "A/N"."""
    rows = list(hits)
    return f"{sum(rows)}/{len(rows)}"


async def _judge_nouns(models: Models, scene: Scene, rng: np.random.Generator, tally: Tally) -> None:
    by_label = defaultdict(list)
    for box in scene.boxes:
        by_label[box.label].append(as_box(box))
    for label, boxes in by_label.items():
        found = await models.detector.detect(scene.image, WORDS_FOR[label][0])
        tally.best[label].append(best_is_right(found, boxes))
        tally.every[label].append(instances_found(found, boxes) == len(boxes))
    absent = [label for label in WORDS_FOR if label not in by_label]
    for label in rng.choice(absent, ABSENT_PER_SCENE, replace=False):
        tally.silent.append(not await models.detector.detect(scene.image, WORDS_FOR[str(label)][0]))


async def _silhouettes(models: Models, scene: Scene) -> list[float]:
    boxes = [Detection(label=box.label, score=1.0, box=as_box(box)) for box in scene.boxes]
    overlaps = []
    for box, outline in zip(scene.boxes, await models.segmenter.segment(scene.image, boxes), strict=True):
        window = np.zeros(outline.shape, bool)
        window[box.top : box.bottom, box.left : box.right] = True
        overlaps.append(intersection_over_union(outline > 127, (scene.masks[box.label] > 127) & window))
    return overlaps


async def _pose(models: Models, scene: Scene) -> list[float]:
    people = [Detection(label="person", score=1.0, box=as_box(b)) for b in scene.boxes if b.label == "person"]
    if scene.keypoints is None:
        return []
    (pose,) = await models.pose.estimate_pose(scene.image, people)
    return [keypoint_similarity(pose.body[:, :2], scene.keypoints, people[0].box.area)]


async def _measure(options: argparse.Namespace) -> str:
    rng = np.random.default_rng(options.first_seed)
    tally = Tally()
    overlaps: list[float] = []
    similar: list[float] = []
    with local_editor() as local:
        models = local.models
        for seed in range(options.first_seed, options.first_seed + options.scenes):
            scene = render(sample_spec(seed))
            await _judge_nouns(models, scene, rng, tally)
            overlaps += await _silhouettes(models, scene)
            similar += await _pose(models, scene)
    for label in sorted(tally.best):
        print(f"{label:13} best {share(tally.best[label])} every instance {share(tally.every[label])}")
    return (
        f"nouns {share(chain(*tally.best.values()))} every instance {share(chain(*tally.every.values()))} "
        f"absent {share(tally.silent)} sam {np.mean(overlaps):.3f} pose {np.mean(similar):.3f}"
    )


def main() -> None:
    """Measure and print the summary last."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_detection", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    options = parser.parse_args()
    os.environ["COMPOSITION_MODELS__PROFILE"] = options.profile
    print(asyncio.run(_measure(options)))


if __name__ == "__main__":
    main()
