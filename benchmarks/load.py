"""Many clients at once on a service of our own on the loopback, and what it is like during and after: `make load`.

Held to: no request is answered 500 or other than it deserves; a full queue refuses 200 clients fast, before it has read
their bodies; every accepted job completes, once; no process grows; and when it is over one edit is as fast as before.
The service is the real one (profile tiny by default) in processes of its own. tests/e2e/test_load.py is the short form.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.load_clients import Account, Crowd, edit, photo
from benchmarks.server import Server, free_port

PENDING = 32
FRONT = "image-composition"
ENVIRONMENT = {
    "COMPOSITION_API__ACCESS_LOG": "true",
    "COMPOSITION_QUEUE__MAX_PENDING": str(PENDING),
    # Reaches its bound while the crowd warms up, so that what grows afterwards is no cache.
    "COMPOSITION_OPTIMIZATION__CACHE_MAX_MB": "8",
}
SOLO_EDITS = 5
AS_BEFORE_FACTOR, AS_BEFORE_MARGIN_S = 1.5, 0.2
RECOVERY_LIMIT_S = 5.0
DRAIN_LIMIT_S = 600.0
WARM_UP_SHARE = 0.25
"""Of the time, not judged: connections, arenas and caches reach their size."""
GROWTH_FACTOR, GROWTH_MARGIN_MB = 1.05, 16.0
"""A process may grow by that from the first to the last quarter of the judged time (medians)."""
SAMPLE_S = 0.5
REFUSED_CLIENTS = 200
REFUSED_BODY_BYTES = 40_000_000
CLIENT_LIMIT_S, SERVER_LIMIT_S = 1.0, 0.1
LOG_DELAY_S = 20.0


class Load:
    """One run against a healthy service; `wrong` says what did not hold, `figures` how it was.

    `timed` false judges neither times, for machines that others use too, nor growth, which seconds do not show.
    """

    def __init__(self, url: str, pid: int, log: Path, *, seed: int, timed: bool = True) -> None:
        self._url = url
        self._pid = pid
        self._log = log
        self._seed = seed
        self._timed = timed
        self._memory: dict[str, list[tuple[float, float]]] = {}
        self.wrong: list[str] = []
        self.figures: dict[str, Any] = {}

    async def run(self, *, clients: int, seconds: float, refusals: int) -> None:
        """All of it, one after another."""
        before_s = [await self._solo_edit(number) for number in range(SOLO_EDITS + 2)][2:]
        await self._refuse(rounds=refusals)
        account = Account()
        watching = asyncio.create_task(self._watch_memory())
        began_at = time.monotonic()
        await Crowd(self._url, account, seed=self._seed).run(clients=clients, seconds=seconds)
        served_at = time.monotonic()
        await self._see_jobs_end(account.accepted)
        ended_at = time.monotonic()
        await self._recover(before_s)
        watching.cancel()
        self._judge_memory(began_at, served_at)
        self.wrong += [f"{times} x {what}" for what, times in account.wrong.most_common()]
        self.figures |= {
            "clients": clients,
            "seconds": seconds,
            "answers": {kind: dict(sorted(counts.items())) for kind, counts in sorted(account.answers.items())},
            "p50_s": {kind: round(statistics.median(times), 3) for kind, times in sorted(account.times_s.items())},
            "p99_s": {kind: round(percentile(times, 99), 3) for kind, times in sorted(account.times_s.items())},
            "crowd_stalls": len(account.stalls),
            "lapsed_in_a_stall": account.lapsed,
            "jobs_accepted": len(account.accepted),
            "drained_s": round(ended_at - served_at, 1),
        }

    async def _solo_edit(self, number: int) -> float:
        async with httpx.AsyncClient(base_url=self._url, timeout=120) as client:
            began_at = time.perf_counter()
            answer = await client.post("/api/v1/generate", json=edit(photo(1000 + number), seed=number))
            if answer.status_code != 200:
                self.wrong.append(f"a single edit was answered {answer.status_code} {answer.text[:200]}")
            return time.perf_counter() - began_at

    async def _refuse(self, *, rounds: int) -> None:
        """A full queue answers 200 clients at once, each with the first bytes of 40 MB, while edits run."""
        slow = {**edit(photo(0), seed=0), "config": {"num_inference_steps": 100}}
        jobs: list[str] = []
        async with httpx.AsyncClient(base_url=self._url, timeout=120) as client:
            while (answer := await client.post("/api/v1/generate/async", json=slow)).status_code == 200:
                jobs.append(answer.json()["job_id"])
            front = processes(self._pid)[FRONT]
            cpu_s = sum(front.cpu_times()[:2])
            answers = [
                one
                for turn in range(rounds)
                for one in await asyncio.gather(*(self._refused(f"refused-{turn}-{n}") for n in range(REFUSED_CLIENTS)))
            ]
            cpu_s = sum(front.cpu_times()[:2]) - cpu_s
            for job in jobs:
                await client.delete(f"/api/v1/jobs/{job}")
        statuses = {status for status, _ in answers}
        seen_s = [seconds for _, seconds in answers]
        told_s = await self._answered_s("refused-", len(answers))
        figures = {
            "clients": REFUSED_CLIENTS,
            "answers": len(answers),
            "client_p50_s": round(statistics.median(seen_s), 4),
            "client_p99_s": round(percentile(seen_s, 99), 4),
            "front_cpu_ms_each": round(1000 * cpu_s / len(answers), 2),
            "server_p50_s": round(statistics.median(told_s), 4),
            "server_p99_s": round(percentile(told_s, 99), 4),
        }
        self.figures["refusals"] = figures
        if statuses != {503}:
            self.wrong.append(f"a full queue answered {sorted(statuses)}")
        too_slow = figures["client_p99_s"] > CLIENT_LIMIT_S or figures["server_p99_s"] > SERVER_LIMIT_S
        if self._timed and too_slow:
            self.wrong.append(f"a full queue refuses slowly: {figures}")

    async def _refused(self, request_id: str) -> tuple[int, float]:
        """The status, and how long after the head was sent it came. The body is never sent."""
        url = httpx.URL(self._url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = (
            f"POST /api/v1/generate HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {REFUSED_BODY_BYTES}\r\n\r\n"
        )
        began_at = time.perf_counter()
        writer.write(head.encode() + b'{"base_image": "')
        line = await reader.readline()
        seconds = time.perf_counter() - began_at
        writer.transport.abort()
        return int(line.split()[1]), seconds

    async def _answered_s(self, prefix: str, count: int) -> Sequence[float]:
        """What the access log says that the answers took."""
        deadline = time.monotonic() + LOG_DELAY_S
        while True:
            lines = [line for line in self._log.read_text(errors="replace").splitlines() if f'"{prefix}' in line]
            if len(lines) >= count or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.1)
        if len(lines) != count:
            self.wrong.append(f"the log has {len(lines)} lines about {count} refusals")
        told = [json.JSONDecoder().raw_decode(line[line.index("{") :])[0] for line in lines]
        return [one["answered_ms"] / 1000 for one in told] or [float("inf")]

    async def _see_jobs_end(self, jobs: Sequence[str]) -> None:
        """Wait for all of them; each completed, with one event that says so."""
        slots = asyncio.Semaphore(8)

        async def see(client: httpx.AsyncClient, job: str) -> str:
            async with slots:
                events = (await client.get(f"/api/v1/jobs/{job}/events")).text
                told = (await client.get(f"/api/v1/status/{job}")).json()
            completions = events.count('"status": "completed"')
            return (
                "" if told["status"] == "completed" and completions == 1 else f"{told}, completed {completions} times"
            )

        try:
            async with (
                asyncio.timeout(DRAIN_LIMIT_S),
                httpx.AsyncClient(base_url=self._url, timeout=DRAIN_LIMIT_S) as client,
            ):
                ends = await asyncio.gather(*(see(client, job) for job in jobs))
        except TimeoutError:
            self.wrong.append(f"not every accepted job had ended after {DRAIN_LIMIT_S:g} s")
            return
        self.wrong += [f"an accepted job: {end}" for end in ends if end][:5]
        if len(set(jobs)) != len(jobs):
            self.wrong.append("two jobs have one id")

    async def _recover(self, before_s: Sequence[float]) -> None:
        """Within the limit an edit takes what it took before."""
        normal_s = AS_BEFORE_FACTOR * statistics.median(before_s) + AS_BEFORE_MARGIN_S
        began_at = time.monotonic()
        after_s: list[float] = []
        while (began := time.monotonic() - began_at) < RECOVERY_LIMIT_S:
            after_s.append(await self._solo_edit(2000 + len(after_s)))
            if after_s[-1] <= normal_s:
                break
        self.figures["solo_edit_s"] = {
            "before": [round(seconds, 3) for seconds in before_s],
            "after": [round(seconds, 3) for seconds in after_s],
            "normal_again_after": round(began, 1),
        }
        if self._timed and after_s[-1] > normal_s:
            self.wrong.append(f"no edit within {RECOVERY_LIMIT_S:g} s took less than {normal_s:.2f} s: {after_s}")

    async def _watch_memory(self) -> None:
        while True:
            for name, process in processes(self._pid).items():
                with contextlib.suppress(psutil.NoSuchProcess):
                    sample = (time.monotonic(), process.memory_info().rss / 2**20)
                    self._memory.setdefault(f"{name} {process.pid}", []).append(sample)
            await asyncio.sleep(SAMPLE_S)

    def _judge_memory(self, began_at: float, ended_at: float) -> None:
        begin = began_at + WARM_UP_SHARE * (ended_at - began_at)
        quarter = (ended_at - begin) / 4
        told: dict[str, Any] = {}
        for name, samples in sorted(self._memory.items()):
            first = [mb for at, mb in samples if begin <= at < begin + quarter]
            last = [mb for at, mb in samples if ended_at - quarter <= at <= ended_at]
            if not first or not last:
                self.wrong.append(f"{name} did not live through the load")
                continue
            first_mb, last_mb = statistics.median(first), statistics.median(last)
            told[name.rsplit(" ", 1)[0]] = {"first_mb": round(first_mb), "last_mb": round(last_mb)}
            if self._timed and last_mb > GROWTH_FACTOR * first_mb + GROWTH_MARGIN_MB:
                self.wrong.append(f"{name} grew from {first_mb:.0f} to {last_mb:.0f} MB")
        self.figures["memory"] = told


def processes(pid: int) -> Mapping[str, psutil.Process]:
    """The front and the runners of a server, by their service's name."""
    found = {}
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            command = child.cmdline()
            if "--service-name" in command:
                found[command[command.index("--service-name") + 1]] = child
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many of them do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def run(*, clients: int, seconds: float, refusals: int, profile: str, seed: int, timed: bool = True) -> Load:
    """Start a service, put the load on it, end it."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        log = Path(folder) / "serve.log"
        environment = {**ENVIRONMENT, "COMPOSITION_MODELS__PROFILE": profile}
        with Server(port=free_port(), log=log, environment=environment) as server:
            server.wait_until_healthy()
            load = Load(server.url, server.pid, log, seed=seed, timed=timed)
            asyncio.run(load.run(clients=clients, seconds=seconds, refusals=refusals))
        tracebacks = log.read_text(errors="replace").count("Traceback")
    load.figures |= {"profile": profile, "seed": seed, "cpus": os.cpu_count(), "load_average": os.getloadavg()}
    if tracebacks:
        load.wrong.append(f"{tracebacks} tracebacks in the log")
    return load


def table(load: Load) -> Iterator[str]:
    """The figures, for people."""
    figures = load.figures
    yield f"{'request':10} {'p50 s':>8} {'p99 s':>8}  answers"
    for kind, answers in figures["answers"].items():
        told = ", ".join(f"{times} x {status}" for status, times in answers.items())
        yield f"{kind:10} {figures['p50_s'][kind]:8.3f} {figures['p99_s'][kind]:8.3f}  {told}"
    for name, memory in figures["memory"].items():
        yield f"{name:20} {memory['first_mb']:6} -> {memory['last_mb']:6} MB"
    yield f"refusals: {figures['refusals']}"
    yield f"accepted jobs: {figures['jobs_accepted']}, drained in {figures['drained_s']} s"
    yield f"the crowd stood still {figures['crowd_stalls']} times, {figures['lapsed_in_a_stall']} connections lapsed"
    yield f"single edit: {figures['solo_edit_s']}"
    yield from (f"WRONG {what}" for what in load.wrong)
    yield f"load: {'held' if not load.wrong else 'DID NOT HOLD'}"


def main() -> int:
    """Exit status 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--refusals", type=int, default=5, help="rounds of 200 clients")
    parser.add_argument("--profile", default="tiny")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("out/load.json"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the service ends with us
    load = run(
        clients=options.clients,
        seconds=options.seconds,
        refusals=options.refusals,
        profile=options.profile,
        seed=options.seed,
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"wrong": load.wrong, **load.figures}, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(load)), flush=True)
    return 0 if not load.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
