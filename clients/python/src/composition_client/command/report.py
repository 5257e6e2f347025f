"""What is said while something runs, and of what came of it. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from composition_client.answers import Edit, EditAccount, ViewAccount
from composition_client.errors import ComposeError, ServiceError
from composition_client.operations import OnProgress
from composition_client.operations import Progress as JobProgress

UNBOUNDED = 10_000
_TOLD = {"prompt", "region", "covered_by", "mask_area", "warnings"}
"""Of each edit or view, where an account is JSON."""


def complain(message: str) -> None:
    """A line on stderr, for what went wrong."""
    print(f"compose: {message}", file=sys.stderr)


def say(message: str) -> None:
    """A line on stderr, for what is good to know."""
    print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    """One line on stdout."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def described(error: ComposeError) -> dict[str, Any]:
    """An error as JSON."""
    if isinstance(error, ServiceError):
        return {"code": error.code, "message": str(error.args[0]), "details": error.details}
    return {"code": type(error).__name__, "message": str(error), "details": {}}


def account(edit: Edit) -> dict[str, Any]:
    """Of an edit as JSON, without its images."""
    return {
        "job_id": edit.job_id,
        "seeds": edit.seeds,
        "pipeline": edit.pipeline_used,
        "rule": edit.routing.get("rule"),
        "processing_time_ms": edit.processing_time_ms,
        "warnings": edit.warnings,
        "edits": [one.model_dump(include=_TOLD) for one in edit.edits],
        **({"views": [one.model_dump(include=_TOLD) for one in edit.views]} if edit.views else {}),
    }


def in_words(edit: Edit) -> list[str]:
    """Of an edit: one line, and one for each warning."""
    rule = edit.routing.get("rule")
    how = f"{edit.pipeline_used} pipeline" + (f" ({rule})" if rule else "")
    different = list(dict.fromkeys(edit.seeds))
    seeds = ("seed " if len(different) == 1 else "seeds ") + ", ".join(map(str, different))
    line = f"{how}, {seeds}, {edit.processing_time_ms / 1000:.1f} s, job {edit.job_id}"
    return [line, *(of_each_view(edit.views, edit.warnings) if edit.views else of_each(edit.edits, edit.warnings))]


def frames_in_words(metadata: Mapping[str, Any]) -> str:
    """How much of a clip was edited."""
    return f"{metadata.get('frames_edited')} of {metadata.get('frames')} frames edited"


def of_each(
    edits: Sequence[EditAccount],
    warnings: Sequence[str],
    *,
    more: Callable[[EditAccount], list[str]] = lambda edit: [],
) -> list[str]:
    """What became of each of several edits, what `more` there is to say of it, and its own warnings.

    Then the warnings that concern all of them, or the only one.
    """
    heads = [f"{edit.prompt}: {_where_made(edit)}" for edit in edits]
    said = [[head, *more(edit)] for head, edit in zip(heads, edits, strict=True)]
    return _numbered("edits", said if len(edits) > 1 else [], warnings)


def of_each_view(views: Sequence[ViewAccount], warnings: Sequence[str]) -> list[str]:
    """What became of each of several photographs, and its own warnings; then those that concern all of them."""
    return _numbered("views", [[_where_found(view)] for view in views], warnings)


def _numbered(name: str, said: Sequence[Sequence[str]], warnings: Sequence[str]) -> list[str]:
    """What is said of each, after its number; then the warnings that are of none, which have none."""
    lines, rest = [], list(warnings)
    for place, (head, *more) in enumerate(said):
        number = f"{name}.{place}:"  # as the service's warnings begin
        lines += [f"{number} {head}", *(f"  {line}" for line in more)]
        own = [warning for warning in rest if warning.startswith(number)]
        lines += [f"  warning: {warning.removeprefix(number).strip()}" for warning in own]
        rest = [warning for warning in rest if warning not in own]
    return lines + [f"warning: {warning}" for warning in rest]


def _where_made(edit: EditAccount) -> str:
    over = [f"{other['share']:.0%} of it under edits.{other['edit']}" for other in edit.covered_by]
    return ", ".join([_where_found(edit), *(over if edit.region is not None else [])])


def _where_found(one: EditAccount | ViewAccount) -> str:
    if one.region is None:
        return "not done"
    return f"at {', '.join(map(str, one.region))}, {one.mask_area:.1%} of the image"


def table_of(*columns: str) -> Table:
    """Whose first column is never cut, so that what names a thing can be copied."""
    table = Table(box=None)
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """On stdout: as wide as the terminal; elsewhere as wide as it is, a line for each row."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    console.print(table)


@contextmanager
def live_progress(name: str, *, wanted: bool | None) -> Iterator[OnProgress | None]:
    """A bar on a terminal; elsewhere nothing, or lines where they are wanted."""
    console = Console(stderr=True)
    if wanted is False or (wanted is None and not console.is_terminal):
        yield None
    elif not console.is_terminal:
        yield lambda progress: say(f"{name}: {_where(progress)} {progress.fraction:.0%}")
    else:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
            task = bars.add_task(name, total=1.0)
            yield lambda progress: bars.update(
                task, completed=progress.fraction, description=f"{name}: {_where(progress)}"
            )


def _where(progress: JobProgress) -> str:
    stage = progress.stage or progress.status
    return stage if progress.step is None else f"{stage} {progress.step}/{progress.total_steps}"
