"""Which job store `storage.jobs` names: one line per store that a single machine can use.

A new store is a module with a `RecordJobStore` and a line here; its tests are a line in the list of the state machine's
tests. Blobs are apart: any store works with any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from composition.config import ConfigError
from jobs.protocol.job_store import JobStore
from jobs.stores.memory_store import MemoryJobStore
from jobs.stores.sqlite_store import SqliteJobStore

JOB_STORES: Mapping[str, Callable[[str, int], JobStore]] = {
    "memory": lambda rest, max_pending: MemoryJobStore(max_pending=max_pending),
    "file": lambda rest, max_pending: SqliteJobStore(Path(rest), max_pending=max_pending),
}
"""By scheme: what comes after `scheme://`, and how many jobs may wait."""


def make_job_store(location: str, *, max_pending: int) -> JobStore:
    """`memory`, a file, or `scheme://...`; not opened yet. Raises: ConfigError when there is no such store."""
    scheme, has_scheme, rest = location.partition("://")
    if not has_scheme:
        scheme, rest = ("memory", "") if location == "memory" else ("file", location)
    if scheme not in JOB_STORES:
        raise ConfigError(f"storage.jobs: {scheme}:// is not known; a file, or one of {', '.join(sorted(JOB_STORES))}")
    return JOB_STORES[scheme](rest, max_pending)
