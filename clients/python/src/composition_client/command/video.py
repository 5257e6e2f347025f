"""`compose video`: one edit of a clip, a file in and a file out."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from composition_client.answers import Video
from composition_client.client import Client
from composition_client.command import flags
from composition_client.command.exits import exits
from composition_client.command.places import Pipe, check_free, photos_of, preview_writer, write_whole
from composition_client.command.report import frames_in_words, live_progress, print_json, say
from composition_client.connection import DEFAULT_URL
from composition_client.images import suffix_of_clip
from composition_client.options import Config

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
    open_: flags.Open = False,
    preview: flags.Preview = None,
    detach: flags.Detach = False,
    callback_url: flags.CallbackUrl = None,
    json_: flags.Json = False,
    progress: flags.ShowProgress = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For all of it, with the queue.")
    ] = LONG_S,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Edit a clip. Ctrl-C cancels the job."""
    flags.check_detached(detach, callback_url, for_images=(output, open_, force, preview))
    pipe = Pipe()
    given = photos_of([clip], pipe)
    if len(given) != 1:
        raise typer.BadParameter(f"{clip} is {len(given)} clips, one is needed")
    check_free([path for path in (output, preview) if path is not None], force=force)
    name, path = given[0].name, given[0].path
    asked: dict[str, Any] = {
        "video": clip if isinstance(given[0].image, str) else path,
        "prompt": prompt,
        "reference": pipe.references(reference),
        "negative_prompt": negative_prompt,
        "output": None if kind is None else kind.value,
    }
    with Client(url, timeout_s=timeout) as client:
        if detach:
            job_id = client.submit_video(**asked, callback_url=callback_url, **config)
            if json_:
                print_json({"clip": name, "job_id": job_id})
            else:
                print(job_id)
            return
        with live_progress(name, wanted=progress) as on_progress:
            made = client.edit_video(**asked, on_progress=on_progress, on_preview=preview_writer(preview), **config)
    path = output or path.with_name(f"{path.stem}.edited{suffix_of_clip(made.video)}")
    write_whole(path, made.video, force=force)
    if json_:
        print_json({"clip": name, "output": str(path), **made.model_dump(mode="json", exclude={"video"})})
    else:
        print(path)
        for line in in_words(made):
            say(line)
    if open_:
        typer.launch(str(path))


def in_words(made: Video) -> list[str]:
    """What was done, for people."""
    first = f"{frames_in_words(made.metadata)}, seed {made.metadata.get('seed_used')}"
    return [first, *(f"warning: {text}" for text in made.warnings)]
