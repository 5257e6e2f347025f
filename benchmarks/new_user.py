"""A new user's path, timed, every click and key counted: clone, `make demo`, serve, open the page, edit an own photo.

Usage: python -m benchmarks.new_user [--venv PATH] [--keep-models] [--port N] [--out out]; needs Chromium.

What is cloned is what is committed. Without --venv the clone installs its own environment, as on a bare machine, and
without --keep-models it imports its own models. Times are of this machine, and of what else runs on it: the load is
written beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import skimage.data
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.server import ROOT, family_of, free_port, kill_all

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SENTENCE = "make the cup blue"
READY_S, EDIT_MS = 600.0, 600_000
COUNTED = """
window.counted = { clicks: 0, keys: 0 };
const count = (what) => ({ isTrusted }) => { window.counted[what] += isTrusted ? 1 : 0; };
addEventListener("pointerdown", count("clicks"), true);
addEventListener("keydown", count("keys"), true);
"""
"""The browser itself counts, what a hand has done to it."""


@dataclass(kw_only=True)
class Stage:
    """One step of the path."""

    name: str
    seconds: float = 0.0
    commands: int = 0
    clicks: int = 0
    keys: int = 0


@dataclass
class Journey:
    """What is done, step by step."""

    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, *, commands: int = 0, page: Page | None = None) -> Iterator[None]:
        """Time a step; on a page its clicks and keys are counted."""
        stage = Stage(name=name, commands=commands)
        before = _counted(page)
        start = time.monotonic()
        yield
        stage.seconds = round(time.monotonic() - start, 1)
        after = _counted(page)
        stage.clicks, stage.keys = (after[key] - before[key] for key in ("clicks", "keys"))
        self.stages.append(stage)
        print(f"{stage.name:<34} {stage.seconds:>8.1f} s", flush=True)


def _counted(page: Page | None) -> dict[str, int]:
    counted: dict[str, int] = {"clicks": 0, "keys": 0} if page is None else page.evaluate("() => window.counted")
    return counted


def follow(path: Journey, home: Path, *, venv: Path | None, models: Path | None, port: int, chromium: str) -> bytes:
    """Everything from the clone to the downloaded file; that file's bytes."""
    checkout = home / "image-composition"
    with path.stage("clone", commands=1):
        _run(["git", "clone", "--quiet", f"file://{ROOT}", str(checkout)], home)
    make = _make(venv, port)
    environment = {**os.environ, "BENTOML_HOME": str(models or checkout / ".bentoml")}
    environment.pop("PYTHONPATH", None)
    with path.stage("make demo, to its end", commands=1):
        _run([*make, "demo"], checkout, environment)
    assert (checkout / "out" / "index.html").is_file()
    with _served([*make, "serve"], checkout, environment) as server:
        with path.stage("make serve, until it is ready", commands=1):
            _wait_until_ready(server, port)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
            try:
                return _at_the_page(path, browser.new_page(), home, f"http://127.0.0.1:{port}/")
            finally:
                browser.close()


def _at_the_page(path: Journey, page: Page, home: Path, url: str) -> bytes:
    page.set_default_timeout(EDIT_MS)
    page.add_init_script(COUNTED)
    photo = home / "cup.jpg"
    Image.fromarray(skimage.data.coffee()).save(photo, quality=92)
    with path.stage("open the page, until it says Ready"):
        page.goto(url)
        page.locator(".service[data-state=ready]").wait_for()
    with path.stage("choose the own photo", page=page):
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Choose a photo", exact=True).click()
        chooser.value.set_files(photo)
        page.locator(".surface").wait_for()
    with path.stage("type the sentence, until the decision", page=page):
        page.get_by_label("What should change?").click()
        page.keyboard.type(SENTENCE)
        page.locator(".decision[aria-busy=false] dl").first.wait_for()
    with path.stage("Enter, until the result", page=page):
        page.keyboard.press("Enter")
        page.locator(".comparison").wait_for()
    with path.stage("download", page=page):
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        return Path(download.value.path()).read_bytes()


def _make(venv: Path | None, port: int) -> list[str]:
    command = ["make", "--silent", f"PORT={port}"]
    # What is given is taken as it is: it belongs to another checkout, and is not to be installed into.
    return command if venv is None else [*command, f"VENV={venv}", "-o", f"{venv}/.ready"]


def _run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def _served(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield server
        finally:
            kill_all(family_of(server))
            server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError("make serve did not become ready")


def print_table(path: Journey) -> None:
    """Seconds, commands, clicks and keys, stage by stage, and all together."""
    print(f"\n{'stage':<38} {'seconds':>8} {'commands':>9} {'clicks':>7} {'keys':>5}")
    total = Stage(
        name="together",
        seconds=sum(stage.seconds for stage in path.stages),
        commands=sum(stage.commands for stage in path.stages),
        clicks=sum(stage.clicks for stage in path.stages),
        keys=sum(stage.keys for stage in path.stages),
    )
    for stage in (*path.stages, total):
        print(f"{stage.name:<38} {stage.seconds:>8.1f} {stage.commands:>9} {stage.clicks:>7} {stage.keys:>5}")


def main(arguments: list[str] | None = None) -> int:
    """Go the path once; the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, help="an environment that is there already, instead of a new one")
    parser.add_argument("--keep-models", action="store_true", help="this checkout's model store, instead of a new one")
    parser.add_argument("--port", type=int, default=0, help="a free one, if none is given")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        parser.error("there is no chromium: apt-get install chromium")
    models = Path(os.environ.get("BENTOML_HOME", ROOT / ".bentoml")).absolute() if options.keep_models else None
    path, load = Journey(), [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="new-user-") as home:
        edited = follow(
            path,
            Path(home),
            venv=options.venv and options.venv.absolute(),
            models=models,
            port=options.port or free_port(),
            chromium=chromium,
        )
    load.append(os.getloadavg()[0])
    print_table(path)
    cores = psutil.cpu_count()
    print(f"\n{len(edited)} bytes downloaded; {cores} cores, load {load[0]:.1f} before and {load[1]:.1f} after")
    report: dict[str, Any] = {"stages": [asdict(stage) for stage in path.stages], "cores": cores, "load": load}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "new_user.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
