"""`compose video`: one edit of a clip, a file in and a file out."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from composition_client.answers import Video
from composition_client.client import Client
from composition_client.command import flags
from composition_client.command.exits import exits
from composition_client.command.places import Pipe, check_free, photos_of, write_whole
from composition_client.command.report import live_progress, print_json, say
from composition_client.connection import DEFAULT_URL
from composition_client.options import Config

SUFFIXES = {
    "image/gif": ".gif",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "application/zip": ".zip",
}
LONG_S = 3600.0
OF_PHOTOGRAPHS = ("points", "box", "return_mask", "output_format", "oversize", "embed_metadata")
"""Options that clips do not have."""


class Kind(StrEnum):
    """What --as may be."""

    GIF = "gif"
    WEBP = "webp"
    MP4 = "mp4"
    WEBM = "webm"
    PNG_SEQUENCE = "png_sequence"


@partial(flags.takes_config, but=OF_PHOTOGRAPHS)
@exits
def video(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A GIF, WebP, MP4 or WebM file, or its URL.")],
    prompt: Annotated[str, typer.Argument(help="What is to be done, in all frames.")],
    *,
    config: Config,
    reference: flags.Reference = None,
    negative_prompt: flags.NegativePrompt = None,
    kind: Annotated[
        Kind | None, typer.Option("--as", help="The file that it becomes; otherwise as the clip is.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; otherwise clip.edited.gif and the like.")
    ] = None,
    force: flags.Force = False,
    json_: flags.Json = False,
    progress: flags.ShowProgress = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For all of it, with the queue.")
    ] = LONG_S,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Edit a clip. Ctrl-C cancels the job."""
    pipe = Pipe()
    given = photos_of([clip], pipe)
    if len(given) != 1:
        raise typer.BadParameter(f"{clip} is {len(given)} clips, one is needed")
    if output is not None:
        check_free([output], force=force)
    file = clip if isinstance(given[0].image, str) else given[0].path
    with Client(url, timeout_s=timeout) as client, live_progress(given[0].name, wanted=progress) as on_progress:
        made = client.edit_video(
            file,
            prompt,
            reference=pipe.references(reference),
            negative_prompt=negative_prompt,
            output=None if kind is None else kind.value,
            on_progress=on_progress,
            **config,
        )
    stem = given[0].path.with_name(f"{given[0].path.stem}.edited{SUFFIXES.get(made.media_type, '.bin')}")
    path = output or stem
    write_whole(path, made.video, force=force)
    if json_:
        print_json({"clip": given[0].name, "output": str(path), **made.model_dump(mode="json", exclude={"video"})})
        return
    print(path)
    for line in in_words(made):
        say(line)


def in_words(made: Video) -> list[str]:
    """What was done, for people."""
    told = made.metadata
    first = f"{told.get('frames_edited')} of {told.get('frames')} frames edited, seed {told.get('seed_used')}"
    return [first, *(f"warning: {text}" for text in made.warnings)]
