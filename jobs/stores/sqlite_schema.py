"""The SQLite file's tables and how an older file becomes a newer one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from composition.config import ConfigError

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


def connect(path: Path) -> sqlite3.Connection:
    """A connection for one thread; transactions are begun explicitly."""
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring the file to this version. Raises: ConfigError when a newer version of the service wrote it."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise ConfigError(f"it has schema version {version}, this service knows {len(MIGRATIONS)}")
    for number in range(version + 1, len(MIGRATIONS) + 1):
        db.executescript(f"BEGIN IMMEDIATE;{MIGRATIONS[number - 1]}PRAGMA user_version={number};COMMIT;")
