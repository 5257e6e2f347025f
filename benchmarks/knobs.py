"""Each knob of published recipes beside the defaults, judged by ground truth in the demo world.

Usage: python -m benchmarks.knobs --first-seed N --scenes M [--profile demo] [--kinds recolour,material]
       [--settings defaults,unipc,...] [--out out/knobs]

The same edits as `benchmarks.demo_world` once for every setting, seed by seed the same noise, so that what differs is
the knob. Prints a line per setting, the defaults' first: successes by kind, how far the colour of the painted thing
came (CIEDE2000, less is better) and how well its shape agrees, averaged over all edits, with the difference from the
defaults.
A knob that shows nothing over the cheats of `benchmarks.demo_world --painter all` shows nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.demo_judge import Verdict, judge
from benchmarks.demo_painters import PAINTERS
from benchmarks.demo_settings import Settings, parsed, with_options
from benchmarks.demo_world import LocalEditor, local_editor, refused, request_for, summary
from composition.errors import ContentPolicy
from composition.request import Scheduler
from demo_models.world.edits import sample_edit

SETTINGS: Settings = {
    "defaults": {},
    "karras": {"scheduler": Scheduler.DPM_SOLVER_KARRAS},
    "unipc": {"scheduler": Scheduler.UNIPC},
    "karras-10": {"scheduler": Scheduler.DPM_SOLVER_KARRAS, "num_inference_steps": 10},
    "unipc-10": {"scheduler": Scheduler.UNIPC, "num_inference_steps": 10},
    "defaults-10": {"num_inference_steps": 10},
    "rescale": {"guidance_rescale": 0.7},
    "reference-in-mask": {"ip_adapter_mask": True},
    "reference-late": {"ip_adapter_start": 0.3},
    "reference-early": {"ip_adapter_end": 0.7},
    "control-late": {"control_guidance_start": 0.2},
    "control-early": {"control_guidance_end": 0.6},
    "crop-close": {"crop_context": 1.3},
    "crop-wide": {"crop_context": 3.0},
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One setting's verdicts in figures; `colour` and `shape` are means over the edits that were not refused."""

    setting: str
    successes: str
    colour: float
    shape: float

    def line(self, defaults: Measured) -> str:
        return (
            f"{self.setting:18} {self.successes}; colour {self.colour:.2f} ({self.colour - defaults.colour:+.2f}), "
            f"shape {self.shape:.3f} ({self.shape - defaults.shape:+.3f})"
        )


def figures(setting: str, verdicts: Sequence[Verdict]) -> Measured:
    """What a setting's line says."""
    return Measured(
        setting=setting,
        successes=summary(verdicts),
        colour=float(np.mean([verdict.colour for verdict in verdicts])),
        shape=float(np.mean([verdict.shape for verdict in verdicts])),
    )


async def measure(local: LocalEditor, setting: str, seeds: Sequence[int], kinds: Sequence[str]) -> list[Verdict]:
    """Edit and judge a scene per seed and kind with one setting."""
    verdicts = []
    for kind in kinds:
        for seed in seeds:
            pair = sample_edit(seed, kind)
            try:
                painted = await PAINTERS["model"](
                    local.editor, pair, with_options(request_for(pair, seed), SETTINGS[setting])
                )
            except ContentPolicy:
                verdicts.append(refused(pair, seed))
                continue
            verdicts.append(judge(pair, seed, painted.image, routed=True))
    return verdicts


async def run(options: argparse.Namespace) -> list[Measured]:
    """Every setting, the defaults first; writes knobs.json to the folder `out`."""
    seeds = range(options.first_seed, options.first_seed + options.scenes)
    measured: list[Measured] = []
    with local_editor() as local:
        for setting in dict.fromkeys(("defaults", *options.settings)):
            measured.append(figures(setting, await measure(local, setting, seeds, options.kinds)))
            print(measured[-1].line(measured[0]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "knobs.json").write_text(json.dumps([vars(one) for one in measured], indent=1))
    return measured


def main() -> None:
    """Measure and print."""
    asyncio.run(run(parsed("knobs", __doc__, SETTINGS)))


if __name__ == "__main__":
    main()
