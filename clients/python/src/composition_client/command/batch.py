"""`compose batch`: every photo of a folder, several at a time; stopped, it goes on where it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from composition_client.async_client import AsyncClient
from composition_client.body import References
from composition_client.command import flags, several
from composition_client.command.exits import DONE, FAILED, concerns_all, exits
from composition_client.command.journal import Journal, OtherSettings
from composition_client.command.places import SUFFIX_OF, Pipe, check_free, write_whole
from composition_client.command.report import account, complain, described, print_json, print_table, say, table_of
from composition_client.connection import DEFAULT_URL
from composition_client.errors import ComposeError
from composition_client.images import SUFFIXES, to_base64, to_bytes_or_url
from composition_client.options import Config, OneEdit

_IMAGES = ("image", "mask_image")
Tell = Callable[["Outcome"], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one photo that was worked on."""

    photo: str
    output: str
    seconds: float
    account: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None


@flags.takes_config
@exits
def batch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="With the photos.")],
    prompt: Annotated[str | None, typer.Argument(help="What shall be there instead, in all of them.")] = None,
    *,
    config: Config,
    also: several.Also = None,
    edits: several.File = None,
    reference: flags.Reference = None,
    reference_for: flags.ReferenceFor = None,
    mask: flags.MaskImage = None,
    negative_prompt: flags.NegativePrompt = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", file_okay=False, help="A folder; else FOLDER.edited.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="Also the folders in it.")] = False,
    concurrency: Annotated[int, typer.Option("--concurrency", "-j", min=1, max=64, help="Photos at a time.")] = 4,
    force: flags.Force = False,
    json_: flags.Json = False,
    progress: flags.ShowProgress = None,
    timeout: flags.Timeout = flags.DEFAULT_TIMEOUT_S,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Edit every photo of a folder. It notes there what is done: the same command goes on after a stop."""
    if config.get("return_mask"):
        raise typer.BadParameter("--return-mask is for compose edit")
    target = output or folder.absolute().with_name(f"{folder.resolve().name}.edited")
    outputs = _outputs(folder, target, SUFFIX_OF[config.get("output_format", "png")], recursive=recursive)
    if not outputs:
        raise typer.BadParameter(f"{folder}: there is no photo ({', '.join(SUFFIXES)}) in it")
    pipe = Pipe()
    images: dict[str, References | None] = {
        "reference": pipe.references(reference, reference_for),
        "mask": pipe.maybe(mask),
    }
    said = several.prompt_of(prompt, also, edits, pipe)
    asked: dict[str, Any] = {
        "prompt": said if isinstance(said, str) else [_with_read_images(edit) for edit in said],
        "negative_prompt": negative_prompt,
        # As data URLs they are read once, and are part of the settings.
        **{name: _read(image) for name, image in images.items() if image is not None},
        **config,
    }
    settings = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    try:
        journal = Journal.open(target, settings=settings, anew=force)
    except OtherSettings:
        raise typer.BadParameter(
            f"{target} has a batch with another prompt, image or option: give another -o, or --force to overwrite"
        ) from None
    check_free([target / name for name in outputs.values() if name not in journal.outputs], force=force)
    with journal:
        work = _Batch(folder, target, outputs, asked, journal)
        outcomes = asyncio.run(work.run(url, timeout, concurrency, progress, json_))
    _summarise(outcomes, len(outputs), json_=json_)
    raise typer.Exit(FAILED if any(outcome.error for outcome in outcomes) else DONE)


def _read(image: References) -> Any:
    return [_read_one(one) for one in image] if isinstance(image, list) else _read_one(image)


def _read_one(image: Any) -> Any:
    """A data URL, or a reference with those."""
    if isinstance(image, dict):
        return {name: _read_one(value) if name in _IMAGES else _read_part(value) for name, value in image.items()}
    given = to_bytes_or_url(image)
    return given if isinstance(given, str) else f"data:;base64,{to_base64(given)}"


def _read_part(said: Any) -> Any:
    return _read_one(said) if isinstance(said, dict) else said


def _with_read_images(edit: OneEdit) -> OneEdit:
    read = edit.copy()
    if (mask := edit.get("mask_image")) is not None:
        read["mask_image"] = _read_one(mask)
    if references := edit.get("reference_images"):
        read["reference_images"] = [_read_one(image) for image in references]
    return read


def _outputs(folder: Path, target: Path, suffix: str, *, recursive: bool) -> dict[str, str]:
    """Of each photo its edited one's name, relative to the two folders, in order.

    `car.jpg` becomes `car.png`; where there is a `car.webp` as well, `car.jpg.png` and `car.webp.png`.
    """
    found = sorted(folder.rglob("*") if recursive else folder.iterdir())
    photos = [
        path.relative_to(folder)
        for path in found
        if path.suffix.lower() in SUFFIXES and path.is_file() and target.resolve() not in path.resolve().parents
    ]
    stems = Counter(photo.with_suffix("") for photo in photos)
    return {
        photo.as_posix(): (
            photo.with_suffix(suffix) if stems[photo.with_suffix("")] == 1 else photo.with_name(photo.name + suffix)
        ).as_posix()
        for photo in photos
    }


@dataclass(frozen=True)
class _Batch:
    folder: Path
    target: Path
    outputs: dict[str, str]
    asked: dict[str, Any]
    journal: Journal

    async def run(
        self, url: str, timeout_s: float, concurrency: int, progress: bool | None, json_: bool
    ) -> list[Outcome]:
        """Of what was not done yet. What concerns all photos, or an interruption, cancels those under way."""
        outcomes: list[Outcome] = []
        slots = asyncio.Semaphore(concurrency)
        with _bar(len(self.outputs), wanted=progress) as tell:

            async def one(client: AsyncClient, photo: str) -> None:
                async with slots:
                    outcome = await self._edit(client, photo)
                if outcome is None:
                    tell(f"{photo}: was done")
                    return
                outcomes.append(outcome)
                failure = outcome.error and f"{outcome.error['code']}: {outcome.error['message']}"
                tell(f"{photo}: {failure or 'done'}")
                if json_:
                    print_json(_as_json(outcome))

            async with AsyncClient(url, timeout_s=timeout_s) as client:
                try:
                    async with asyncio.TaskGroup() as group:
                        for photo in self.outputs:
                            group.create_task(one(client, photo))
                except* (ComposeError, OSError) as errors:
                    raise errors.exceptions[0] from None
        return outcomes

    async def _edit(self, client: AsyncClient, photo: str) -> Outcome | None:
        """None when it was done before. Raises: ComposeError that every other photo would meet too."""
        output, start = self.outputs[photo], time.monotonic()
        data = await asyncio.to_thread((self.folder / photo).read_bytes)
        digest = hashlib.sha256(data).hexdigest()
        if self.journal.done.get(photo) == digest and (self.target / output).exists():
            return None
        try:
            made = await client.edit(data, **self.asked, idempotency_key=self.journal.key(photo, digest))
        except asyncio.CancelledError:
            self.journal.note_failure(photo, digest, {"code": "CANCELLED", "message": "the batch was stopped"})
            raise
        except ComposeError as error:
            self.journal.note_failure(photo, digest, described(error))
            if concerns_all(error):
                raise
            return Outcome(photo=photo, output=output, seconds=time.monotonic() - start, error=described(error))
        told = account(made)
        self.journal.note_done(photo, digest, output, told)
        await asyncio.to_thread(write_whole, self.target / output, made.image, force=True)
        return Outcome(photo=photo, output=output, seconds=time.monotonic() - start, account=told)


@contextmanager
def _bar(total: int, *, wanted: bool | None) -> Iterator[Callable[[str], None]]:
    """Told a line for each photo: a bar on a terminal; elsewhere nothing, or the lines where they are wanted."""
    console = Console(stderr=True)
    if wanted is False or (wanted is None and not console.is_terminal):
        yield lambda line: None
    elif not console.is_terminal:
        yield say
    else:
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda line: bar.update(task, advance=1, description=line)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    about = {"photo": outcome.photo}
    return about | ({"error": outcome.error} if outcome.error else {"output": outcome.output, **outcome.account})


def _summarise(outcomes: list[Outcome], total: int, *, json_: bool) -> None:
    """The table on stdout, the errors and the numbers on stderr."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.photo)
    failed = [outcome for outcome in outcomes if outcome.error]
    if not json_ and outcomes:
        table = table_of("photo", "result", "s", "seed", "warnings")
        for outcome in outcomes:
            result = outcome.error["code"] if outcome.error else outcome.output
            seeds, warnings = outcome.account.get("seeds", []), outcome.account.get("warnings", [])
            table.add_row(
                outcome.photo, result, f"{outcome.seconds:.1f}", *map(str, seeds[:1] or [""]), "; ".join(warnings)
            )
        print_table(table)
    for outcome in failed:
        assert outcome.error is not None
        complain(f"{outcome.photo}: {outcome.error['code']}: {outcome.error['message']}")
    say(f"{len(outcomes) - len(failed)} edited, {total - len(outcomes)} done before, {len(failed)} failed")
