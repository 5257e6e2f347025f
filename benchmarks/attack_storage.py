"""Disks that fill up, folders that become read-only, files that are damaged: part of `make attack`.

Each fault meets a server of its own (models: tiny), whose storage is a small file system in a mount namespace that ends
with the server. Needs the right to mount there: root, or unprivileged user namespaces.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from benchmarks.attack_outcome import Outcome, smallest_edit
from benchmarks.server import Server, free_port

JOBS = 5
DISK_MB = 24
FAULT_LIMIT_S = 600.0
ENVIRONMENT = {
    "COMPOSITION_MODELS__PROFILE": "tiny",
    "COMPOSITION_QUEUE__MAX_ATTEMPTS": "1",
    "COMPOSITION_QUEUE__RETRY_DELAY_S": "1",
    "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": "600",
}
MOUNTED = 'mount -t tmpfs -o "size=$0,mode=700" none "$1" && shift && exec "$@"'


@cache
def namespace_command() -> tuple[str, ...] | None:
    """What begins a command in a mount namespace of its own, in which it may mount; None where nothing may."""
    for command in (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount")):
        tried = [*command, "sh", "-c", MOUNTED, "1m", "/tmp", "true"]  # noqa: S108  in the namespace's own view
        try:
            if subprocess.run(tried, check=False, capture_output=True).returncode == 0:
                return command
        except FileNotFoundError:
            return None
    return None


@dataclass
class Disk:
    """A server's storage folder: a file system of its own, reached from outside through the server's process."""

    folder: Path
    pid: int

    @property
    def seen_from_here(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self.folder}")

    def fill(self) -> None:
        """To the last byte."""
        with (self.seen_from_here / "filler").open("wb", buffering=0) as file:
            try:
                for size_bytes in (65_536, 4096, 1):
                    self._append(file.fileno(), bytes(size_bytes))
            finally:
                os.fsync(file.fileno())

    def free(self) -> None:
        (self.seen_from_here / "filler").unlink()

    def run(self, *command: str) -> None:
        """In the server's view of the file systems."""
        entering = ["nsenter", "--target", str(self.pid), "--mount"]
        if os.geteuid() != 0:
            entering += ["--user", "--preserve-credentials"]
        subprocess.run([*entering, *command], check=True, capture_output=True)

    def _append(self, descriptor: int, piece: bytes) -> None:
        while True:
            try:
                os.write(descriptor, piece)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    return
                raise


@contextmanager
def served(folder: Path) -> Iterator[tuple[httpx.Client, Disk, Path]]:
    """A client of a server on a small disk, the disk, and the server's log."""
    log = folder / "serve.log"
    command = namespace_command()
    assert command is not None, "nothing may be mounted here"
    state = log.with_suffix(".state")
    prefix = [*command, "sh", "-c", MOUNTED, f"{DISK_MB}m", str(state)]
    with Server(port=free_port(), log=log, environment=ENVIRONMENT, command_prefix=prefix) as server:
        server.wait_until_healthy()
        with httpx.Client(base_url=server.url, timeout=120) as client:
            yield client, Disk(folder=state, pid=server.pid), log


def full_disk(folder: Path) -> Outcome:
    """A disk that fills up refuses submissions with the reason and costs no accepted job."""
    with served(folder) as (client, disk, log):
        return _outlived(client, log, break_it=disk.fill, mend_it=disk.free, reason="No space left on device")


def read_only_images(folder: Path) -> Outcome:
    """So does a folder of images that becomes read-only."""
    with served(folder) as (client, disk, log):
        images = str(disk.folder / "blobs")

        def break_it() -> None:
            disk.run("mount", "--bind", images, images)
            disk.run("mount", "-o", "remount,bind,ro", images)

        return _outlived(
            client, log, break_it=break_it, mend_it=lambda: disk.run("umount", images), reason="Read-only file system"
        )


