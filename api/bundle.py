"""The built page (page/built): read once, held in memory, each file as it is answered.

A path that is none of these files is not there: nothing of a request is ever made into a path of the file system.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUILT: Final = Path(__file__).resolve().parent.parent / "page" / "built"
ENTRY: Final = "index.html"
NOT_SERVED: Final = frozenset({"gallery.html"})
"""Built beside the page: what `make demo` fills, a file that is opened without a server."""
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
"""Of everything that a build may hold."""


@dataclass(frozen=True, kw_only=True)
class BundledFile:
    """One file of the page.

    Attributes:
        content: its bytes.
        compressed: the same with gzip, where that is smaller by a tenth or more.
        etag: a strong validator, of the content; that of the compressed form ends in -gzip.
        lasts: whether its name changes with its content, so that it may be kept for good.
    """

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str
    lasts: bool


def read_bundle(folder: Path = BUILT) -> Mapping[str, BundledFile]:
    """Every file of a build by its path under the folder, with "/".

    Raises:
        FileNotFoundError: there is no build.
        KeyError: a file of a type that the page has none of.
    """
    if not (folder / ENTRY).is_file():
        raise FileNotFoundError(f"{folder} holds no page: `make page` builds it, `api.page: false` does without")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_SERVED)
    return {path.relative_to(folder).as_posix(): _read(path, lasts=path.name != ENTRY) for path in files}


def _read(path: Path, *, lasts: bool) -> BundledFile:
    content = path.read_bytes()
    compressed = gzip.compress(content, mtime=0)
    return BundledFile(
        content=content,
        compressed=compressed if len(compressed) <= 0.9 * len(content) else None,
        media_type=MEDIA_TYPES[path.suffix],
        etag=hashlib.sha256(content).hexdigest()[:32],
        lasts=lasts,
    )
