"""What the client of a chaos run saw: statuses, results, streams and webhooks, and what was wrong in them."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos_journal import DONE, Journal, Mark

RIGHT = frozenset({"pending", "processing", "completed"})


@dataclass
class Watched:
    """What was seen of one job."""

    number: int
    status: str = "pending"
    attempt: int = 0
    progress: float = 0.0
    result: dict[str, Any] | None = None

    @property
    def mark(self) -> Mark | None:
        """Of the attempt whose result is visible."""
        return mark_of(self.result)


@dataclass
class Account:
    """What the run has shown so far; `wrong` must stay empty."""

    jobs: dict[str, Watched] = field(default_factory=dict)
    kills: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    callbacks: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    in_vain: int = 0
    _announced: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def completed(self) -> int:
        """How many jobs were seen completed."""
        return sum(job.status == "completed" for job in self.jobs.values())

    def look(self, job_id: str, document: dict[str, Any]) -> None:
        """Compare a status answer with the one before."""
        job, status = self.jobs[job_id], document["status"]
        if status not in RIGHT:
            self.wrong.append(f"job {job.number} is {status}: {document.get('error')}")
            return
        if job.status == "completed" and status != "completed":
            self.wrong.append(f"job {job.number} went from completed to {status}")
        if document["attempt"] < job.attempt:
            self.wrong.append(f"job {job.number} went from attempt {job.attempt} to {document['attempt']}")
        same_attempt = document["attempt"] == job.attempt and status == job.status
        if same_attempt and document["progress"] < job.progress:
            self.wrong.append(f"job {job.number} fell from {job.progress} to {document['progress']}")
        if status == "completed":
            self._look_at_result(job_id, document)
        job.status, job.attempt, job.progress = status, document["attempt"], document["progress"]

    def _look_at_result(self, job_id: str, document: dict[str, Any]) -> None:
        job, result = self.jobs[job_id], document["result"]
        if job.result is not None:
            if result != job.result:
                self.wrong.append(f"job {job.number} has two results")
            return
        job.result, mark = result, mark_of(result)
        if mark is None:
            return
        if mark.job_id != job_id:
            self.wrong.append(f"job {job.number} shows the result of another job")
        if mark.attempt != document["attempt"]:
            self.wrong.append(
                f"job {job.number} was completed by attempt {document['attempt']} with the result of {mark.attempt}"
            )
        if not base64.b64decode(result["image"]).endswith(mark_bytes(mark)):
            self.wrong.append(f"job {job.number} has the account of one attempt and the image of another")

    def called_back(self, webhook_id: str, document: dict[str, Any], *, accepted: bool) -> None:
        """A webhook arrived; a repeat, also of a refused one, says the same under the same id."""
        data = document["data"]
        job_id = data["job_id"]
        if document["type"] != "job.completed":
            self.wrong.append(f"a webhook says {document['type']}")
        if self._announced.setdefault(job_id, document) != document:
            self.wrong.append(f"job {job_id} has webhooks that say different things")
        if accepted:
            self.callbacks[job_id].append(webhook_id)

    def streamed(self, job_id: str, data: list[dict[str, Any]]) -> None:
        """The whole event stream of an ended job."""
        job = self.jobs[job_id]
        ends = [entry for entry in data if entry.get("status") == "completed"]
        if len(ends) != 1:
            self.wrong.append(f"job {job.number} completed {len(ends)} times")
        elif job.mark is not None and ends[0]["attempt"] != job.mark.attempt:
            self.wrong.append(f"job {job.number}'s stream names attempt {ends[0]['attempt']}, not {job.mark.attempt}")

    def close(self, journal: Journal) -> None:
        """Compare what was visible with what the attempts wrote down and what the webhooks said."""
        for job_id, ids in self.callbacks.items():
            if len(set(ids)) != 1:
                self.wrong.append(f"job {job_id} has callbacks of {len(set(ids))} ids")
        for job_id, job in self.jobs.items():
            announced = self._announced.get(job_id)
            if job.mark is None:
                continue
            done = journal.marks(job_id, DONE)
            if job.mark not in done:
                self.wrong.append(f"job {job.number} shows the result of an attempt that did not finish")
            self.in_vain += len(done) - (job.mark in done)
            if announced is not None and mark_of(announced["data"]["result"]) != job.mark:
                self.wrong.append(
                    f"job {job.number}: the webhook tells of another attempt than the one that is visible"
                )

    def once(self, job_id: str) -> bool:
        """Whether a job has one result and one webhook."""
        job = self.jobs[job_id]
        return job.status == "completed" and job.result is not None and len(set(self.callbacks[job_id])) == 1


def mark_of(result: dict[str, Any] | None) -> Mark | None:
    """Of the attempt that a result, or a webhook's account of it, comes from."""
    return None if result is None else Mark.of(result["metadata"].get("mark"))


def mark_bytes(mark: Mark) -> bytes:
    """What an attempt's image ends with."""
    return json.dumps(mark.as_document()).encode()
