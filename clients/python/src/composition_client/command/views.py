"""`compose views`: photographs of one thing and a sentence -> the photographs, edited alike."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, cast

import typer

from composition_client.client import Client
from composition_client.command import flags
from composition_client.command.exits import exits
from composition_client.command.places import (
    Photo,
    Pipe,
    check_free,
    format_of,
    outputs_of,
    photos_of,
    preview_writer,
)
from composition_client.command.report import account, in_words, live_progress, print_json, say
from composition_client.connection import DEFAULT_URL
from composition_client.options import Config

FEWEST, MOST = 2, 8
OF_ONE_PHOTOGRAPH = ("points", "box", "return_mask")
"""Options that views do not have."""


@partial(flags.takes_config, but=OF_ONE_PHOTOGRAPH)
@exits
def views(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO PHOTO... PROMPT",
            help="2 to 8 photographs of one thing, as for an edit; then what shall be there instead, in all of them.",
        ),
    ],
    *,
    config: Config,
    reference: flags.Reference = None,
    negative_prompt: flags.NegativePrompt = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Else photo.edited.png beside each.")
    ] = None,
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
    """Edit several photographs of one thing, which gets one look in all. Ctrl-C cancels the job."""
    flags.check_detached(detach, callback_url, for_images=(output, open_, force, preview))
    pipe = Pipe()
    photos = _several(words, pipe)
    asked: dict[str, Any] = {
        "prompt": words[-1],
        "reference": pipe.references(reference),
        "negative_prompt": negative_prompt,
    }
    images = [photo.image for photo in photos]
    with Client(url, timeout_s=timeout * len(photos)) as client:
        if detach:
            job_id = client.submit_views(images, **asked, callback_url=callback_url, **config)
            if json_:
                print_json({"photos": _names(photos), "job_id": job_id})
            else:
                print(job_id)
            return
        kind = format_of(None, config.get("output_format"))
        targets = outputs_of(photos, output, kind=kind, n=1, force=force)
        if preview is not None:
            check_free([preview], force=force)
        settings = cast(Config, {**config, "output_format": kind})
        with live_progress(f"{len(photos)} views", wanted=progress) as on_progress:
            made = client.edit_views(
                images, **asked, on_progress=on_progress, on_preview=preview_writer(preview), **settings
            )
    for target, image in zip(targets, made.candidates, strict=True):
        target.write([image])
    paths = [path for target in targets for path in target.paths]
    if json_:
        print_json({"photos": _names(photos), "outputs": list(map(str, paths)), **account(made)})
    else:
        print(*paths, sep="\n")
        for line in in_words(made):
            say(line)
    for path in paths if open_ else ():
        typer.launch(str(path))


def _several(words: list[str], pipe: Pipe) -> list[Photo]:
    """Of all words but the last, which is the prompt. Raises: typer.BadParameter."""
    photos = photos_of(words[:-1], pipe)
    if not FEWEST <= len(photos) <= MOST:
        raise typer.BadParameter(
            f"{FEWEST} to {MOST} photos and a PROMPT are needed; these are {len(photos)} before {words[-1]!r}"
        )
    return photos


def _names(photos: list[Photo]) -> list[str]:
    return [photo.name for photo in photos]
