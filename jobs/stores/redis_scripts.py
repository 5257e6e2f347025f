"""How a job lies in Redis, and the scripts that make a change atomic.

Every change is optimistic: the record is read, the change is computed in Python by `jobs.protocol.lifecycle`, and one
script writes it if the record's version is still the one that was read. A version is written once, so a change whose
reply was lost is recognised when it is sent again. Needs one Redis primary (the keys of a change are not in one slot).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from composition.jobs import Job, JobEvent, JobStatus, Priority
from jobs.protocol import lifecycle
from jobs.protocol.claims import AT_ONCE
from jobs.protocol.documents import dump_event_data, dump_record
from jobs.protocol.lifecycle import Change, Record

COMMIT = """
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version == ARGV[2] then return {'done', ''} end
if version ~= ARGV[1] then return {'conflict', ''} end
if ARGV[3] ~= '' then
    local accepted = redis.call('GET', ARGV[3])
    if accepted then return {'repeated', accepted} end
end
if ARGV[4] ~= '' then
    local taken = redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3])
        + tonumber(redis.call('GET', KEYS[4]) or '0')
    if taken > 0 and taken + tonumber(ARGV[6]) > tonumber(ARGV[4]) then return {'full', tostring(taken)} end
end
for _, command in ipairs(cjson.decode(ARGV[5])) do
    redis.call(unpack(command))
end
return {'done', ''}
"""
"""KEYS: job, waiting, delayed, extra places. ARGV: version read, new version, idempotency key or '', bound or '',
commands, places needed."""

NEXT = """
for _, range in ipairs({{'-inf', ARGV[1]}, {ARGV[3], '+inf'}}) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], range[1], range[2])) do
        redis.call('ZREM', KEYS[2], id)
        redis.call('ZADD', KEYS[1], redis.call('HGET', ARGV[2] .. id, 'rank'), id)
    end
end
while true do
    local id = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
    if not id then return false end
    local not_before = cjson.decode(redis.call('HGET', ARGV[2] .. id, 'document')).record.not_before
    if not_before <= tonumber(ARGV[1]) or not_before > tonumber(ARGV[4]) then return id end
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZADD', KEYS[2], string.format('%.17g', not_before), id)
end
"""
"""KEYS: waiting, delayed. ARGV: now, prefix of job keys, '(' and the latest moment that a job may wait for, and that.

