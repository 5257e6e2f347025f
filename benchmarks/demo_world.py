"""Edits of the demo world, judged by ground truth: the service's own editor on scenes that no model has seen.

Usage: python -m benchmarks.demo_world --first-seed N --scenes M [--profile demo] [--kinds recolour,material]
       [--painter model|flat|tint|noop|ruined|all] [--unconditioned] [--rough-masks] [--out out/demo_world]

Kinds: recolour, material, reference, structure, and on demand occlusion (a thing with something in front of it).
Several, views and video, each by itself, are `benchmarks.demo_several` and so on, with their usual settings.

Writes one contact sheet per kind (before, mask, after, truth) and prints last
`recolour A/N material B/N reference C/N structure D/N`; what makes a success is in `benchmarks.demo_judge`, and an edit
that the safety checker refuses has failed. `--painter all` prints such a line for the model and for every cheat of the
control group (`benchmarks.demo_painters`), the model's last. `--unconditioned` runs the same edits with the IP-Adapter
at scale 0 and without ControlNets: what the conditions are worth is the difference. `--rough-masks` sends structure
edits with a mask by hand, a rectangle with room on every side: the detector's box, which is tight, gives most of the
shape away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from benchmarks.demo_judge import AS_BEFORE, CAR_PARTS, Pixels, Verdict, judge
from benchmarks.demo_painters import PAINTERS, Painted
from composition.decision import Pipeline
from composition.errors import ContentPolicy
from composition.images import Box, Detection
from composition.request import EditOptions, EditRequest, Reference, RefineMask
from demo_models.world.edits import ALL_KINDS, KINDS, OCCLUSION, REFERENCE, STRUCTURE, EditPair, sample_edit
from demo_models.world.scenes import LabelledBox
from demo_models.world.scoring import keypoint_similarity
from prompt_reading.reader import GrammarPromptReader

if TYPE_CHECKING:
    from composition.editor import Editor
    from composition.pipelines.context import Models

STEPS = 20
ELSEWHERE = ("several", "views", "video")
"""Kinds that a benchmark of their own judges, since their edits are of several things, scenes or frames."""
REPLACEMENTS = (STRUCTURE, OCCLUSION)
THUMBNAIL_PX = 160
CAPTION_PX = 14


def expected_pipeline(pair: EditPair) -> Pipeline:
    """A person, other rims and a new thing in an old one's place need structure control; a look alone does not."""
    person = pair.before.keypoints is not None
    return Pipeline.COMPLEX if person or pair.kind in (REFERENCE, *REPLACEMENTS) else Pipeline.SIMPLE


def refused(pair: EditPair, seed: int) -> Verdict:
    """The verdict on an edit that the service refused: nothing has changed, and no pipeline is known."""
    return judge(pair, seed, pair.before.image, routed=False)


async def pose_similarity(models: Models, pair: EditPair, image: Pixels) -> float | None:
    """Whether the person still stands as before: OKS of the pose seen in the edited image (256, 256, 3)."""
    joints = pair.before.keypoints
    if joints is None:
        return None
    box = next(as_box(box) for box in pair.before.boxes if box.label == "person")
    (pose,) = await models.pose.estimate_pose(image, [Detection(label="person", score=1.0, box=box)])
    return keypoint_similarity(pose.body[:, :2], joints, box.area)


def as_box(box: LabelledBox) -> Box:
    """A scene's box as the service has it."""
    return Box(x0=float(box.left), y0=float(box.top), x1=float(box.right), y1=float(box.bottom))


def request_for(pair: EditPair, seed: int, *, conditioned: bool = True, rough: bool = False) -> EditRequest:
    """What a user would send. Structure edits ask for depth control in a box instead of an outline.

    Args:
        pair: the edit.
        seed: of its noise.
        conditioned: False switches the IP-Adapter and the ControlNets off.
        rough: whether a structure edit comes with a rough mask by hand.
    """
    options: dict[str, Any] = {"seed": seed, "num_inference_steps": STEPS}
    if pair.kind in REPLACEMENTS:
        options |= {"refine_mask": RefineMask.OFF}
        if conditioned:
            options |= {"force_controlnet": True, "control_types": ("depth",)}
    if not conditioned:
        options |= {"ip_adapter_scale": 0.0, "controlnet_conditioning_scale": 0.0}
    references = () if pair.reference is None else (Reference(image=pair.reference),)
    return EditRequest(
        base=pair.before.image,
        prompt=pair.prompt,
        references=references,
        mask=pair.rough_mask if rough and pair.kind in REPLACEMENTS else None,
        options=EditOptions(**options),
    )


