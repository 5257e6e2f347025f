"""The model hub: what a repository has at a commit, and its files fetched into a folder.

sources -> **fetch** -> soundness. A file that an interrupted import left unfinished goes on where it ended:
huggingface_hub's own downloader writes to a new temporary file in each process, and would begin gigabytes anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

UNFINISHED = ".unfinished"
"""Ends the name of a file of which only the beginning is there."""
AT_ONCE = 4
"""Files of one repository."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class UnsafePath(Exception):
    """A repository lists a file that would lie outside its folder."""


def find_commit(repository: str, revision: str) -> str:
    """The commit that a revision is today; a revision that is a commit is not asked about."""
    from huggingface_hub import HfApi

    if _COMMIT.fullmatch(revision):
        return revision
    return HfApi().model_info(repository, revision=revision).sha or revision


def list_files(repository: str, commit: str) -> Mapping[str, str | None]:
    """SHA-256 by path, where the hub keeps the file as a large one: it is its name there. Mirrors may know none.

    Raises: UnsafePath.
    """
    from huggingface_hub import HfApi

    siblings = HfApi().model_info(repository, revision=commit, files_metadata=True).siblings or ()
    for one in siblings:
        path = PurePosixPath(one.rfilename)
        if path.is_absolute() or ".." in path.parts:
            raise UnsafePath(f"{repository} lists the file {one.rfilename!r}")
    return {one.rfilename: None if one.lfs is None else one.lfs.sha256 for one in siblings}


def fetch(repository: str, commit: str, paths: Sequence[str], folder: Path) -> None:
    """Get those of the files that are not in `folder` yet; it is of this commit alone.

    Raises: as the hub's library and the file system do; what has arrived stays, for the next call.
    """
    with ThreadPoolExecutor(max_workers=AT_ONCE) as several:
        # `map` gives the first error when its turn comes; the files that are on their way end first.
        list(several.map(lambda path: _fetch_one(repository, commit, path, folder), paths))


def _fetch_one(repository: str, commit: str, path: str, folder: Path) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    target = folder / path
    if target.is_file():
        return
    url = hf_hub_url(repository, path, revision=commit)
    size_bytes = get_hf_file_metadata(url, retry_on_errors=True).size
    unfinished = target.with_name(target.name + UNFINISHED)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    with unfinished.open("ab") as file:
        if size_bytes is None or file.tell() > size_bytes:
            file.truncate(0)  # nothing says where such a one goes on
        # A compressed answer could not be continued in its middle.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=size_bytes)
    unfinished.replace(target)