The first due job; a delayed one joins the line in time, and leaves it when the clock was set to before that, or it
would hold up those behind it.
"""

TAKE_DELIVERIES = """
local taken = {}
for _, range in ipairs({{'-inf', ARGV[1]}, {ARGV[5], '+inf'}}) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], range[1], range[2], 'LIMIT', 0, ARGV[2] - #taken)) do
        local key = ARGV[4] .. id
        redis.call('ZADD', KEYS[1], ARGV[3], id)
        local tries = redis.call('HINCRBY', key, 'attempts', 1)
        local job, url, body = unpack(redis.call('HMGET', key, 'job_id', 'url', 'body'))
        taken[#taken + 1] = {id, job, url, body, tostring(tries)}
    end
end
return taken
"""
"""KEYS: due. ARGV: now, limit, held until, prefix of delivery keys, '(' and the latest moment that one may wait for."""

_RANK_STEP = 2**50
Command = list[str]


class RedisKeys:
    """Names under one prefix, so that several services can share a Redis."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.order = f"{prefix}order"
        self.counts = f"{prefix}counts"
        self.waiting = f"{prefix}waiting"
        self.delayed = f"{prefix}delayed"
        self.leased = f"{prefix}leased"
        self.finished = f"{prefix}finished"
        self.extra_places = f"{prefix}extra-places"
        self.waited_for = f"{prefix}waited-for"
        self.blobs = f"{prefix}blobs"
        self.garbage = f"{prefix}garbage"
        self.due = f"{prefix}deliveries"
        self.changed = f"{prefix}changed"
        self.workers = f"{prefix}workers"
        self.ticket_turn = f"{prefix}ticket-turn"
        self.job_prefix = f"{prefix}job:"
        self.delivery_prefix = f"{prefix}delivery:"

    def job(self, job_id: str) -> str:
        """Hash: version, document, rank."""
        return f"{self.job_prefix}{job_id}"

    def events(self, job_id: str, type: str) -> str:
        """Sorted set by sequence."""
        return f"{self.prefix}events:{type}:{job_id}"

    def owner(self, owner: str, status: JobStatus | None) -> str:
        """Sorted set of job ids by order."""
        return f"{self.prefix}owner:{status.value if status else '*'}:{owner}"

    def accepted(self, job: Job) -> str:
        """The job id that an idempotency key stands for; '' without a key."""
        return "" if job.idempotency_key is None else f"{self.prefix}accepted:{_digest(job.owner, job.idempotency_key)}"

    def session(self, owner: str, session: str) -> str:
        """Sorted set by order: the ids of its jobs that have not ended."""
        return f"{self.prefix}session:{_digest(owner, session)}"


def rank(record: Record) -> int:
    """Interactive first, then first in, first out; exact as a double for 2^50 jobs."""
    return int(record.job.priority) * _RANK_STEP + record.order


def ranks(priority: Priority) -> tuple[int, int]:
    """The least and the greatest rank that a job of this priority can have."""
    return int(priority) * _RANK_STEP, (int(priority) + 1) * _RANK_STEP - 1


def commands(
    keys: RedisKeys, old: Record | None, change: Change, *, version: str, now: float, wait_lease_s: float
) -> list[Command]:
    """What `COMMIT` executes to write a change that was computed from `old` (None for a new job).

    Without a sign from who waits for it an interactive job is kept for `wait_lease_s`.
    """
    record, job = change.record, change.record.job
    out: list[list[object]] = [
        ["HSET", keys.job(job.id), "version", version, "document", dump_record(record), "rank", rank(record)]
    ]
    if old is None:
        out += _admission(keys, record, now + wait_lease_s)
    if old is None or old.job.status is not job.status:
        out += _move(keys, old, record, now)
    elif job.status is JobStatus.PROCESSING:
        out.append(["ZADD", keys.leased, record.lease_until, job.id])
    if old is not None and job.checkpoint != old.job.checkpoint and job.checkpoint is not None:
        known = old.job.working_keys
        out += [["HSET", keys.blobs, key, job.id] for key in job.checkpoint.blob_keys if key not in known]
    for event in change.events:
        out += _event(keys, event)
    out += [["SADD", keys.garbage, key] for key in change.garbage]
    if (owed := change.delivery) is not None:
        fields = ["job_id", owed.job_id, "url", owed.url, "body", owed.body, "attempts", owed.attempts]
        out += [["HSET", f"{keys.delivery_prefix}{owed.id}", *fields], ["ZADD", keys.due, AT_ONCE, owed.id]]
    out.append(["PUBLISH", keys.changed, job.id])
    return [_text(command) for command in out]


def drop_commands(keys: RedisKeys, record: Record) -> list[Command]:
    """What `COMMIT` executes to forget a job."""
    job = record.job
    out: list[list[object]] = [
        ["DEL", keys.job(job.id), *(keys.events(job.id, type) for type in ("status", "progress", "preview"))],
        ["ZREM", keys.finished, job.id],
        ["ZREM", keys.owner(job.owner, None), job.id],
        ["ZREM", keys.owner(job.owner, job.status), job.id],
        ["HINCRBY", keys.counts, job.status.value, -1],
        ["PUBLISH", keys.changed, job.id],
    ]
    if accepted := keys.accepted(job):
        out.append(["DEL", accepted])
    for key in lifecycle.result_keys(job):
        out += [["HDEL", keys.blobs, key], ["SADD", keys.garbage, key]]
    return [_text(command) for command in out]


def _admission(keys: RedisKeys, record: Record, waited_until: float) -> Iterator[list[object]]:
    job = record.job
    yield ["ZADD", keys.owner(job.owner, None), record.order, job.id]
    if accepted := keys.accepted(job):
        yield ["SET", accepted, job.id]
    if job.session is not None:
        yield ["ZADD", keys.session(job.owner, job.session), record.order, job.id]
    if job.priority is Priority.INTERACTIVE:
        yield ["ZADD", keys.waited_for, waited_until, job.id]
    for key in job.payload.blob_keys:
        yield ["HSET", keys.blobs, key, job.id]


def _move(keys: RedisKeys, old: Record | None, record: Record, now: float) -> Iterator[list[object]]:
    job = record.job
    extra = job.places - 1
    if extra and JobStatus.PENDING in (job.status, None if old is None else old.job.status):
        yield ["INCRBY", keys.extra_places, extra if job.status is JobStatus.PENDING else -extra]
    if old is not None:
        for line in (keys.waiting, keys.delayed, keys.leased):
            yield ["ZREM", line, job.id]
        yield ["ZREM", keys.owner(job.owner, old.job.status), job.id]
        yield ["HINCRBY", keys.counts, old.job.status.value, -1]
    yield ["ZADD", keys.owner(job.owner, job.status), record.order, job.id]
    yield ["HINCRBY", keys.counts, job.status.value, 1]
    if job.status is JobStatus.PENDING:
        delayed = not lifecycle.due(record.not_before, now)
        yield ["ZADD", keys.delayed, record.not_before, job.id] if delayed else [
            "ZADD", keys.waiting, rank(record), job.id,
        ]  # fmt: skip
    elif job.status is JobStatus.PROCESSING:
        yield ["ZADD", keys.leased, record.lease_until, job.id]
    else:
        yield ["ZADD", keys.finished, now, job.id]
        yield ["ZREM", keys.waited_for, job.id]
        if job.session is not None:
            yield ["ZREM", keys.session(job.owner, job.session), job.id]
        for key in job.working_keys:
            yield ["HDEL", keys.blobs, key]
        for key in lifecycle.result_keys(job):
            yield ["HSET", keys.blobs, key, job.id]


def _event(keys: RedisKeys, event: JobEvent) -> Iterator[list[object]]:
    key = keys.events(event.job_id, event.type)
    if event.type == "preview":
        yield ["DEL", key]
    horizon = event.sequence - lifecycle.MAX_PROGRESS_EVENTS
    if horizon > 0:
        yield ["ZREMRANGEBYSCORE", keys.events(event.job_id, "progress"), "-inf", horizon]
    yield ["ZADD", key, event.sequence, f"{event.sequence}:{dump_event_data(event)}"]


def _digest(*names: str) -> str:
    """Of names that callers choose, for a key of bounded length."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _text(command: Sequence[object]) -> Command:
    return [repr(part) if isinstance(part, float) else str(part) for part in command]
