"""Attacks on a service of our own on the loopback, each bounded in count and time: `make attack`.

Every attack says what must hold; one that does not hold ends the run with status 1. tests/e2e/test_attacks.py runs the
same ones in a short form. `benchmarks.attack_network` and `benchmarks.attack_storage` come after them, on services of
their own.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from benchmarks.attack_network import network_attacks
from benchmarks.attack_outcome import Outcome, smallest_edit
from benchmarks.attack_storage import run_faults
from benchmarks.load import FRONT, processes
from benchmarks.server import Server, free_port

KEY = "a-key-that-no-file-may-hold"
OTHER_KEY = "another-owner-s-key"
HEADERS = {"X-API-Key": KEY}
ENVIRONMENT = {
    "COMPOSITION_API__API_KEYS": json.dumps({"ann": KEY, "bob": OTHER_KEY}),
    "COMPOSITION_API__ACCESS_LOG": "true",
    "COMPOSITION_QUEUE__MAX_PENDING": "4",
    "COMPOSITION_LIMITS__MAX_CONCURRENT_REQUESTS": "1",
}
MAX_FILES = 1024
FEW_FILES = ("sh", "-c", f'ulimit -n {MAX_FILES} && exec "$@"', "sh")
"""What begins the service's command: as a hard limit, so that the service cannot raise it."""
ANSWER_LIMIT_S = 0.1
HEALTH_LIMIT_S = 5.0
RECEIVE_LIMIT_S = 120.0
HOARD_LIMIT_MB = 1200
LOG_DELAY_S = 10.0
NATIVE_PATHS = ("/compose", "/compose_task", "/compose_task/submit")


@dataclass
class Target:
    """A running service and what it leaves behind."""

    url: str
    pid: int
    log: Path
    edit: Mapping[str, Any]

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port

    @property
    def state(self) -> Path:
        """The folder of the server's files."""
        return self.log.with_suffix(".state")

    def client(self, key: str = KEY) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"X-API-Key": key}, timeout=120)

    def front(self) -> psutil.Process:
        """The process that answers. Its listening socket does not tell it: all the others have inherited that."""
        return processes(self.pid)[FRONT]


def idle_sockets(target: Target, *, count: int, timed: bool = True) -> Outcome:
    """Idle connections keep nobody out, and a job that is accepted meanwhile completes.

    `timed` false judges no times, here and below, for machines that others use too.
    """
    with ExitStack() as stack, target.client() as client:
        for _ in range(count):
            stack.enter_context(socket.create_connection(target.address))
        began_at = time.perf_counter()
        healthy = client.get("/api/v1/health").status_code
        health_s = time.perf_counter() - began_at
        job_id = client.post("/api/v1/generate/async", json=target.edit).json().get("job_id")
        job = _ended(client, job_id)
    return Outcome(
        holds=healthy == 200 and (not timed or health_s < HEALTH_LIMIT_S) and job["status"] == "completed",
        figures={"sockets": count, "health_s": round(health_s, 3), "job": job["status"], "error": job["error"]},
    )


def websocket_wishes(target: Target, *, count: int) -> Outcome:
    """Handshakes for a protocol that is not spoken here, more than there may be connections, keep nobody out."""
    wish = (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    statuses: Counter[str] = Counter()
    for _ in range(count):
        with socket.create_connection(target.address, timeout=RECEIVE_LIMIT_S) as connection:
            connection.sendall(wish)
            with suppress(ConnectionError):
                statuses[(connection.recv(65536).split(b" ")[1:2] or [b"closed"])[0].decode()] += 1
    with target.client() as client:
        healthy = client.get("/api/v1/health").status_code
    return Outcome(holds=statuses == {"200": count} and healthy == 200, figures={**statuses, "healthy": healthy})


def slow_heads(target: Target, *, count: int, within_s: float) -> Outcome:
    """Heads that come byte by byte are given up."""
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(target.address)) for _ in range(count)]
        for connection in connections:
            connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nX: ")
            connection.settimeout(0.01)
        open_still, deadline = set(connections), time.monotonic() + within_s
        while open_still and time.monotonic() < deadline:
            open_still = {connection for connection in open_still if _drips(connection)}
            time.sleep(0.5)
    return Outcome(holds=not open_still, figures={"connections": count, "open": len(open_still)})