def _outlived(
    client: httpx.Client, log: Path, *, break_it: Callable[[], None], mend_it: Callable[[], None], reason: str
) -> Outcome:
    slow = {**smallest_edit(), "config": {"num_inference_steps": 20, "seed": 7}}
    ids = [client.post("/api/v1/generate/async", json=slow).json()["job_id"] for _ in range(JOBS)]
    _until(lambda: any(_state(client, job_id)["status"] == "processing" for job_id in ids))
    break_it()
    try:
        _until(lambda: "image storage: OSError" in log.read_text(errors="replace"))
        refusals = [client.post(f"/api/v1/generate{kind}", json=smallest_edit()) for kind in ("", "/async")]
        meanwhile = [_state(client, job_id)["status"] for job_id in ids]
    finally:
        mend_it()
    _until(lambda: all(_state(client, job_id)["status"] not in ("pending", "processing") for job_id in ids))
    states = [_state(client, job_id) for job_id in ids]
    refused = all(
        answer.status_code == 503
        and answer.headers.get("Retry-After", "").isdecimal()
        and (reason in answer.text or "disk is full" in answer.text)
        for answer in refusals
    )
    unhurt = {"failed", "cancelled"}.isdisjoint(meanwhile)
    completed = sum(state["status"] == "completed" and bool(state["result"]) for state in states)
    again = client.post("/api/v1/generate/async", json=smallest_edit()).status_code
    return Outcome(
        holds=refused and unhurt and completed == JOBS and again == 200,
        figures={
            "refusals": [(answer.status_code, answer.headers.get("Retry-After")) for answer in refusals],
            "message": refusals[-1].json()["error"]["message"] if refusals[-1].status_code != 200 else None,
            "meanwhile": sorted(meanwhile),
            "completed": f"{completed}/{JOBS}",
            "attempts": [state["attempt"] for state in states],
        },
    )


def lost_images(folder: Path) -> Outcome:
    """An input or a result that vanished is told of its own job, without a 500, and hurts no other."""
    with Server(port=free_port(), log=folder / "serve.log", environment=ENVIRONMENT) as server:
        server.wait_until_healthy()
        blobs = folder / "serve.state" / "blobs"
        with httpx.Client(base_url=server.url, timeout=120) as client:
            done = client.post("/compose_task/submit", json={"request": smallest_edit()}).json()["task_id"]
            _until(lambda: _state(client, done)["status"] == "completed")
            _empty(blobs)
            slow = {**smallest_edit(), "config": {"num_inference_steps": 100}}
            running = [client.post("/api/v1/generate/async", json=slow).json()["job_id"] for _ in range(3)]
            _until(lambda: all(_state(client, job_id)["stage"] == "diffuse" for job_id in running))
            waiting = client.post("/api/v1/generate/async", json=smallest_edit()).json()["job_id"]
            _empty(blobs)
            _until(lambda: _state(client, waiting)["status"] == "failed")
            _until(lambda: all(_state(client, job_id)["status"] == "completed" for job_id in running))
            answers = {
                "image": client.get(f"/api/v1/jobs/{done}/image").status_code,
                "get": client.get("/compose_task/get", params={"task_id": done}).status_code,
            }
            told = {"done": _state(client, done)["error_code"], "waiting": _state(client, waiting)["error_code"]}
            others = [bool(_state(client, job_id)["result"]) for job_id in running]
    return Outcome(
        holds=set(answers.values()) == {404} and set(told.values()) == {"NOT_FOUND"} and all(others),
        figures={**answers, **told, "others": others},
    )


def _empty(blobs: Path) -> None:
    for path in blobs.glob("??/*"):
        path.unlink()


Spoil = Callable[[Path], None]


def _garbage(database: Path) -> None:
    database.write_bytes(b"this is not a database" * 1000)


def _truncated(database: Path) -> None:
    _with_a_job(database)
    os.truncate(database, database.stat().st_size // 2)


def _damaged(database: Path) -> None:
    _with_a_job(database)
    with database.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * 4096)


def _newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA user_version = 999")


