"""The SQLite file's tables, what makes a file unusable, and how an older file becomes a newer one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from composition.config import ConfigError
from jobs.protocol.documents import load_record

BUSY_TIMEOUT_S = 5.0

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        not_before REAL NOT NULL,
        lease_until REAL NOT NULL,
        finished_at REAL,
        idempotency_key TEXT,
        document TEXT NOT NULL
    );
    CREATE INDEX jobs_waiting ON jobs (priority, position) WHERE status = 'pending';
    CREATE INDEX jobs_leased ON jobs (lease_until) WHERE status = 'processing';
    CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
    CREATE INDEX jobs_status ON jobs (status);
    CREATE INDEX jobs_owner ON jobs (owner, position);
    CREATE INDEX jobs_owner_status ON jobs (owner, status, position);
    CREATE UNIQUE INDEX jobs_idempotency ON jobs (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
    CREATE TABLE events (
        job_id TEXT NOT NULL, sequence INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (job_id, sequence)
    ) WITHOUT ROWID;
    CREATE TABLE job_blobs (key TEXT NOT NULL, job_id TEXT NOT NULL, PRIMARY KEY (key, job_id)) WITHOUT ROWID;
    CREATE INDEX job_blobs_job ON job_blobs (job_id);
    CREATE TABLE garbage (key TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE deliveries (
        id TEXT PRIMARY KEY, job_id TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
        attempts INTEGER NOT NULL, due_at REAL NOT NULL
    );
    CREATE INDEX deliveries_due ON deliveries (due_at);
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('position', 0);
    """,
    """
    ALTER TABLE jobs ADD COLUMN places INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX jobs_places ON jobs (places) WHERE status = 'pending';
    """,
)
"""The n-th script takes a file of version n-1 to version n (`PRAGMA user_version`). Scripts are only ever added."""


TABLES = frozenset({"jobs", "events", "job_blobs", "garbage", "deliveries", "counters"})
PROBE_BYTES = 65_536
"""What opening a file needs beside it."""


def check_folder(folder: Path) -> None:
    """Raises: OSError, as of the system, when nothing can be written there: a full disk, a read-only one."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def inspect(path: Path) -> None:
    """Read a file that is there through, without changing it or its log: what is unusable is refused untouched.

    A log (-wal) whose end was lost is no damage: every job in what is whole of it is there.

    Raises:
        ConfigError: it is no file, another program's, of a newer version of the service, or damaged.
        sqlite3.Error: it is no database, or cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ConfigError("it is not a file")
    log = path.with_name(path.name + "-wal")
    if not path.exists() or path.stat().st_size == 0:
        if log.exists() and log.stat().st_size > 0:
            raise ConfigError(f"it is empty, but {log.name} beside it holds jobs")
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as db:
        version = _check_version(db)
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise ConfigError(f"it is damaged: {problem.splitlines()[-1]}")
        found = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if version == 0 and found:
            raise ConfigError(f"it is another program's: there is a table {min(found)} in it")
        if version and not found >= TABLES:
            raise ConfigError(f"it is not this service's: there is no table {min(TABLES - found)} in it")
        if version:
            _check_records(db)


def _check_version(db: sqlite3.Connection) -> int:
    """Raises: ConfigError when a newer version of the service wrote it."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= len(MIGRATIONS):
        raise ConfigError(f"it has schema version {version}, this service knows {len(MIGRATIONS)}")
    return version


def _check_records(db: sqlite3.Connection) -> None:
    """Those that are still to be run: the queue cannot pass over one."""
    for job_id, document in db.execute("SELECT id, document FROM jobs WHERE finished_at IS NULL"):
        try:
            load_record(document)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"it is damaged: the record of job {job_id} cannot be read") from error


def check_writable(db: sqlite3.Connection) -> None:
    """Raises: sqlite3.Error when nothing can be written: it is told before a job needs it."""
    db.execute("UPDATE counters SET value = value WHERE name = 'position'")


def connect(path: Path) -> sqlite3.Connection:
    """A connection for one thread; transactions are begun explicitly."""
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file to this version. Raises: ConfigError when a newer version of the service wrote it."""
    for number in range(_check_version(db) + 1, len(MIGRATIONS) + 1):
        db.executescript(f"BEGIN IMMEDIATE;{MIGRATIONS[number - 1]}PRAGMA user_version={number};COMMIT;")
