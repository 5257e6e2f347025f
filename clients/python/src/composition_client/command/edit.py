"""`compose edit`: photos and a sentence -> edited photos, or the ids of the jobs that will make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, cast

import typer

from composition_client.client import Client
from composition_client.command import flags, several
from composition_client.command.exits import DONE, concerns_all, exit_status, exits
from composition_client.command.places import (
    Output,
    Photo,
    Pipe,
    check_free,
    format_of,
    outputs_of,
    photos_of,
    preview_writer,
)
from composition_client.command.report import (
    account,
    complain,
    described,
    in_words,
    live_progress,
    print_json,
    say,
)
from composition_client.connection import DEFAULT_URL
from composition_client.errors import ComposeError
from composition_client.options import Config


@flags.takes_config
@exits
def edit(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO... [PROMPT]",
            help="Files, patterns, URLs, or - for stdin; then what shall be there instead, unless --edits says it.",
        ),
    ],
    *,
    config: Config,
    also: several.Also = None,
    edits: several.File = None,
    reference: flags.Reference = None,
    reference_for: flags.ReferenceFor = None,
    mask: flags.MaskImage = None,
    negative_prompt: flags.NegativePrompt = None,
    n: Annotated[
        int,
        typer.Option("-n", min=1, help="So many candidates, of the seeds seed, seed + 1 ...: photo.edited.1.png ..."),
    ] = 1,
    output: flags.Output = None,
    force: flags.Force = False,
    open_: flags.Open = False,
    preview: flags.Preview = None,
    detach: flags.Detach = False,
    callback_url: flags.CallbackUrl = None,
    json_: flags.Json = False,
    progress: flags.ShowProgress = None,
    timeout: flags.Timeout = flags.DEFAULT_TIMEOUT_S,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Edit photos. Ctrl-C cancels the job."""
    flags.check_detached(detach, callback_url, for_images=(output, open_, force, preview, config.get("return_mask")))
    pipe = Pipe()
    photos, sentence = (words, None) if edits is not None else (words[:-1], words[-1])
    if not photos:
        raise typer.BadParameter(f"{sentence}: a photo and a PROMPT are needed")
    given = photos_of(photos, pipe)
    if preview is not None:
        if len(given) > 1:
            raise typer.BadParameter("--preview is for one photo")
        check_free([preview], force=force)
    asked: dict[str, Any] = {
        "prompt": several.prompt_of(sentence, also, edits, pipe),
        "negative_prompt": negative_prompt,
        "reference": pipe.references(reference, reference_for),
        "mask": pipe.maybe(mask),
        "n": n if n > 1 else None,
    }
    with Client(url, timeout_s=timeout) as client:
        if detach:
            work = [partial(_submit, client, photo, asked, config, callback_url, json_) for photo in given]
            raise typer.Exit(_each(given, work, json_=json_))
        kind = format_of(output if len(given) == 1 else None, config.get("output_format"))
        settings = cast(Config, {**config, "output_format": kind})
        targets = outputs_of(given, output, kind=kind, n=n, force=force)
        if json_ and not all(target.paths for target in targets):
            raise typer.BadParameter("the image and --json cannot both go to stdout")
        if config.get("return_mask"):
            check_free([target.mask_path for target in targets], force=force)

        def make(photo: Photo, target: Output) -> None:
            with live_progress(photo.name, wanted=progress) as on_progress:
                made = client.edit(
                    photo.image, **asked, on_progress=on_progress, on_preview=preview_writer(preview), **settings
                )
            target.write(made.candidates, mask=made.mask)
            if json_:
                print_json({"photo": photo.name, "outputs": list(map(str, target.paths)), **account(made)})
            else:
                _tell(photo, target, in_words(made), several=len(given) > 1)
            if open_:
                for path in target.paths:
                    typer.launch(str(path))

        work = [partial(make, photo, target) for photo, target in zip(given, targets, strict=True)]
        raise typer.Exit(_each(given, work, json_=json_))


def _submit(
    client: Client, photo: Photo, asked: dict[str, Any], config: Config, callback_url: str | None, json_: bool
) -> None:
    job_id = client.submit(photo.image, **asked, callback_url=callback_url, **config)
    if json_:
        print_json({"photo": photo.name, "job_id": job_id})
    else:
        print(job_id)


def _tell(photo: Photo, target: Output, lines: list[str], *, several: bool) -> None:
    """The files' names on stdout, where the image itself does not go, and the account on stderr."""
    for path in target.paths:
        print(path, flush=True)
    for line in lines:
        say(f"{photo.name}: {line}" if several else line)


def _each(photos: list[Photo], work: Sequence[Callable[[], None]], *, json_: bool) -> int:
    """One after the other; the exit status. An error of one photo leaves the others alone."""
    status = DONE
    for photo, do in zip(photos, work, strict=True):
        try:
            do()
        except ComposeError as error:
            complain(f"{photo.name}: {error}")
            if json_:
                print_json({"photo": photo.name, "error": described(error)})
            status = exit_status(error)
            if concerns_all(error):
                break
    return status
