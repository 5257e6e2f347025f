"""Which worker runs which file, and in which order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from tests.distribution import SHARED, LongestFirst, group_of, rank_of, unlisted

ROOT = Path(__file__).parents[2]
COLLECTED = (
    "clients/python/tests/test_batch.py::test_a",
    *(f"tests/unit/api/test_many.py::test_{number}" for number in range(50)),
    "tests/integration/jobs/test_celery_queue.py::test_a",
    "tests/e2e/page/test_keys.py::test_a",
    "tests/e2e/test_start.py::test_a",
    "tests/e2e/test_edits.py::test_a",
    "tests/e2e/black_box/test_configured.py::test_a",
    "tests/e2e/black_box/test_jobs.py::test_a",
    "tests/e2e/test_edits.py::test_b",
)


class Worker:
    """Keeps what it is given to run."""

    shutting_down = False

    def __init__(self):
        self.given = []

    def send_runtest_some(self, indices):
        self.given.append(indices)

    def shutdown(self):
        self.shutting_down = True


def test_files_of_one_server_come_together_and_those_of_milliseconds_last():
    option = SimpleNamespace(loadscopereorder=True, tx=["popen"])
    scheduler, worker = (
        LongestFirst(SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name))),
        Worker(),
    )
    scheduler.add_node(worker)
    scheduler.add_node_collection(worker, list(COLLECTED))
    scheduler.schedule()
    ran = 0
    while ran < len(worker.given):
        for index in worker.given[ran]:
            scheduler.mark_test_complete(worker, index)
        ran += 1
    files = [sorted({COLLECTED[index].partition("::")[0] for index in unit}) for unit in worker.given]
    assert files == [
        ["tests/e2e/black_box/test_jobs.py", "tests/e2e/test_edits.py"],
        ["tests/e2e/black_box/test_configured.py", "tests/e2e/page/test_keys.py"],
        ["tests/e2e/test_start.py"],
        ["tests/integration/jobs/test_celery_queue.py"],
        ["tests/unit/api/test_many.py"],
        ["clients/python/tests/test_batch.py"],
    ]
    assert worker.shutting_down


def test_files_are_listed_that_exist():
    assert [file for files in SHARED.values() for file in files if not (ROOT / file).is_file()] == []


def test_a_file_belongs_to_the_server_that_it_uses_else_to_itself():
    assert group_of("tests/e2e/test_mcp.py") == "service_url"
    assert group_of("tests/e2e/test_start.py") == "tests/e2e/test_start.py"


def test_a_file_that_uses_a_shared_server_without_being_listed_is_found():
    assert unlisted("tests/e2e/test_new.py", ["tmp_path", "service_url"]) == ["service_url"]
    assert unlisted("tests/e2e/test_mcp.py", ["service_url"]) == []
    assert unlisted("tests/e2e/test_mcp.py", ["service_url", "keyed_url"]) == ["keyed_url"]


def test_what_takes_longest_begins_first():
    found = ["tests/unit/a.py", "tests/e2e/test_start.py", "keyed_url", "tests/integration/a.py", "service_url"]
    assert sorted(found, key=rank_of) == [
        *("service_url", "keyed_url", "tests/e2e/test_start.py", "tests/integration/a.py", "tests/unit/a.py"),
    ]
