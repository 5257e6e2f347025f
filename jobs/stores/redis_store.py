"""Jobs in Redis, shared by API nodes and workers on many machines.

Time is the Redis server's, so that what is written is of one clock. It decides over no job: every node judges leases
and waits by watching whether they are renewed, so that neither a step of the server's clock nor a difference between
the machines' ends a job that runs. Durable as far as Redis is: `appendonly yes` with `appendfsync always` keeps every
accepted job through a power failure.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from composition.jobs import Job, JobEvent, JobStatus, Priority
from jobs.protocol import lifecycle
from jobs.protocol.claims import MAX_POSTPONEMENT_S, Delivery
from jobs.protocol.documents import load_record
from jobs.protocol.lifecycle import Change, Record
from jobs.redis_connection import REPLY_TIMEOUT_S, reply, translated
from jobs.stores import redis_scripts
from jobs.stores.clocks import LeaseWatch, Monotonic
from jobs.stores.record_store import Changer, RecordJobStore, queue_full, same_submission
from jobs.stores.redis_scripts import RedisKeys

logger = logging.getLogger(__name__)


class RedisJobStore(RecordJobStore):
    """The store of the distributed mode.

    An interactive job ends when nobody has said for `wait_lease_s` that he still waits for it (`keep_waiting`).
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str = "composition:",
        max_pending: int = 1000,
        wait_lease_s: float = 30.0,
        clock: Callable[[], float] | None = None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """`clock` None takes the server's time; `monotonic` is this machine's."""
        super().__init__(max_pending=max_pending, monotonic=monotonic)
        self._waits = LeaseWatch(monotonic)
        self._redis = redis
        self.keys = RedisKeys(prefix)
        self._wait_lease_s = wait_lease_s
        self._clock = clock
        self._commit_script = redis.register_script(redis_scripts.COMMIT)
        self._next_script = redis.register_script(redis_scripts.NEXT)
        self._take_script = redis.register_script(redis_scripts.TAKE_DELIVERIES)

    async def open(self) -> None:
        """Warn about a Redis that forgets. Connections are opened when they are needed: it may also come later."""
        with suppress(RedisError, TimeoutError):
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                settings = await reply(self._redis.config_get("append*"))
            found = {_text(name): _text(value) for name, value in settings.items()}
            fsync = found.get("appendfsync") if found.get("appendonly") == "yes" else "off"
            if fsync != "always":
                logger.warning(
                    "redis may forget accepted jobs in a power failure: appendfsync is %s;"
                    " set appendonly yes and appendfsync always",
                    fsync,
                )

    async def close(self) -> None:
        await self._redis.aclose()

    async def add(self, job: Job) -> Job:
        now = await self._now()
        async with translated():
            order = int(await self._redis.incr(self.keys.order))
        change = lifecycle.admit(job, order=order, now=now)
        verdict, value = await self._commit(
            None, change, "", uuid.uuid4().hex, now, accepted_key=self.keys.accepted(job), bound=str(self._max_pending)
        )
        if verdict == "repeated":
            accepted = await self._load(value)
            return await self.add(job) if accepted is None else same_submission(accepted.job, job)
        if verdict == "full":
            raise queue_full(int(value))
        assert verdict == "done", "a new job's id was taken"
        return change.record.job

    async def keep_waiting(self, job_ids: Sequence[str]) -> None:
        """Somebody still waits for these interactive jobs."""
        if job_ids:
            until = await self._now() + self._wait_lease_s
            async with translated():
                await self._redis.zadd(self.keys.waited_for, dict.fromkeys(job_ids, until), xx=True)

    async def due_count(self) -> int:
        """How many jobs could start now."""
        await self._waiting(await self._now())
        async with translated():
            return int(await self._redis.zcard(self.keys.waiting))

    async def changes(self) -> AsyncIterator[str]:
        """Ids of jobs as they change, in any process. Ends with NotReady when the connection is lost."""
        async with translated(timeout_s=None), self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                await subscription.subscribe(self.keys.changed)
            while True:
                message = await subscription.get_message(timeout=REPLY_TIMEOUT_S / 2)
                if message is not None:
                    yield message["data"].decode()

    async def events(self, job_id: str, *, after: int) -> tuple[JobEvent, ...]:
        types = ("status", "progress", "preview")
        async with translated(), self._redis.pipeline(transaction=True) as pipe:
            for type in types:
                pipe.zrangebyscore(self.keys.events(job_id, type), f"({after}", "+inf")
            streams = await pipe.execute()
        found = []
        for type, stream in zip(types, streams, strict=True):
            for entry in stream:
                sequence, _, data = entry.partition(b":")
                found.append(JobEvent(job_id=job_id, sequence=int(sequence), type=type, data=json.loads(data)))
        return tuple(sorted(found, key=lambda event: event.sequence))

    async def counts(self) -> Mapping[JobStatus, int]:
        async with translated():
            counted = await reply(self._redis.hgetall(self.keys.counts))
        return {status: int(counted.get(status.value.encode(), 0)) for status in JobStatus}

    async def due_deliveries(self, *, limit: int, hold_s: float) -> tuple[Delivery, ...]:
        now = await self._now()
        latest = now + MAX_POSTPONEMENT_S
        args = [repr(now), str(limit), repr(now + hold_s), self.keys.delivery_prefix, f"({latest!r}"]
        async with translated():
            taken = await self._take_script(keys=[self.keys.due], args=args)
        texts = ([part.decode() for part in row] for row in taken)
        return tuple(Delivery(id=r[0], job_id=r[1], url=r[2], body=r[3], attempts=int(r[4])) for r in texts)

    async def postpone_delivery(self, delivery_id: str, *, delay_s: float) -> None:
        at = await self._now() + delay_s
        async with translated():
            await self._redis.zadd(self.keys.due, {delivery_id: at}, xx=True)

    async def end_delivery(self, delivery_id: str) -> None:
        async with translated(), self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(self.keys.due, delivery_id)
            pipe.delete(f"{self.keys.delivery_prefix}{delivery_id}")
            await pipe.execute()

    async def garbage(self, *, limit: int) -> tuple[str, ...]:
        async with translated():
            keys = await reply(self._redis.srandmember(self.keys.garbage, limit))
        return tuple(key.decode() for key in keys)

    async def forget_garbage(self, keys: Sequence[str]) -> None:
        if keys:
            async with translated():
                await reply(self._redis.srem(self.keys.garbage, *keys))

    async def unreferenced(self, keys: Sequence[str]) -> tuple[str, ...]:
        if not keys:
            return ()
        async with translated():
            owners = await reply(self._redis.hmget(self.keys.blobs, list(keys)))
            noted = await reply(self._redis.smismember(self.keys.garbage, list(keys)))
        named = (owner is not None or bool(note) for owner, note in zip(owners, noted, strict=True))
        return tuple(key for key, is_named in zip(keys, named, strict=True) if not is_named)

    async def _now(self) -> float:
        if self._clock is not None:
            return self._clock()
        async with translated():
            seconds, microseconds = await self._redis.time()
        return float(seconds) + float(microseconds) / 1e6

    async def _places_taken(self) -> int:
        async with translated():
            extra = await reply(self._redis.get(self.keys.extra_places))
        return (await self.counts())[JobStatus.PENDING] + int(extra or 0)

    async def _load(self, job_id: str) -> Record | None:
        return (await self._load_versioned(job_id))[1]

    async def _change(self, job_id: str, changer: Changer, *, durable: bool = True) -> Change | None:
        while True:
            version, record = await self._load_versioned(job_id)
            change = None if record is None else changer(record)
            if change is None:
                return None
            verdict, _ = await self._commit(record, change, version, uuid.uuid4().hex, await self._now())
            if verdict == "done":
                return change

    async def _drop(self, job_id: str, condition: Callable[[Record], bool]) -> Job | None:
        version, record = await self._load_versioned(job_id)
        if record is None or not condition(record):
            return None
        commands = redis_scripts.drop_commands(self.keys, record)
        verdict, _ = await self._execute(record.job, version, uuid.uuid4().hex, "", "", commands)
        return record.job if verdict == "done" else None

    async def _waiting(self, now: float) -> str | None:
        latest = repr(now + lifecycle.MAX_DELAY_S)
        async with translated():
            job_id = await self._next_script(
                keys=[self.keys.waiting, self.keys.delayed],
                args=[repr(now), self.keys.job_prefix, f"({latest}", latest],
            )
        return None if job_id is None else job_id.decode()

    async def _oldest_waiting(self, now: float) -> Job | None:
        await self._waiting(now)
        async with translated():
            first = [
                await reply(self._redis.zrangebyscore(self.keys.waiting, *ranks, start=0, num=1))
                for ranks in map(redis_scripts.ranks, Priority)
            ]
        records = [await self._load(job_id.decode()) for ids in first for job_id in ids]
        there = [record for record in records if record is not None]
        return min(there, key=lambda record: record.order).job if there else None

    async def _leased(self) -> Mapping[str, float]:
        return await self._scores(self.keys.leased)

    async def _abandoned(self) -> Sequence[str]:
        silences = self._waits.silences(await self._scores(self.keys.waited_for))
        return [job_id for job_id, silent_s in silences.items() if silent_s >= self._wait_lease_s]

    async def _unfinished(self) -> tuple[str, ...]:
        return (*await self._leased(), *await self._scores(self.keys.waited_for))

    async def _of_session(self, owner: str, session: str) -> Sequence[str]:
        async with translated():
            found = await reply(self._redis.zrange(self.keys.session(owner, session), 0, -1))
        return [job_id.decode() for job_id in found]

    async def _finished_before(self, moment: float) -> tuple[str, ...]:
        async with translated():
            found = await reply(self._redis.zrangebyscore(self.keys.finished, "-inf", moment))
        return tuple(job_id.decode() for job_id in found)

    async def _page(self, owner: str, status: JobStatus | None, limit: int, below: int | None) -> Sequence[Record]:
        top = "+inf" if below is None else f"({below}"
        async with translated():
            ids = await reply(
                self._redis.zrevrangebyscore(self.keys.owner(owner, status), top, "-inf", start=0, num=limit)
            )
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.hget(self.keys.job(job_id.decode()), "document")
                documents = await pipe.execute()
        return [load_record(document) for document in documents if document is not None]

    async def _scores(self, key: str) -> Mapping[str, float]:
        async with translated():
            found = await reply(self._redis.zrange(key, 0, -1, withscores=True))
        return {job_id.decode(): float(score) for job_id, score in found}

    async def _load_versioned(self, job_id: str) -> tuple[str, Record | None]:
        async with translated():
            version, document = await reply(self._redis.hmget(self.keys.job(job_id), ["version", "document"]))
        return ("", None) if document is None else (version.decode(), load_record(document))

    async def _commit(
        self,
        old: Record | None,
        change: Change,
        read_version: str,
        version: str,
        now: float,
        *,
        accepted_key: str = "",
        bound: str = "",
    ) -> tuple[str, str]:
        commands = redis_scripts.commands(
            self.keys, old, change, version=version, now=now, wait_lease_s=self._wait_lease_s
        )
        return await self._execute(change.record.job, read_version, version, accepted_key, bound, commands)

    async def _execute(
        self, job: Job, read_version: str, version: str, accepted_key: str, bound: str, commands: list[list[str]]
    ) -> tuple[str, str]:
        async with translated():
            verdict, value = await self._commit_script(
                keys=[self.keys.job(job.id), self.keys.waiting, self.keys.delayed, self.keys.extra_places],
                args=[read_version, version, accepted_key, bound, json.dumps(commands), job.places],
            )
        return verdict.decode(), value.decode()


def _text(value: bytes | str) -> str:
    """CONFIG is answered in text by some versions of the client, whatever it was told about decoding."""
    return value.decode() if isinstance(value, bytes) else value
