"""Which worker runs which test files, in which order: `pytest -n 2 --dist loadfile`.

A served instance takes half a minute of a processor to start. Files that use one of the shared ones, of
tests/e2e/conftest.py, go to one worker together, so that it is started once. What takes longest begins first: at the
end there are files of milliseconds, and no worker stands idle while another has minutes to go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from xdist.scheduler import LoadFileScheduling

E2E = "tests/e2e"
SHARED: Mapping[str, Collection[str]] = {
    "demo_url": (
        f"{E2E}/page/test_clips.py",
        f"{E2E}/page/test_editing.py",
        f"{E2E}/page/test_for_everybody.py",
        f"{E2E}/page/test_several_edits.py",
        f"{E2E}/page/test_views.py",
        f"{E2E}/test_demo_profile.py",
    ),
    "keyed_url": (
        f"{E2E}/black_box/test_configured.py",
        f"{E2E}/page/test_keys.py",
        f"{E2E}/test_client_keys.py",
    ),
    "service_url": (
        f"{E2E}/black_box/test_delivery.py",
        f"{E2E}/black_box/test_jobs.py",
        f"{E2E}/black_box/test_request_table.py",
        f"{E2E}/black_box/test_status_codes.py",
        f"{E2E}/page/test_every_way.py",
        f"{E2E}/page/test_loras.py",
        f"{E2E}/test_client.py",
        f"{E2E}/test_documentation.py",
        f"{E2E}/test_documented_commands.py",
        f"{E2E}/test_edits.py",
        f"{E2E}/test_examples.py",
        f"{E2E}/test_loras.py",
        f"{E2E}/test_mcp.py",
        f"{E2E}/test_observability.py",
        f"{E2E}/test_peers.py",
        f"{E2E}/test_readme.py",
        f"{E2E}/test_schema_attack.py",
        f"{E2E}/test_video.py",
        f"{E2E}/test_views.py",
        f"{E2E}/test_ways_in.py",
    ),
}
"""The shared servers' fixtures, with the files that use each."""
LONGEST_FIRST = ("service_url", "demo_url", "keyed_url", f"{E2E}/", "tests/integration/", "")
"""What a group or a file begins with."""
_GROUPS = {file: fixture for fixture, files in SHARED.items() for file in files}


def group_of(file: str) -> str:
    """What a file is kept together with: a shared server, else nothing but itself."""
    return _GROUPS.get(file, file)


def rank_of(group: str) -> int:
    """Place in the order; the lowest is begun first."""
    return next(rank for rank, beginning in enumerate(LONGEST_FIRST) if group.startswith(beginning))


def unlisted(file: str, fixtures: Collection[str]) -> list[str]:
    """The shared servers that a file uses without being listed there."""
    return [fixture for fixture in SHARED if fixture in fixtures and group_of(file) != fixture]


class LongestFirst(LoadFileScheduling):
    """Files of a group to one worker, groups by their rank."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(super()._split_scope(nodeid))

    def _assign_work_unit(self, node) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=rank_of), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Takes the place of xdist's own distribution by file."""
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None
