"""`python -m prompt_reading evaluate FILE.jsonl` scores labelled prompts; `explain "PROMPT"` shows a decision."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from composition.config import RoutingConfig
from composition.decision import Decision, Signals
from composition.request import EditOptions
from composition.routing.router import Router
from prompt_reading.evaluation import describe_target, evaluate_file
from prompt_reading.reader import GrammarPromptReader


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when all matches, 1 for misses, 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m prompt_reading", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    evaluate = commands.add_parser("evaluate", help="score a file of labelled prompts")
    evaluate.add_argument("file", type=Path)
    explain = commands.add_parser("explain", help="show what is decided from the words alone")
    explain.add_argument("prompt")
    explain.add_argument("--target", help="what config.target would say")
    options = parser.parse_args(arguments)
    if options.command == "evaluate":
        return _evaluate(options.file)
    return _explain(options.prompt, options.target)


def _router() -> Router:
    return Router(RoutingConfig(), GrammarPromptReader())


def _evaluate(path: Path) -> int:
    try:
        score = evaluate_file(path, _router())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for miss in score.misses:
        print(miss)
    print(score.summary)
    return 0 if score.complete else 1


def _explain(prompt: str, target: str | None) -> int:
    router, options = _router(), EditOptions(target=target)
    reading = router.read(prompt, options)
    edits = [reading] if target else [replace(reading, others=()), *reading.others]
    for edit in edits:
        if len(edits) > 1:
            print(f"edit         {edit.asked}")
        _show(router.decide(edit, options=options, signals=Signals(), has_reference=False))
    return 0


def _show(decision: Decision) -> None:
    controls = ", ".join(f"{control} {weight}" for control, weight in decision.controls.items())
    print(f"pipeline     {decision.pipeline.value}")
    print(f"rule         {decision.rule}: {decision.reason}")
    print(f"controls     {controls or 'none'}")
    print(f"target       {describe_target(decision.target)}")
    print(f"paint        {decision.generation_prompt}")
    print(f"avoid        {', '.join(decision.negative_terms) or 'nothing'}")
    print(
        f"keeps shape  {'yes' if decision.keeps_shape else 'no'}{', only colour changes' if decision.recolour else ''}"
    )
    for name, value in decision.signals.items():
        print(f"signal       {name}: {value}")
    for warning in decision.warnings:
        print(f"warning      {warning}")


if __name__ == "__main__":
    sys.exit(main())
