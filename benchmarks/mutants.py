"""Plants random mutants in the product and counts those that no test notices.

    python -m benchmarks.mutants                 400 mutants; out/mutants.json, a table of the survivors
    python -m benchmarks.mutants --count 24      fewer
    python -m benchmarks.mutants --only api      of one package or file
    python -m benchmarks.mutants --known         only what earlier runs have found, also of one that was stopped

A trace of the unit tests and of the jobs' integration tests says which tests run which line. A mutant is judged by
these, those nearest to it first, until one fails or the time is up, and then by the other unit tests of its package; a
line that no test runs is judged by the tests that import its module. Both happen in scratch copies of the working tree.
Modules that need torch are left out.

Results are kept as they come and taken up again, as long as the product's source stays as it is; survivors are judged
anew when the tests have changed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.mutation import Mutant, mutants_of

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out"
PACKAGES = ("composition", "jobs", "api", "runners")
TRACED = ("tests/unit", "tests/integration/jobs")
UNTRACED = (
    "tests/integration/jobs/test_nothing_is_lost.py",
    "tests/unit/benchmarks",
    "tests/unit/demo_models",
    "tests/unit/models_store",
)
FRAMEWORKS = frozenset({"torch", "diffusers", "transformers", "onnxruntime"})
"""What needs one of these is tested on real networks, for minutes: it is left out, as are BentoML's services."""
OF_CHILD_PROCESSES = {"jobs/": "tests/integration/jobs/test_celery_queue.py"}
"""What judges a line that no test runs in its own process."""
MOST_SURVIVING = 0.15
START_S = 60.0
TESTS_S = 120.0
SLOWDOWN = 6.0


