"""Where photos come from and edited ones go. Nothing that is there already is overwritten unless that is asked for."""

from __future__ import annotations

import glob
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import typer

from composition_client.body import References
from composition_client.images import SENT_AS_THEY_ARE, SUFFIXES, ImageLike
from composition_client.operations import OnPreview
from composition_client.options import OneReference

PIPE = "-"
SUFFIX_OF = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photo to edit: `name` is for people, `image` for the client."""

    name: str
    image: ImageLike
    path: Path


class Pipe:
    """stdin, which can be read once."""

    def __init__(self) -> None:
        self._read = False

    def image(self, given: str) -> ImageLike:
        """A path or URL as it is; of "-" the bytes. Raises: typer.BadParameter."""
        if given != PIPE:
            if not given.startswith(SENT_AS_THEY_ARE) and not Path(given).is_file():
                raise typer.BadParameter(f"{given}: there is no such file")
            return given
        if self._read:
            raise typer.BadParameter("only one file can come from stdin")
        self._read = True
        data = sys.stdin.buffer.read()
        if not data:
            raise typer.BadParameter("nothing came from stdin")
        return data

    def content(self, given: str) -> bytes:
        """Of a file that is no image, or of stdin. Raises: typer.BadParameter."""
        found = self.image(given)
        return found if isinstance(found, bytes) else Path(given).read_bytes()

    def maybe(self, given: str | None) -> ImageLike | None:
        return None if given is None else self.image(given)

    def references(self, given: Sequence[str] | None, parts: Sequence[str] | None = None) -> References | None:
        """One as itself, several as a list; `parts` are PART=IMAGE. Raises: typer.BadParameter."""
        images: list[ImageLike | OneReference] = [self.image(one) for one in given or ()]
        images += [self._for_part(one) for one in parts or ()]
        return images if len(images) > 1 else next(iter(images), None)

    def _for_part(self, given: str) -> OneReference:
        part, _, image = given.partition("=")
        if not part.strip() or not image:
            raise typer.BadParameter(f"{given}: PART=IMAGE is needed, such as sleeves=sleeves.png")
        return {"image": self.image(image), "for": part.strip()}


def photos_of(arguments: list[str], pipe: Pipe) -> list[Photo]:
    """Of paths, patterns, URLs and "-", in order. Raises: typer.BadParameter."""
    found: list[Photo] = []
    for given in arguments:
        if given == PIPE:
            found.append(Photo(name="stdin", image=pipe.image(given), path=Path("image")))
        elif given.startswith(SENT_AS_THEY_ARE):
            name = PurePosixPath(urlsplit(given).path).name if not given.startswith("data:") else ""
            found.append(Photo(name=name or "image", image=given, path=Path(name or "image")))
        else:
            paths = [given] if Path(given).exists() else sorted(glob.glob(given, recursive=True)) or [given]  # noqa: PTH207 - a pattern may be absolute
            found += [Photo(name=path, image=pipe.image(path), path=Path(path)) for path in paths]
    return found


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where an edit's candidates go, one path for each; without paths the only one goes to stdout."""

    paths: list[Path]
    force: bool

    @property
    def mask_path(self) -> Path:
        """out.mask.png beside out.png. Raises: typer.BadParameter."""
        if not self.paths:
            raise typer.BadParameter("--return-mask needs a file beside which the mask can be: give -o FILE")
        return self.paths[0].with_suffix(".mask.png")

    def write(self, candidates: list[bytes], *, mask: bytes | None = None) -> None:
        if not self.paths:
            sys.stdout.buffer.write(candidates[0])
            sys.stdout.buffer.flush()
            return
        for path, data in zip(self.paths, candidates, strict=True):
            write_whole(path, data, force=self.force)
        if mask is not None:
            write_whole(self.mask_path, mask, force=self.force)


def format_of(output: str | None, asked_for: str | None) -> str:
    """The `output_format`: what is asked for, else the one of the file's suffix. Raises: typer.BadParameter."""
    suffix = Path(output).suffix.lower() if output not in (None, PIPE) else ""
    named = SUFFIXES.get(suffix)
    if asked_for and named and asked_for != named:
        raise typer.BadParameter(f"{output} is not a name for --output-format {asked_for}")
    return asked_for or named or "png"


def outputs_of(photos: list[Photo], output: str | None, *, kind: str, n: int, force: bool) -> list[Output]:
    """One for each photo. `output` is a file, of several photos a folder, "-", or None: photo.edited.png.

    Raises:
        typer.BadParameter: something is there already, or two would be written to the same place.
    """
    from_pipe = any(photo.name == "stdin" for photo in photos)
    if output == PIPE or (output is None and from_pipe):
        if len(photos) > 1 or n > 1:
            raise typer.BadParameter("several images do not fit into one pipe")
        if sys.stdout.isatty():
            raise typer.BadParameter("an image is nothing for a terminal: give -o FILE, or pipe it on")
        return [Output(paths=[], force=force)]
    names = [f"{photo.path.stem}.edited{SUFFIX_OF[kind]}" for photo in photos]
    if output is None:
        paths = [photo.path.with_name(name) for photo, name in zip(photos, names, strict=True)]
    elif len(photos) > 1 or output.endswith(("/", os.sep)) or Path(output).is_dir():
        paths = [Path(output) / name for name in names]
    else:
        paths = [Path(output)]
    outputs = [Output(paths=_numbered(path, n), force=force) for path in paths]
    check_free([path for each in outputs for path in each.paths], force=force)
    return outputs


def _numbered(path: Path, n: int) -> list[Path]:
    return [path] if n == 1 else [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(1, n + 1)]


def check_free(paths: list[Path], *, force: bool) -> None:
    """Before anything is done. Raises: typer.BadParameter."""
    twice = {path for path in paths if paths.count(path) > 1}
    if twice:
        raise typer.BadParameter(f"several images would be written to {min(twice)}")
    there = [path for path in paths if path.exists()]
    if there and not force:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise typer.BadParameter(f"{there[0]} is there already{more}: give another -o, or --force to overwrite")


def write_whole(path: Path, data: bytes, *, force: bool) -> None:
    """The file appears complete or not at all; its folder is made. Raises: FileExistsError unless `force`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not force:
        path.open("xb").close()  # nobody else takes the name from here on
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        if not force:
            path.unlink(missing_ok=True)
        raise


def preview_writer(path: Path | None) -> OnPreview | None:
    """The first preview was asked to be there, so the next ones may take its place."""
    return None if path is None else lambda preview: write_whole(path, preview.image, force=True)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
