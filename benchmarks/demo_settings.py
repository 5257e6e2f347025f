"""What the benchmarks share that paint the same edits of the demo world with one setting after another."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from composition.request import EditRequest
from demo_models.world.edits import KINDS

Settings: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Options of a request by the name of the setting."""


def with_options(request: EditRequest, options: Mapping[str, Any]) -> EditRequest:
    """The request with a setting's options on top of its own."""
    return replace(request, options=replace(request.options, **options))


def parsed(
    program: str, description: str | None, settings: Settings, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """The command line of such a benchmark: first_seed, scenes, profile, kinds, settings, out.

    The profile is left in the environment: the runners read the configuration when they are imported.
    """
    parser = argparse.ArgumentParser(prog=f"benchmarks.{program}", description=description)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--scenes", type=int, required=True, help="scenes of each kind")
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS, help="default: all four")
    parser.add_argument("--settings", type=lambda text: text.split(","), default=tuple(settings), help="default: all")
    parser.add_argument("--out", type=Path, default=Path("out") / program)
    options = parser.parse_args(arguments)
    if unknown := set(options.settings) - set(settings):
        parser.error(f"there is no setting {', '.join(sorted(unknown))}; there are {', '.join(settings)}")
    os.environ["COMPOSITION_MODELS__PROFILE"] = options.profile
    return options