def refusals_of_a_full_queue(target: Target, *, tries: int, timed: bool = True) -> Outcome:
    """A full queue answers while the body of 40 MB has hardly begun and edits run."""
    slow = {**target.edit, "config": {"num_inference_steps": 100}}
    head = (
        f"POST /api/v1/generate HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
        "Content-Length: 40000000\r\n\r\n"
    ).encode()
    times, statuses = [], set()
    with target.client() as client:
        jobs = []
        while (answer := client.post("/api/v1/generate/async", json=slow)).status_code == 200:
            jobs.append(answer.json()["job_id"])
        for _ in range(tries):
            with socket.create_connection(target.address) as connection:
                connection.settimeout(RECEIVE_LIMIT_S)
                began_at = time.perf_counter()
                connection.sendall(head + b'{"base_image": "')
                statuses.add(connection.recv(65536).split(b" ")[1])
                times.append(time.perf_counter() - began_at)
        for job_id in jobs:
            client.delete(f"/api/v1/jobs/{job_id}")
    median_s = sorted(times)[len(times) // 2]
    return Outcome(
        holds=statuses == {b"503"} and (not timed or median_s < ANSWER_LIMIT_S),
        figures={"jobs": len(jobs), "median_s": round(median_s, 4), "worst_s": round(max(times), 4)},
    )


def native_bodies(target: Target, *, megabytes: int) -> Outcome:
    """A body of tiny values, forms and plain text are refused on BentoML's routes and take no memory."""
    front = target.front()
    with target.client() as client:  # what a first request of each kind brings into memory for good
        client.post("/api/v1/analyze", json=target.edit)
        client.post(NATIVE_PATHS[0], content=_tiny_values(1), headers=_typed("application/json"))
    before_mb = front.memory_info().rss / 2**20
    bodies: list[dict[str, Any]] = [
        {
            "content": _tiny_values(megabytes),
            "headers": _typed("application/json"),
        },
        {"files": {"request": ("request", json.dumps(target.edit), "application/json")}},
        {"data": {"request": json.dumps(target.edit)}},
        {"content": json.dumps({"request": target.edit}), "headers": _typed("text/plain")},
        {"content": b"\x80\x04N.", "headers": _typed("application/vnd.bentoml+pickle")},
    ]
    with target.client() as client:
        statuses = {client.post(path, **body).status_code for path in NATIVE_PATHS for body in bodies}
    grown_mb = _most_memory_mb(front.pid) - before_mb
    return Outcome(
        holds=statuses == {400} and grown_mb < 6 * megabytes + 50,
        figures={"statuses": sorted(statuses), "grown_mb": round(grown_mb)},
    )


def hoarded_answers(target: Target, *, count: int, side_px: int) -> Outcome:
    """Who asks for large answers and takes nothing of them gets a few, for the rest 503; others are served."""
    noise = Image.frombytes("RGB", (side_px, side_px), random.Random(1).randbytes(3 * side_px**2))
    file = io.BytesIO()
    noise.save(file, "PNG")
    edit = {**target.edit, "base_image": base64.b64encode(file.getvalue()).decode(), "n": 4}
    statuses: Counter[str] = Counter()
    with ExitStack() as stack:
        ann, bob = (stack.enter_context(target.client(key)) for key in (KEY, OTHER_KEY))
        job_id = ann.post("/api/v1/generate/async", json=edit).json()["job_id"]
        job = _ended(ann, job_id)
        front = target.front()
        before_mb = front.memory_info().rss / 2**20
        connections = [stack.enter_context(socket.socket()) for _ in range(count)]
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(RECEIVE_LIMIT_S)
            connection.connect(target.address)
            connection.sendall(f"GET /api/v1/status/{job_id} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        for connection in connections:
            statuses[connection.recv(12).split(b" ")[1].decode()] += 1
        grown_mb = front.memory_info().rss / 2**20 - before_mb
        other = _ended(bob, bob.post("/api/v1/generate/async", json=target.edit).json()["job_id"])
    return Outcome(
        holds=statuses.keys() == {"200", "503"}
        and job["status"] == other["status"] == "completed"
        and grown_mb < HOARD_LIMIT_MB,
        figures={"answers": dict(statuses), "grown_mb": round(grown_mb), "other": other["status"]},
    )


def tasks(target: Target) -> Outcome:
    """A task belongs to its owner, and neither BentoML's store nor the log holds the key or the photo."""
    with target.client() as ann, target.client(OTHER_KEY) as bob:
        answer = ann.post("/compose_task/submit", json={"request": target.edit})
        asked: dict[str, Any] = {"params": {"task_id": answer.json()["task_id"]}}
        foreign = {
            bob.request(method, f"/compose_task/{route}", **asked).status_code
            for method, route in (("GET", "status"), ("GET", "get"), ("POST", "retry"), ("PUT", "cancel"))
        }
        job = _ended(ann, answer.json()["task_id"])
        result = ann.get("/compose_task/get", **asked)
    secrets = (KEY.encode(), str(target.edit["base_image"])[:200].encode())
    leaks = [
        str(file.name)
        for file in (target.log, *target.state.glob("tasks.sqlite3*"))
        if any(secret in file.read_bytes() for secret in secrets)
    ]
    return Outcome(
        holds=foreign == {404} and job["status"] == "completed" and result.status_code == 200 and not leaks,
        figures={"foreign": sorted(foreign), "job": job["status"], "get": result.status_code, "leaks": leaks},
    )


def forged_log_lines(target: Target) -> Outcome:
    """A request is one line of the log, whatever its path and query say."""
    path = "/nope%0a2026-01-01%20[ERROR]%20forged%1b[2J?token=secret-of-the-query"
    with target.client() as client:
        client.get(path, headers={"X-Request-ID": "mark"})
        client.get("/nope", headers={"X-Request-ID": "after-the-mark"})
    lines: list[str] = []
    deadline = time.monotonic() + LOG_DELAY_S
    while not any("after-the-mark" in line for line in lines) and time.monotonic() < deadline:
        lines = target.log.read_text(errors="replace").split("\n")
    about = [line for line in lines if "forged" in line or "secret-of-the-query" in line]
    line = about[0] if len(about) == 1 else ""
    holds = '"request_id": "mark"' in line and "secret" not in line and "\x1b" not in line
    return Outcome(holds=holds, figures={"lines": len(about)})


def pages(target: Target) -> Outcome:
    """No page names another host, or has a script that is not a file of ours."""
    with httpx.Client(base_url=target.url) as client:
        texts = [client.get(path).text for path in ("/", "/docs")]
    scripts = [tag for text in texts for tag in re.findall(r"<script[^>]*>[^<]*", text)]
    local = all(re.fullmatch(r'<script[^>]* src="/(?!/)[^"]*"[^>]*>\s*', tag) for tag in scripts)
    return Outcome(holds=local and all("//" not in text for text in texts), figures={"scripts": len(scripts)})


def guessed_keys(target: Target, *, count: int) -> Outcome:
    """Guessing is slowed down; who was let in before goes on. The last attack: new keys from here are refused then."""
    with target.client() as client:
        client.get("/api/v1/jobs")
        guesses = ({"X-API-Key": f"guess-{number}"} for number in range(count))
        statuses = [client.get("/api/v1/jobs", headers=guess).status_code for guess in guesses]
        known = client.get("/api/v1/jobs").status_code
    return Outcome(
        holds=set(statuses) == {401, 429} and statuses[-1] == 429 and known == 200,
        figures={"guesses": count, "refused": statuses.count(429), "known": known},
    )


LONG: Mapping[str, Callable[[Target], Outcome]] = {
    "pages": pages,
    "forged_log_lines": forged_log_lines,
    "tasks": tasks,
    "native_bodies": lambda target: native_bodies(target, megabytes=48),
    "hoarded_answers": lambda target: hoarded_answers(target, count=100, side_px=1024),
    "refusals_of_a_full_queue": lambda target: refusals_of_a_full_queue(target, tries=50),
    "slow_heads": lambda target: slow_heads(target, count=300, within_s=30),
    "websocket_wishes": lambda target: websocket_wishes(target, count=2 * MAX_FILES),
    "idle_sockets": lambda target: idle_sockets(target, count=1500),
    "guessed_keys": lambda target: guessed_keys(target, count=300),
}


def _tiny_values(megabytes: int) -> bytes:
    return b'{"request": [' + b"{}," * (megabytes * 2**20 // 3) + b"{}]}"


def _most_memory_mb(pid: int) -> float:
    """The most that a process has ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _typed(media_type: str) -> dict[str, str]:
    return {"Content-Type": media_type}


def _drips(connection: socket.socket) -> bool:
    """Send a byte more; False when the server has closed the connection."""
    try:
        connection.sendall(b"x")
        return connection.recv(1024) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def _ended(client: httpx.Client, job_id: str, *, within_s: float = 600) -> dict[str, Any]:
    with client.stream("GET", f"/api/v1/jobs/{job_id}/events", timeout=within_s) as events:
        for _ in events.iter_lines():
            pass
    return dict(client.get(f"/api/v1/status/{job_id}").json())


def _told(name: str, outcome: Outcome) -> Outcome:
    print(f"{name:26} {'holds' if outcome.holds else 'FELL'}  {outcome.figures}", flush=True)
    return outcome


def main() -> int:
    """Run every attack against a service of its own; 1 when one got through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/attack.json"))
    options = parser.parse_args()
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "serve.log"
        with Server(port=free_port(), log=log, environment=ENVIRONMENT, command_prefix=FEW_FILES) as server:
            server.wait_until_healthy()
            target = Target(url=server.url, pid=server.pid, log=log, edit=smallest_edit())
            for name, attack in LONG.items():
                outcomes[name] = _told(name, attack(target))
        for name, outcome in chain(network_attacks(Path(folder)).items(), run_faults(Path(folder))):
            outcomes[name] = _told(name, outcome)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    told = {name: {"holds": outcome.holds, **outcome.figures} for name, outcome in outcomes.items()}
    options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0 if all(outcome.holds for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