def summary(verdicts: Sequence[Verdict]) -> str:
    """The last line: successes of each kind."""
    counts = []
    for kind in ALL_KINDS:
        of_kind = [verdict for verdict in verdicts if verdict.kind == kind]
        if kind not in KINDS and not of_kind:
            continue
        counts.append(f"{kind} {sum(verdict.success for verdict in of_kind)}/{len(of_kind)}")
    return " ".join(counts)


def contact_sheet(rows: Sequence[tuple[Verdict, EditPair, Painted]]) -> PilImage.Image:
    """Before, mask, after, truth and reference of every edit, with its verdict above."""
    columns = 5 if any(pair.kind == REFERENCE for _, pair, _ in rows) else 4
    height = THUMBNAIL_PX + CAPTION_PX
    sheet = PilImage.new("RGB", (columns * THUMBNAIL_PX, height * len(rows)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (verdict, pair, painted) in enumerate(rows):
        top = number * height
        word = "yes" if verdict.success else "no"
        numbers = (
            f"colour {verdict.colour:.2f} shape {verdict.shape:.2f} surface {verdict.surface:.2f} "
            f"parts {verdict.parts:.0f} strayed {verdict.strayed_px}"
        )
        pen.text((2, top + 1), f"{word}: {pair.prompt} ({numbers})", fill="black")
        grey = np.repeat(painted.mask[..., None], 3, axis=2)
        images = [pair.before.image, grey, painted.image, pair.after.image]
        if pair.reference is not None:
            images.append(pair.reference)
        for column, image in enumerate(images):
            small = PilImage.fromarray(image).resize((THUMBNAIL_PX, THUMBNAIL_PX), PilImage.Resampling.LANCZOS)
            sheet.paste(small, (column * THUMBNAIL_PX, top + CAPTION_PX))
    return sheet


def averages(verdicts: Sequence[Verdict]) -> list[str]:
    """A line per kind: how far colours came and how well shapes agree on average, and the median time."""
    lines = []
    for kind in dict.fromkeys(verdict.kind for verdict in verdicts):
        of_kind = [verdict for verdict in verdicts if verdict.kind == kind]
        names = ("colour", "shape", "surface", "parts")
        colour, shape, surface, parts = (np.mean([getattr(verdict, name) for verdict in of_kind]) for name in names)
        clean = sum(verdict.strayed_px == 0 for verdict in of_kind)
        time_ms = np.median([verdict.time_ms for verdict in of_kind])
        routed = sum(verdict.routed for verdict in of_kind)
        poses = [verdict.pose for verdict in of_kind if verdict.pose is not None]
        people = f"pose {np.mean(poses):.2f} of {len(poses)} people; " if poses else ""
        lines.append(
            f"{kind}: colour {colour:.2f}, shape {shape:.2f}, surface {surface:.2f}, parts {parts:.1f} on average; "
            f"surroundings untouched {clean}/{len(of_kind)}; right pipeline {routed}/{len(of_kind)}; "
            f"{people}median {time_ms:.0f} ms"
        )
        lines += [f"{kind}: {line}" for line in as_before(of_kind)]
        if kind == OCCLUSION:
            lines.append(
                f"{kind}: what stands in front changed in {sum(v.front_changed for v in of_kind)}/{len(of_kind)}"
            )
    return lines


def as_before(verdicts: Sequence[Verdict]) -> list[str]:
    """A line for windows and one for wheels: how many recoloured cars have them as before."""
    lines = []
    for name in CAR_PARTS:
        distances = [verdict.kept[name] for verdict in verdicts if name in verdict.kept]
        if distances:
            same = sum(distance <= AS_BEFORE for distance in distances)
            lines.append(
                f"{name} as before in {same}/{len(distances)} cars, {np.mean(distances):.1f} CIEDE2000 on average"
            )
    return lines


async def run(
    local: LocalEditor,
    first_seed: int,
    scenes: int,
    out: Path,
    *,
    kinds: Sequence[str] = KINDS,
    conditioned: bool = True,
    rough: bool = False,
    painter: str = "model",
) -> list[Verdict]:
    """Edit and judge `scenes` scenes of every kind; writes the sheets and verdicts.json to the folder `out`."""
    verdicts: list[Verdict] = []
    for kind in kinds:
        rows = []
        for seed in range(first_seed, first_seed + scenes):
            pair = sample_edit(seed, kind)
            request = request_for(pair, seed, conditioned=conditioned, rough=rough)
            try:
                painted = await PAINTERS[painter](local.editor, pair, request)
            except ContentPolicy as refusal:  # a refused edit is a failed one, and has no image for the sheet
                verdicts.append(refused(pair, seed))
                print(f"{kind} {seed} no  {pair.prompt} ({refusal})", flush=True)
                continue
            routed = not conditioned or painted.pipeline in (None, expected_pipeline(pair))
            verdict = judge(pair, seed, painted.image, routed=routed)
            pose = await pose_similarity(local.models, pair, painted.image)
            verdict = replace(verdict, time_ms=painted.time_ms, pose=pose)
            verdicts.append(verdict)
            rows.append((verdict, pair, painted))
            print(f"{kind} {seed} {'yes' if verdict.success else 'no '} {verdict.prompt}", flush=True)
        if rows:
            contact_sheet(rows).save(out / f"{kind}.png")
    lines = [asdict(verdict) | {"success": verdict.success} for verdict in verdicts]
    (out / "verdicts.json").write_text(json.dumps(lines, indent=1))
    return verdicts


@dataclass(frozen=True, kw_only=True)
class LocalEditor:
    """The editor over runners in this process, its models by themselves, and the runners."""

    editor: Editor
    models: Models
    native_size: int
    runners: Sequence[Any]


@contextmanager
def local_editor() -> Iterator[LocalEditor]:
    """Load the models that the configuration describes into this process, for as long as the context is open."""
    from composition.config import load_config
    from composition.editor import Editor
    from runners.analyzer.service import AnalyzerRunner
    from runners.detector.service import DetectorRunner
    from runners.diffusion.transport.service import DiffusionRunner
    from runners.structure.service import StructureRunner
    from runners.wiring import assemble

    config = load_config()
    analyzer, detector, structure, diffusion = (
        _in_process(runner) for runner in (AnalyzerRunner, DetectorRunner, StructureRunner, DiffusionRunner)
    )
    assembly = assemble(config, analyzer=analyzer, detector=detector, structure=structure, diffusion=diffusion)
    editor = Editor(
        config=config, models=assembly.models, native_size=assembly.native_size, reader=GrammarPromptReader()
    )
    try:
        yield LocalEditor(
            editor=editor,
            models=assembly.models,
            native_size=assembly.native_size,
            runners=(analyzer, detector, structure, diffusion),
        )
    finally:
        diffusion.stop()


def _in_process(runner: Any) -> Any:
    return runner.inner()


async def _measure(options: argparse.Namespace) -> dict[str, list[Verdict]]:
    """Verdicts per painter, the model's last."""
    chosen = sorted(PAINTERS, key="model".__eq__) if options.painter == "all" else [options.painter]
    with local_editor() as local:
        return {
            painter: await run(
                local,
                options.first_seed,
                options.scenes,
                _folder(options, painter),
                kinds=options.kinds,
                conditioned=not options.unconditioned,
                rough=options.rough_masks,
                painter=painter,
            )
            for painter in chosen
        }


def _folder(options: argparse.Namespace, painter: str) -> Path:
    out: Path = options.out
    return out if painter == "model" else out / painter


def _measure_elsewhere(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exits with what is wrong where something is asked for that the kind does not have."""
    (kind, *others) = options.kinds
    if others or options.painter != "model" or options.unconditioned or options.rough_masks:
        asked = next(kind for kind in options.kinds if kind in ELSEWHERE)
        parser.error(f"--kinds {asked} takes no other kind, and no --painter, --unconditioned or --rough-masks")
    given = {name: getattr(options, name.replace("-", "_")) for name in ("first-seed", "scenes", "profile", "out")}
    import_module(f"benchmarks.demo_{kind}").main([f"--{name}={value}" for name, value in given.items()])


def main() -> None:
    """Measure and print the summary last."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_world", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True, help="scenes of each kind")
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS, help="default: the four families")
    parser.add_argument("--painter", choices=(*PAINTERS, "all"), default="model", help="who paints")
    parser.add_argument("--unconditioned", action="store_true", help="IP-Adapter at scale 0, no ControlNets")
    parser.add_argument("--rough-masks", action="store_true", help="structure edits in a rectangle with room around")
    parser.add_argument("--out", type=Path, default=Path("out/demo_world"))
    options = parser.parse_args()
    if not {*options.kinds}.isdisjoint(ELSEWHERE):
        _measure_elsewhere(parser, options)
        return
    for painter in PAINTERS if options.painter == "all" else [options.painter]:
        _folder(options, painter).mkdir(parents=True, exist_ok=True)
    # The runners read the configuration when they are imported.
    os.environ["COMPOSITION_MODELS__PROFILE"] = options.profile
    judged = asyncio.run(_measure(options))
    for painter, verdicts in judged.items():
        print(f"painter {painter}", *averages(verdicts), sep="\n")
    for painter, verdicts in judged.items():
        print(f"{painter:7} {summary(verdicts)}" if options.painter == "all" else summary(verdicts))


if __name__ == "__main__":
    main()
