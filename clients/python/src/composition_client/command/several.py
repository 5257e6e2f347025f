"""Several edits of a photo: sentences joined by --and, or a file of them -> what the client takes as its prompt."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from composition_client.command.places import PIPE, Pipe
from composition_client.images import SENT_AS_THEY_ARE, ImageLike
from composition_client.options import OneEdit, OneReference

ITEMS = "edits"
TOML = ".toml"

Also = Annotated[
    list[str] | None,
    typer.Option("--and", metavar="SENTENCE", help="Another edit of the photo, in the same pass; may be repeated."),
]
File = Annotated[
    str | None,
    typer.Option(
        "--edits",
        metavar="FILE",
        help="In the place of PROMPT: edits with settings of their own, as `edits` of the API. JSON, or TOML by its "
        "suffix; - for stdin. Images are paths from the file on, or URLs.",
    ),
]


def prompt_of(sentence: str | None, also: list[str] | None, file: str | None, pipe: Pipe) -> str | list[OneEdit]:
    """Raises: typer.BadParameter: not said, said twice, or a file that has no edits."""
    if file is None:
        if not sentence:
            raise typer.BadParameter("what shall be there instead? A PROMPT is missing, or --edits FILE")
        return [OneEdit(prompt=one) for one in (sentence, *also)] if also else sentence
    if sentence or also:
        raise typer.BadParameter("--edits has the sentences: no PROMPT and no --and beside it")
    folder = Path() if file == PIPE else Path(file).parent
    return [_with_images(edit, folder) for edit in _edits_in(file, pipe)]


def _edits_in(file: str, pipe: Pipe) -> list[dict[str, Any]]:
    """Of a list, or of a table that has one."""
    text = pipe.content(file)
    try:
        read = tomllib.loads(text.decode()) if file.lower().endswith(TOML) else json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{file}: {error}") from None
    edits = read.get(ITEMS) if isinstance(read, dict) else read
    if not isinstance(edits, list) or not edits or not all(isinstance(edit, dict) for edit in edits):
        raise typer.BadParameter(
            f"{file}: a list of edits is needed, each with a prompt, or a table with it as {ITEMS}"
        )
    return edits


def _with_images(edit: dict[str, Any], folder: Path) -> OneEdit:
    """Whatever else an edit has is judged by the service."""
    found = dict(edit)
    if found.get("mask_image") is not None:
        found["mask_image"] = _image(found["mask_image"], folder)
    if isinstance(found.get("reference_images"), list):
        found["reference_images"] = [_reference(given, folder) for given in found["reference_images"]]
    return cast(OneEdit, found)


def _reference(given: Any, folder: Path) -> ImageLike | OneReference:
    if not isinstance(given, dict):
        return _image(given, folder)
    found = dict(given)
    if "image" in found:
        found["image"] = _image(found["image"], folder)
    if isinstance(part := found.get("for"), dict) and "mask_image" in part:
        found["for"] = {**part, "mask_image": _image(part["mask_image"], folder)}
    return cast(OneReference, found)


def _image(given: Any, folder: Path) -> ImageLike:
    if not isinstance(given, str):
        raise typer.BadParameter(f"an image is a path or a URL, not {json.dumps(given)}")
    if given.startswith(SENT_AS_THEY_ARE):
        return given
    path = folder / given
    if not path.is_file():
        raise typer.BadParameter(f"{path}: there is no such file")
    return path