def _foreign(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.executescript("CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('Ann');")


def _folder(database: Path) -> None:
    database.mkdir()


def _emptied(database: Path) -> None:
    _with_a_job(database)
    database.with_name(database.name + "-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))
    os.truncate(database, 0)


def _with_a_job(database: Path) -> None:
    import asyncio

    from composition.jobs import EditPayload, Job, JobKind, Priority
    from jobs.stores.sqlite_store import SqliteJobStore

    async def fill() -> None:
        store = SqliteJobStore(database)
        await store.open()
        for number in range(50):
            payload = EditPayload(prompt=f"a red hat {number}", base_key="0" * 32)
            job = Job(id=str(number), kind=JobKind.EDIT, owner="ann", priority=Priority.BATCH, payload=payload)
            await store.add(job)
        await store.close()

    asyncio.run(fill())


SPOILT: Mapping[str, Spoil] = {
    "garbage": _garbage,
    "truncated": _truncated,
    "damaged": _damaged,
    "newer": _newer,
    "foreign": _foreign,
    "folder": _folder,
    "emptied": _emptied,
}
"""What may lie where the jobs' database is looked for."""


def spoilt_databases(folder: Path, *, names: tuple[str, ...] = tuple(SPOILT)) -> Outcome:
    """A database that cannot be used ends the server with one line and status 2, and stays as it is."""
    ends: dict[str, Any] = {}
    for name in names:
        log = folder / name / "serve.log"
        database = log.with_suffix(".state") / "jobs.sqlite3"
        database.parent.mkdir(parents=True)
        SPOILT[name](database)
        before = _contents(database)
        ends[name] = _refused(log, "storage.jobs")
        ends[name]["untouched"] = _contents(database) == before
    return Outcome(holds=all(end == REFUSED for end in ends.values()), figures=ends)


REFUSED = {"status": 2, "lines": 1, "tracebacks": 0, "untouched": True}


def unusable_folders(folder: Path) -> Outcome:
    """So does a disk that is full or read-only from the start, for the jobs and for the images."""
    command = namespace_command()
    assert command is not None, "nothing may be mounted here"
    spoil = {
        "full": 'head -c 4m /dev/zero > "$1/filler"; true',
        "read-only": 'mount -o remount,ro "$1"',
        "images read-only": 'B="$1/blobs"; mkdir "$B" && mount --bind "$B" "$B" && mount -o remount,bind,ro "$B"',
    }
    ends = {}
    for name, step in spoil.items():
        log = folder / name.replace(" ", "-") / "serve.log"
        log.parent.mkdir()
        script = MOUNTED.replace(" && shift", f" && {{ {step}; }} && shift")
        prefix = [*command, "sh", "-c", script, "2m", str(log.with_suffix(".state"))]
        said = "storage.blobs" if name.startswith("images") else "storage."
        ends[name] = {**_refused(log, said, prefix=prefix), "untouched": True}
    return Outcome(holds=all(end == REFUSED for end in ends.values()), figures=ends)


def _refused(log: Path, said: str, *, prefix: list[str] | None = None) -> dict[str, Any]:
    with Server(port=free_port(), log=log, environment=ENVIRONMENT, command_prefix=prefix or []) as server:
        _until(lambda: server.exit_status is not None)
        status = server.exit_status
    lines = log.read_text(errors="replace").splitlines()
    return {
        "status": status,
        "lines": sum(line.startswith(f"error: {said}") for line in lines),
        "tracebacks": sum("Traceback" in line for line in lines),
    }


def _contents(database: Path) -> dict[str, str]:
    """The digests of what holds data: the database and its log, not the lock nor the index that is made anew."""
    kept = (database, database.with_name(database.name + "-wal"))
    found = {path.name: path.read_bytes() for path in kept if path.is_file()}
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items() if data}


def _state(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return dict(client.get(f"/api/v1/status/{job_id}").json())


def _until(condition: Callable[[], bool]) -> None:
    """Raises: TimeoutError when it does not come true."""
    deadline = time.monotonic() + FAULT_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.2)


FAULTS: Mapping[str, Callable[[Path], Outcome]] = {
    "spoilt_databases": spoilt_databases,
    "lost_images": lost_images,
}
FAULTS_OF_DISKS: Mapping[str, Callable[[Path], Outcome]] = {
    "unusable_folders": unusable_folders,
    "full_disk": full_disk,
    "read_only_images": read_only_images,
}
"""These need a file system of their own."""


def run_faults(folder: Path) -> Iterator[tuple[str, Outcome]]:
    """Every fault that can be made here, with its outcome."""
    possible = {**FAULTS, **(FAULTS_OF_DISKS if namespace_command() else {})}
    yield from run_each(possible, folder)


def run_each(attacks: Mapping[str, Callable[[Path], Outcome]], folder: Path) -> Iterator[tuple[str, Outcome]]:
    """Each in a folder of its own; one that breaks off did not hold."""
    for name, fault in attacks.items():
        own = folder / name
        own.mkdir()
        try:
            yield name, fault(own)
        except (TimeoutError, RuntimeError, KeyError, json.JSONDecodeError) as error:
            yield name, Outcome(holds=False, figures={"error": repr(error)[-2000:]})
