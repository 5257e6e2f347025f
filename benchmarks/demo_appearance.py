"""How edits of a look are best painted: strength, outline and the photograph's detail, each measured on the demo world.

Usage: python -m benchmarks.demo_appearance --first-seed N --scenes M

Prints a table of successes (see benchmarks.demo_world) and of the mean absolute difference to the truth inside the
outline (0..255); every setting paints the same scenes with the same seeds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.demo_judge import Verdict, judge
from benchmarks.demo_world import LocalEditor, local_editor, request_for
from composition.request import RefineMask
from demo_models.world.edits import MATERIAL, RECOLOUR, sample_edit

KINDS = (RECOLOUR, MATERIAL)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way of painting a look."""

    strength: float = 0.8
    outline: bool = True
    detail: bool = True
    guidance_scale: float = 7.5

    def __str__(self) -> str:
        return (
            f"strength {self.strength:.1f}, {'outline' if self.outline else 'box'}, "
            f"{'detail kept' if self.detail else 'as painted'}, guidance {self.guidance_scale}"
        )


SETTINGS = (
    Setting(),
    Setting(strength=0.6),
    Setting(strength=0.9),
    Setting(strength=1.0),
    Setting(detail=False),
    Setting(outline=False),
    Setting(guidance_scale=5.0),
    Setting(guidance_scale=10.0),
)


async def paint(local: LocalEditor, setting: Setting, kind: str, seed: int) -> tuple[Verdict, float]:
    """One edit of a scene; its verdict and how far it is from the truth."""
    from composition.config import load_config
    from composition.editor import Editor
    from prompt_reading.reader import GrammarPromptReader

    config = load_config()
    generation = config.generation.model_copy(update={"appearance_keep_detail": setting.detail})
    editor = Editor(
        config=config.model_copy(update={"generation": generation}),
        models=local.models,
        native_size=local.native_size,
        reader=GrammarPromptReader(),
    )
    pair = sample_edit(seed, kind)
    request = request_for(pair, seed)
    options = replace(
        request.options,
        strength=setting.strength,
        guidance_scale=setting.guidance_scale,
        refine_mask=RefineMask.AUTO if setting.outline else RefineMask.OFF,
    )
    result = await editor.edit(replace(request, options=options), request_id=f"{seed}", listener=lambda progress: None)
    difference = np.abs(result.image.astype(int) - pair.after.image)[pair.silhouette > 127].mean()
    return judge(pair, seed, result.image), float(difference)


async def _measure(options: argparse.Namespace) -> None:
    seeds = range(options.first_seed, options.first_seed + options.scenes)
    with local_editor() as local:
        for setting in SETTINGS:
            cells = []
            for kind in KINDS:
                rows = [await paint(local, setting, kind, seed) for seed in seeds]
                good = sum(verdict.success for verdict, _ in rows)
                cells.append(f"{kind} {good}/{len(rows)} off {np.mean([distance for _, distance in rows]):.1f}")
            print(f"{setting!s:58} {'  '.join(cells)}", flush=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo_appearance", description=__doc__)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True, help="scenes of each kind")
    options = parser.parse_args()
    os.environ["COMPOSITION_MODELS__PROFILE"] = "demo"
    asyncio.run(_measure(options))


if __name__ == "__main__":
    main()