@dataclass(frozen=True, kw_only=True)
class Test:
    """What the trace knows of one test."""

    name: str
    seconds: float
    lines: Mapping[str, frozenset[int]]

    @property
    def file(self) -> str:
        return self.name.partition("::")[0]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one mutant: killed, survived, or timed out, which counts as killed."""

    fate: str
    by: str
    tests: int
    seconds: float


class Trace:
    """Which tests run which lines; kept in `out/`, each file of tests traced anew when it changes."""

    def __init__(self, tests: Sequence[Test]) -> None:
        self._tests = tests
        self._imports = {file: _imported(ROOT / file) for file in {test.file for test in tests}}

    def near(self, mutant: Mutant) -> list[Test]:
        """The tests that can notice it, nearest first."""
        if mutant.module_level:
            able = [test for test in self._tests if mutant.file in test.lines or self._imports_it(test, mutant)]
        else:
            able = [test for test in self._tests if mutant.line in test.lines.get(mutant.file, ())]
            able = able or [test for test in self._tests if self._elsewhere(test, mutant)]
        return self._nearest_first(able, mutant)

    def others(self, mutant: Mutant, near: Sequence[Test]) -> list[Test]:
        """The other unit tests of its package: they may see what a constant, a declaration or a cache brings them."""
        known, folder = {test.name for test in near}, f"tests/unit/{mutant.file.partition('/')[0]}/"
        able = [test for test in self._tests if test.file.startswith(folder) and test.name not in known]
        return self._nearest_first(able, mutant)

    def _nearest_first(self, able: list[Test], mutant: Mutant) -> list[Test]:
        """As many as the time allows."""
        module = Path(mutant.file)
        place = {test.file: self._distance(test, module) for test in able}
        able.sort(key=lambda test: (*place[test.file], test.file))
        chosen: list[Test] = []
        seconds = 0.0
        for test in able:
            seconds += test.seconds
            if chosen and seconds > TESTS_S:
                break
            chosen.append(test)
        return chosen

    def _elsewhere(self, test: Test, mutant: Mutant) -> bool:
        children = any(mutant.file.startswith(k) and test.file == file for k, file in OF_CHILD_PROCESSES.items())
        return children or self._imports_it(test, mutant)

    def _imports_it(self, test: Test, mutant: Mutant) -> bool:
        module = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return module in self._imports[test.file]

    def _distance(self, test: Test, module: Path) -> tuple[int, bool]:
        mirrored = f"{module.parent}/test_{module.name}"
        if test.file.endswith(mirrored):
            return 0, False
        far = 0 if f"/{module.parent}/" in test.file else 1 if f"/{module.parts[0]}/" in test.file else 2
        return 1 + far, "integration" in test.file


def _imported(file: Path) -> frozenset[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(names)


class Copy:
    """A scratch copy of the working tree, in which one mutant at a time lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for file in _tracked():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target)
        self._written = time.time()

    def trace(self, test_files: Sequence[str]) -> dict[str, Any]:
        """Run these files of tests; what each test did."""
        found = self._folder / "trace.json"
        self._pytest([*test_files], {"MUTANTS_TRACE": str(found)}, limit_s=3600)
        return dict(json.loads(found.read_text()))

    def judge(self, mutant: Mutant, tests: Sequence[Test]) -> Verdict:
        """Run the tests against the mutant until one fails."""
        if not tests:
            return Verdict(fate="survived", by="no test runs it", tests=0, seconds=0)
        chosen = self._folder / "chosen.txt"
        chosen.write_text("\n".join(test.name for test in tests))
        files = list(dict.fromkeys(test.file for test in tests))
        limit_s = START_S + SLOWDOWN * sum(test.seconds for test in tests)
        source = (ROOT / mutant.file).read_bytes()
        started = time.monotonic()
        try:
            self._write(mutant.file, mutant.of(source))
            status, output = self._pytest(["-x", *files], {"MUTANTS_TESTS": str(chosen)}, limit_s=limit_s)
        finally:
            self._write(mutant.file, source)
        seconds = round(time.monotonic() - started, 1)
        if status is None:
            return Verdict(fate="timed out", by=f"{limit_s:.0f} s", tests=len(tests), seconds=seconds)
        fate = "survived" if status in (0, 5) else "killed"
        return Verdict(fate=fate, by=_failed(output) if fate == "killed" else "", tests=len(tests), seconds=seconds)

    def _write(self, file: str, source: bytes) -> None:
        """With a time of change of its own: compiled files go by it, in whole seconds."""
        self._written += 2
        (self._folder / file).write_bytes(source)
        os.utime(self._folder / file, (self._written, self._written))

    def _pytest(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, limit_s: float
    ) -> tuple[int | None, str]:
        command = ["nice", "-n", "5", sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"]
        process = subprocess.Popen(
            [*command, "-p", "benchmarks.mutants_tracing", *arguments],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            _end_session(process)
        return process.returncode, output


def _end_session(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failed(output: str) -> str:
    """The first test that failed, or why none was run."""
    lines = output.splitlines()
    named = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return (named or lines[-1:] or [""])[0].partition(" - ")[0][:200]


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [file for file in listed if (ROOT / file).is_file()]


def _digest(files: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.encode() + b"\0" + (ROOT / file).read_bytes())
    return digest.hexdigest()[:16]


def _product() -> list[str]:
    return [file for file in _tracked() if file.startswith(tuple(f"{p}/" for p in PACKAGES)) and file.endswith(".py")]


def _needs_models(file: str) -> bool:
    frameworks = {name.partition(".")[0] for name in _imported(ROOT / file)} & FRAMEWORKS
    return bool(frameworks) or Path(file).name == "service.py"


def _test_files() -> list[str]:
    return [
        file
        for file in _tracked()
        if file.startswith(TRACED) and not file.startswith(UNTRACED) and Path(file).name.startswith("test_")
    ]


def _traced(copy: Copy, product: str) -> Trace:
    """The kept trace, with what has changed since traced anew. A test that fails without any mutant judges nothing."""
    kept_in = OUT / "mutants_trace.json"
    kept = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    if kept.get("product") != product:
        kept = {"product": product, "files": {}}
    digests = {file: _digest([file]) for file in _test_files()}
    known = {file: entry for file, entry in kept["files"].items() if entry["digest"] == digests.get(file)}
    stale = [file for file in digests if file not in known]
    if stale:
        print(f"tracing {len(stale)} files of tests", flush=True)
        known |= {file: {"digest": digests[file], "tests": {}} for file in stale}
        for name, test in copy.trace(stale).items():
            known[name.partition("::")[0]]["tests"][name] = test
        kept_in.write_text(json.dumps({"product": product, "files": known}))
    tests, failing = [], []
    for entry in known.values():
        for name, test in entry["tests"].items():
            lines = {file: frozenset(numbers) for file, numbers in test["lines"].items()}
            tests.append(Test(name=name, seconds=test["seconds"], lines=lines))
            if not test["passed"]:
                failing.append(tests.pop().name)
    print(f"{len(tests)} tests; {len(failing)} fail unmutated and are left out: {failing[:5]}", flush=True)
    return Trace(tests)


def _sample(count: int, seed: int, only: str) -> list[Mutant]:
    every = [
        mutant
        for file in _product()
        if file.startswith(only) and not _needs_models(file)
        for mutant in mutants_of(file, (ROOT / file).read_text())
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def _judge_all(mutants: Sequence[Mutant], options: argparse.Namespace) -> dict[str, Verdict]:
    product, tests = _digest(_product()), _digest(file for file in _tracked() if file.startswith("tests/"))
    kept_in = OUT / "mutants.jsonl"
    verdicts = _taken_up(kept_in, product, None if options.known else tests)
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in mutants:
        if mutant.key not in verdicts:
            waiting.put(mutant)
    print(f"{len(mutants)} mutants, {len(mutants) - waiting.qsize()} known", flush=True)
    if options.known or waiting.empty():
        return verdicts
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch, kept_in.open("a") as kept:
        trace = _traced(Copy(Path(scratch) / "trace"), product)

        def work(number: int) -> None:
            copy = Copy(Path(scratch) / f"worker-{number}")
            while True:
                try:
                    mutant = waiting.get_nowait()
                except queue.Empty:
                    return
                near = trace.near(mutant)
                verdict = copy.judge(mutant, near)
                if verdict.fate == "survived":
                    verdict = copy.judge(mutant, trace.others(mutant, near))
                with lock:
                    verdicts[mutant.key] = verdict
                    entry = {"key": mutant.key, "product": product, "tests_digest": tests, **asdict(verdict)}
                    kept.write(json.dumps(entry) + "\n")
                    kept.flush()
                    print(f"{verdict.fate:9} {mutant.file}:{mutant.line} {mutant.operator}", flush=True)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(options.workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return verdicts


def _taken_up(kept_in: Path, product: str, tests: str | None) -> dict[str, Verdict]:
    """Earlier verdicts on this source that still hold: a survivor's only for the same tests; None: any tests."""
    verdicts: dict[str, Verdict] = {}
    for line in kept_in.read_text().splitlines() if kept_in.exists() else []:
        entry = json.loads(line)
        key, of, judged_by = entry.pop("key"), entry.pop("product"), entry.pop("tests_digest")
        if of == product and (tests in (None, judged_by) or entry["fate"] != "survived"):
            verdicts[key] = Verdict(**entry)
    return verdicts


def _report(mutants: Sequence[Mutant], verdicts: Mapping[str, Verdict]) -> bool:
    fates = Counter(verdicts[mutant.key].fate for mutant in mutants)
    survivors = [mutant for mutant in mutants if verdicts[mutant.key].fate == "survived"]
    by_package: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        by_package[mutant.file.partition("/")[0]][verdicts[mutant.key].fate] += 1
    listed = [{**asdict(mutant), **asdict(verdicts[mutant.key])} for mutant in mutants]
    survived = len(survivors) / max(1, len(mutants))
    (OUT / "mutants.json").write_text(json.dumps({"survived": round(survived, 4), "mutants": listed}, indent=1))
    for mutant in sorted(survivors, key=lambda mutant: (mutant.file, mutant.line)):
        before, after = (" ".join(text.split()) for text in (mutant.before, mutant.after))
        print(f"{mutant.file}:{mutant.line:<4} {mutant.operator:17} {before[:60]}  ->  {after[:60] or 'nothing'}")
    for package, counts in sorted(by_package.items()):
        print(f"{package:12} {dict(counts)}")
    print(f"{len(survivors)} of {len(mutants)} survived ({survived:.1%}): {dict(fates)}")
    return survived <= MOST_SURVIVING


def main() -> int:
    """Exit status 0 when few enough survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--known", action="store_true", help="judge nothing, show what is known")
    parser.add_argument("--only", default="", help="a package, a folder or a file")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    mutants = _sample(options.count, options.seed, options.only)
    verdicts = _judge_all(mutants, options)
    return 0 if _report([mutant for mutant in mutants if mutant.key in verdicts], verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
