"""A random life of a job store against a model small enough to be believed.

`Steps` has the rules; `assert_keeps_the_rules` runs them on a store. The model is written from the contract, not from
the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from composition.errors import IdempotencyConflict, NotFound, QueueFull
from composition.jobs import Job, JobError, JobStatus, Priority
from composition.result import Progress
from jobs.protocol.claims import Claim
from jobs.protocol.job_store import JobStore
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result

MAX_PENDING = 6
LEASE_S = 10.0
TTL_S = 100.0
BACK = st.integers(0, 5)

StoreOpener = Callable[[ManualClock], contextlib.AbstractAsyncContextManager[JobStore]]
"""Opens an empty store of at most `MAX_PENDING` waiting jobs, for the time of the block."""

P, R, C, F, X = (
    JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED,
)  # fmt: skip


@dataclass
class Expected:
    """What the model knows of one job."""

    job: Job
    number: float
    status: JobStatus = P
    attempt: int = 0
    interruptions: int = 0
    holder: int | None = None
    lease_until: float = 0.0
    accepted_at: float = 0.0
    not_before: float = 0.0
    ended_at: float | None = None
    progress: float = 0.0
    result: str | None = None
    story: list[JobStatus] = field(default_factory=lambda: [P])


def second(image: str) -> str:
    """The key of the other candidate of a job."""
    return f"{image}-second"


class Steps(RuleBasedStateMachine):
    """One life of a store that `open_store` opens, with a clock that the machine moves."""

    def __init__(self, open_store: StoreOpener) -> None:
        super().__init__()
        self.resources = contextlib.AsyncExitStack()
        self.loop = asyncio.new_event_loop()
        self.loop.time = lambda: 0.0  # so that no reply comes too late, however busy the machine is
        self.clock = ManualClock()
        self.model: dict[str, Expected] = {}
        self.claims: list[tuple[Claim, int]] = []
        self.gone: list[str] = []
        self.numbers = itertools.count()
        self.claim_numbers = itertools.count()
        self.owed: Counter[str] = Counter()
        self.free: set[str] = set()
        self.stepped_s = self.stepped_at = 0.0
        self.store: JobStore = self.run(self.resources.enter_async_context(open_store(self.clock)))

    def run(self, step: Any) -> Any:
        return self.loop.run_until_complete(step)

    def teardown(self) -> None:
        self.check_what_is_owed()
        self.run(self.resources.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        assert self.run(self.store.counts()) == dict.fromkeys(JobStatus, 0)
        for interactive in (False, True, False):
            self.submit(interactive=interactive, owner="alice", max_attempts=2, callback=True)
        self.claim()

    @rule(
        interactive=st.booleans(),
        owner=st.sampled_from(["alice", "bob"]),
        max_attempts=st.integers(1, 3),
        callback=st.booleans(),
        candidates=st.sampled_from([1, 1, 1, 2, 4, 8]),
    )
    def submit(self, interactive: bool, owner: str, max_attempts: int, callback: bool, candidates: int = 1) -> None:
        number = next(self.numbers)
        url = "https://example.com/hook" if callback else None
        job = sample_job(
            id=f"job-{number}", base_key=f"in-{number}", interactive=interactive, owner=owner,
            max_attempts=max_attempts, callback_url=url,
        )  # fmt: skip
        self.accept(replace(job, payload=replace(job.payload, n=candidates)), number)

    @rule(owner=st.sampled_from(["alice", "bob"]))
    def submit_under_a_key(self, owner: str) -> None:
        """As long as the first job of an owner's key is there, the key stands for it, however it ends."""
        number = next(self.numbers)
        job = sample_job(
            id=f"job-{number}", base_key=f"in-{number}", owner=owner, idempotency_key="k", body_digest="one"
        )  # fmt: skip
        if not (kept := self.under_a_key(owner)):
            self.accept(job, number)
            kept = self.under_a_key(owner)
        for first in kept:
            again = self.run(self.store.add(replace(job, id=f"repeated-{number}")))
            assert (again.id, again.status) == (first.job.id, first.status)
            with pytest.raises(IdempotencyConflict):
                self.run(self.store.add(replace(job, id=f"another-{number}", body_digest="two")))

    @rule(owner=st.sampled_from(["alice", "bob"]), session=st.sampled_from(["s", "t"]), beside=st.booleans())
    def submit_in_a_session(self, owner: str, session: str, beside: bool) -> None:
        """With `beside` two are accepted before either has looked for the other, and the older one looks first."""
        number = next(self.numbers)
        jobs = [
            sample_job(id=f"job-{number}-{place}", base_key=f"in-{number}-{place}", owner=owner, session=session)
            for place in range(1 + beside)
        ]
        before = self.of_a_session(owner, session)
        for place, job in enumerate(jobs):
            self.accept(job, number + place / 2)
        accepted = [job for job in jobs if job.id in self.model]
        if not accepted:
            return
        older = [*before, *(self.model[job.id] for job in accepted[:-1])]
        ended = self.run(self.store.supersede(accepted[0]))
        assert [job.id for job in ended] == [expected.job.id for expected in older]
        for job, expected in zip(ended, older, strict=True):
            assert (job.status, job.error.code) == (X, "SUPERSEDED")
            assert job.error.details == {"superseded_by": accepted[-1].id}
            self.end(expected, X)
        assert self.run(self.store.supersede(accepted[-1])) == ()

    def of_a_session(self, owner: str, session: str) -> list[Expected]:
        """What has not ended of it, the first accepted first."""
        jobs = [e for e in self.model.values() if (e.job.owner, e.job.session) == (owner, session)]
        return sorted((e for e in jobs if not e.status.terminal), key=lambda e: e.number)

    def under_a_key(self, owner: str) -> list[Expected]:
        """The job of an owner's key, while there is one."""
        return [e for e in self.model.values() if e.job.owner == owner and e.job.idempotency_key]

    def accept(self, job: Job, number: float) -> None:
        """A new job, or its refusal where it has no room."""
        candidates = job.payload.n
        taken = sum(e.job.payload.n for e in self.model.values() if e.status is P)
        if taken >= MAX_PENDING:
            with pytest.raises(QueueFull):
                self.run(self.store.check_room())
        else:
            self.run(self.store.check_room())
        if taken and taken + candidates > MAX_PENDING:
            with pytest.raises(QueueFull):
                self.run(self.store.add(job))
            return
        self.run(self.store.add(job))
        self.model[job.id] = Expected(job=job, number=number, accepted_at=self.clock.now)

    @rule()
    def claim(self) -> None:
        claim = self.run(self.store.claim(worker_id="w", lease_s=LEASE_S))
        due = [e for e in self.model.values() if e.status is P and self.is_due(e)]
        if not due:
            assert claim is None
            return
        first = min(due, key=lambda e: (e.job.priority, e.number))
        assert claim is not None
        assert claim.job.id == first.job.id
        first.holder = next(self.claim_numbers)
        first.attempt += 1
        first.lease_until = self.clock.running + LEASE_S
        first.progress = 0.0
        self.move(first, R)
        assert claim.job.attempt == first.attempt
        self.claims.append((claim, first.holder))

    @rule(seconds=st.sampled_from([9.0, 11.0]), late_progress=st.floats(0, 1))
    def a_worker_freezes_while_another_takes_over(self, seconds: float, late_progress: float) -> None:
        self.submit(interactive=False, owner="bob", max_attempts=3, callback=True)
        self.claim()
        frozen = self.claims[-1]
        self.time_passes(seconds)
        self.sweep()
        self.claim()
        self.heartbeat(late_progress, claim=frozen)
        self.complete(claim=frozen)

    @rule(expires=st.booleans())
    def a_job_reports_out_of_order_and_completes(self, expires: bool) -> None:
        self.submit(interactive=True, owner="alice", max_attempts=1, callback=False)
        self.claim()
        for fraction in (0.7, 0.2):
            self.heartbeat(fraction)
        self.the_store_agrees_with_the_model()
        self.complete()
        if expires:
            self.time_passes(TTL_S)
            self.sweep()

    @rule(fraction=st.none() | st.floats(0, 1), back=BACK)
    def heartbeat(self, fraction: float | None, back: int = 0, claim: tuple[Claim, int] | None = None) -> None:
        claim = claim or self.recent(back)
        progress = None if fraction is None else Progress(stage="diffuse", fraction=fraction)
        alive = self.run(self.store.heartbeat(claim[0], lease_s=LEASE_S, progress=progress))
        expected = self.held(claim)
        assert alive == (expected is not None)
        if expected is not None:
            expected.lease_until = self.clock.running + LEASE_S
            expected.progress = max(expected.progress, fraction or 0.0)

    @rule(back=BACK)
    def complete(self, back: int = 0, claim: tuple[Claim, int] | None = None) -> None:
        claim = claim or self.recent(back)
        image = f"out-{claim[1]}"
        result = replace(sample_result(image), other_image_keys=(second(image),))
        published = self.run(self.store.complete(claim[0], result))
        expected = self.held(claim)
        known = self.model.get(claim[0].job.id)
        assert published == (expected is not None or (known is not None and known.result == image))
        if expected is not None:
            expected.result, expected.progress = image, 1.0
            self.end(expected, C)

    @rule(back=BACK, retry=st.booleans(), delay_s=st.sampled_from([0.0, 20.0]))
    def fail(self, back: int, retry: bool, delay_s: float) -> None:
        claim = self.recent(back)
        error = JobError(code="MODEL_ERROR", message="no", details={})
        written = self.run(self.store.fail(claim[0], error, retry=retry, delay_s=delay_s))
        expected = self.held(claim)
        assert written == (expected is not None)
        if expected is None:
            return
        if retry and expected.attempt - expected.interruptions < expected.job.max_attempts:
            self.requeue(expected, self.clock.now + delay_s)
        else:
            self.end(expected, F)

    @rule(back=BACK, delay_s=st.sampled_from([0.0, 20.0]))
    def interrupt(self, back: int, delay_s: float) -> None:
        claim = self.recent(back)
        error = JobError(code="NOT_READY", message="away", details={})
        written = self.run(self.store.interrupt(claim[0], error, delay_s=delay_s))
        expected = self.held(claim)
        assert written == (expected is not None)
        if expected is not None:
            self.lose(expected, delay_s)

    @rule(back=BACK)
    def release(self, back: int) -> None:
        claim = self.recent(back)
        written = self.run(self.store.release(claim[0]))
        expected = self.held(claim)
        assert written == (expected is not None)
        if expected is None:
            return
        if expected.job.priority is Priority.INTERACTIVE:
            self.end(expected, F)
        else:
            expected.attempt -= 1
            self.requeue(expected, 0.0)

    @rule(back=BACK)
    def cancel(self, back: int) -> None:
        every = [*self.gone, *self.model]
        job_id = every[-1 - back % len(every)]
        if job_id in self.gone:
            try:
                self.run(self.store.cancel(job_id))
            except NotFound:
                return
            raise AssertionError("an expired job was cancelled")
        expected = self.model[job_id]
        if not expected.status.terminal:
            self.end(expected, X)
        assert self.run(self.store.cancel(job_id)).status is expected.status

    @rule(seconds=st.sampled_from([1.0, 11.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3600.0, -100.0, 100.0, 3600.0]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.sweep()
        self.clock.set_by(seconds)
        self.stepped_s, self.stepped_at = max(0.0, self.stepped_s + seconds), self.clock.running
        self.sweep()

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def the_clock_is_set_while_a_job_runs_and_one_has_ended(self, seconds: float) -> None:
        for _ in range(2):
            self.submit(interactive=False, owner="bob", max_attempts=1, callback=False)
            self.claim()
        self.complete()
        self.the_clock_is_set(seconds)
        self.complete(back=1)

    @rule()
    def sweep(self) -> None:
        touched = {job.id for job in self.run(self.store.sweep(result_ttl_s=TTL_S))}
        expected_ids = set()
        if self.clock.running - self.stepped_at >= TTL_S:
            self.stepped_s = 0.0
        oldest = self.clock.now - self.stepped_s - TTL_S
        for expected in list(self.model.values()):
            if expected.status is R and expected.lease_until <= self.clock.running:
                self.lose(expected, 0.0)
                if expected.status.terminal:
                    expected_ids.add(expected.job.id)
            elif expected.ended_at is not None and expected.ended_at <= oldest:
                expected_ids.add(expected.job.id)
                self.gone.append(expected.job.id)
                if expected.result:
                    self.free |= {expected.result, second(expected.result)}
                del self.model[expected.job.id]
        assert touched == expected_ids

    @rule()
    def everything_crashes_and_starts_again(self) -> None:
        self.run(self.store.recover())
        for expected in self.model.values():
            if expected.status is R:
                self.lose(expected, 0.0)
            elif expected.status is P and expected.job.priority is Priority.INTERACTIVE:
                self.end(expected, F)

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        counted = Counter(e.status for e in self.model.values())
        assert self.run(self.store.counts()) == {status: counted[status] for status in JobStatus}
        for job_id, expected in self.model.items():
            job = self.run(self.store.get(job_id))
            assert (job.status, job.attempt, job.progress) == (expected.status, expected.attempt, expected.progress)
            assert (job.result.image_key if job.result else None) == expected.result
            assert (job.finished_at is None) == (not job.status.terminal)

    @invariant()
    def the_age_of_the_queue_is_that_of_the_first_accepted_job_that_could_start(self) -> None:
        due = [e for e in self.model.values() if e.status is P and self.is_due(e)]
        first = min(due, key=lambda e: e.number, default=None)
        age_s = 0.0 if first is None else max(0.0, self.clock.now - first.accepted_at)
        assert self.run(self.store.oldest_wait_s()) == age_s

    @invariant()
    def the_stream_tells_every_transition_in_order(self) -> None:
        for job_id, expected in self.model.items():
            stream = self.run(self.store.events(job_id, after=0))
            assert [JobStatus(e.data["status"]) for e in stream if e.type == "status"] == expected.story
            sequences = [e.sequence for e in stream]
            assert sequences == sorted(set(sequences))

    @invariant()
    def listing_shows_each_owner_its_jobs_newest_first(self) -> None:
        for owner in ("alice", "bob"):
            mine = [e for e in self.model.values() if e.job.owner == owner]
            newest_first = [e.job.id for e in sorted(mine, key=lambda e: -e.number)]
            seen, cursor = [], None
            while True:
                page = self.run(self.store.list(owner=owner, status=None, limit=3, cursor=cursor))
                seen += [job.id for job in page.jobs]
                if (cursor := page.cursor) is None:
                    break
            assert seen == newest_first
            pending = self.run(self.store.list(owner=owner, status=P, limit=99, cursor=None))
            assert {job.id for job in pending.jobs} == {e.job.id for e in mine if e.status is P}

    def check_what_is_owed(self) -> None:
        """Every ended job's inputs are free and its webhook is owed once."""
        garbage = self.run(self.store.garbage(limit=10_000))
        assert set(garbage) == self.free
        assert len(garbage) == len(set(garbage))
        due = self.run(self.store.due_deliveries(limit=10_000, hold_s=60.0))
        assert Counter(delivery.job_id for delivery in due) == self.owed
        assert self.run(self.store.due_deliveries(limit=10_000, hold_s=60.0)) == ()
        self.clock.advance(61.0)
        again = self.run(self.store.due_deliveries(limit=10_000, hold_s=60.0))
        assert {replace(d, attempts=1) for d in again} == set(due)
        firsts = {e.result for e in self.model.values() if e.result}
        results = firsts | {second(image) for image in firsts}
        inputs = {e.job.payload.base_key for e in self.model.values() if not e.status.terminal}
        asked = sorted(results | inputs | self.free | {"never-named"})
        assert self.run(self.store.unreferenced(asked)) == ("never-named",)
        self.run(self.store.forget_garbage(garbage))
        assert self.run(self.store.garbage(limit=10_000)) == ()
        assert set(self.run(self.store.unreferenced(asked))) == {"never-named", *self.free}

    def recent(self, back: int) -> tuple[Claim, int]:
        """A claim that was given, the newest for 0; most of the older ones are void."""
        return self.claims[-1 - back % len(self.claims)]

    def held(self, claim: tuple[Claim, int]) -> Expected | None:
        """The job, when this claim may still publish."""
        expected = self.model.get(claim[0].job.id)
        current = expected is not None and expected.status is R and expected.holder == claim[1]
        return expected if current else None

    def is_due(self, expected: Expected) -> bool:
        """Its delay is over, or longer than any delay can be."""
        return expected.not_before <= self.clock.now or expected.not_before > self.clock.now + 300.0

    def move(self, expected: Expected, status: JobStatus) -> None:
        expected.status = status
        expected.story.append(status)

    def requeue(self, expected: Expected, not_before: float) -> None:
        expected.not_before, expected.progress = not_before, 0.0
        self.move(expected, P)

    def end(self, expected: Expected, status: JobStatus) -> None:
        expected.ended_at = self.clock.now
        self.free.add(expected.job.payload.base_key)
        if expected.job.callback_url:
            self.owed[expected.job.id] += 1
        self.move(expected, status)

    def lose(self, expected: Expected, delay_s: float) -> None:
        if expected.job.priority is Priority.INTERACTIVE:
            self.end(expected, F)
        else:
            delay_s = min(delay_s * 2**expected.interruptions, 300.0)
            expected.interruptions += 1
            self.requeue(expected, self.clock.now + delay_s)


def assert_keeps_the_rules(open_store: StoreOpener, *, lives: int, steps: int) -> None:
    """`lives` random lives of `steps` steps each."""
    run_state_machine_as_test(
        lambda: Steps(open_store),
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
