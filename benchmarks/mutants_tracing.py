"""A pytest plugin for `mutants`: which test runs which lines, and which tests are to run.

`MUTANTS_TRACE=path` writes `{test: {"seconds": s, "passed": bool, "lines": {file: [line]}}}` there;
`MUTANTS_TESTS=path` keeps of what was collected the tests named in that file, one a line.
"""

import json
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(f"{ROOT / package}{os.sep}" for package in ("composition", "jobs", "api", "runners"))

Lines = dict[str, set[int]]


def pytest_configure(config: pytest.Config) -> None:
    if path := os.environ.get("MUTANTS_TRACE"):
        config.pluginmanager.register(_Tracing(Path(path)))
    if path := os.environ.get("MUTANTS_TESTS"):
        config.pluginmanager.register(_Selection(set(Path(path).read_text().splitlines())))


class _Selection:
    def __init__(self, tests: set[str]) -> None:
        self._tests = tests

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._tests]


class _Tracing:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: Lines = defaultdict(set)
        self._of_fixture: dict[str, Lines] = {}
        self._files: dict[CodeType, str | None] = {}
        self._tests: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """What a shared fixture runs belongs to each of the tests that use it."""
        if fixturedef.scope == "function":
            return (yield)
        outer, self._lines = self._lines, defaultdict(set)
        try:
            return (yield)
        finally:
            self._of_fixture[fixturedef.argname], self._lines = self._lines, outer

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._lines = defaultdict(set)
        self._tests[item.nodeid] = {"seconds": 0.0, "passed": True}
        threading.settrace(self._call)
        sys.settrace(self._call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            for fixture in getattr(item, "fixturenames", ()):
                for file, lines in self._of_fixture.get(fixture, {}).items():
                    self._lines[file] |= lines
            self._tests[item.nodeid]["lines"] = {file: sorted(lines) for file, lines in self._lines.items()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests[report.nodeid]
        test["seconds"] += report.duration
        test["passed"] = test["passed"] and not report.failed

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps(self._tests))

    def _call(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        code = frame.f_code
        if code not in self._files:
            name = code.co_filename
            self._files[code] = name.removeprefix(f"{ROOT}{os.sep}") if name.startswith(PACKAGES) else None
        file = self._files[code]
        # The body of a module or a class runs once, for whichever test comes first: it tells nothing.
        if file is None or not code.co_flags & 0x1:
            return None
        self._lines[file].add(frame.f_lineno)
        return self._line

    def _line(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        if event == "line" and (file := self._files[frame.f_code]):
            self._lines[file].add(frame.f_lineno)
        return self._line
