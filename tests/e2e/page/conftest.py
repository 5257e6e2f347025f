"""The page in a real Chromium, against a real service with the demo models; skipped where there is no browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
AXE = Path(__file__).parents[3] / "page" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """async () => (await axe.run()).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(" ")}`)"""
"""What axe finds that is."""
WAIT_MS = 180_000
"""An edit takes seconds; a machine that runs all the other tests beside it may take its time."""
SEED = 7
"""Of every edit whose result is looked at: with a seed of the service's own choice, what is painted is a lottery."""
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const moved = entry.sources.map((source) => source.node?.className ?? source.node?.nodeName);
    if (!entry.hadRecentInput) window.shifts.push({ value: entry.value, moved });
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    return CHROMIUM


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Any]:
    """Of one file: as long as it is open its event loop runs, and no other file's tests could run one of their own."""
    driver = pytest.importorskip("playwright.sync_api", reason="there is no playwright: pip install playwright")
    with driver.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def demo_url(chromium, demo_url) -> str:
    """Not started in vain where there is no browser."""
    return demo_url


@pytest.fixture(scope="session")
def keyed_url(chromium, keyed_url) -> str:
    return keyed_url


@dataclass
class Visit:
    """A person with a browser of their own: an empty profile, and an eye on what the page asks for and complains of."""

    page: Any
    url: str
    asked: list[Any] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was posted to a path of the API, in order."""
        return [
            request.post_data_json
            for request in self.asked
            if request.method == "POST" and urlsplit(request.url).path == f"/api/v1/{path}"
        ]

    def open(self) -> None:
        self.page.goto(self.url)
        self.page.locator(".service[data-state=ready]").wait_for()

    def take(self, example: str) -> None:
        """Click an example, wait until the decision about it is there, and fix the seed."""
        self.page.get_by_role("button", name=example).click()
        self.decided()
        self.set_number("Seed", str(SEED))

    def decided(self) -> None:
        self.page.locator(".decision[aria-busy=false] dl").first.wait_for()

    def edit(self) -> None:
        self.page.get_by_role("button", name="Edit the photo").click()

    def result(self) -> bytes:
        """The file that the person downloads, once it is there; of an edit that comes out alike every time."""
        with self.page.expect_download(timeout=WAIT_MS) as download:
            self.page.get_by_role("link", name="Download").click(timeout=WAIT_MS)
        assert "seed" in self.bodies("generate/async")[-1]["config"], "what is painted would depend on luck"
        return Path(download.value.path()).read_bytes()

    def open_settings(self) -> None:
        if not self.page.get_by_label("Seed").is_visible():
            self.page.locator("summary").filter(has_text="Settings").click()
            self.page.get_by_label("Seed").wait_for()

    def set_number(self, name: str, value: str) -> None:
        self.open_settings()
        self.page.get_by_label(name).fill(value)
        self.page.get_by_label(name).blur()

    def serious(self) -> list[str]:
        """What axe finds that is serious; where it is not installed, nothing was looked for."""
        if not AXE.is_file():
            return []
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.page.evaluate(SERIOUS)
        return found

    def foreign(self) -> list[str]:
        """What was asked of anybody else."""
        urls = (urlsplit(request.url) for request in self.asked)
        own = urlsplit(self.url).netloc
        return [url.geturl() for url in urls if url.scheme in ("http", "https") and url.netloc != own]


@pytest.fixture
def visits(browser) -> Iterator[Any]:
    """Opens visits; at the end none of them has asked a foreign host, broken the policy or thrown an error."""
    opened: list[Visit] = []

    def start(url: str, **options: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1360, "height": 860}, **options})
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(WATCH_SHIFTS)
        visit = Visit(page=context.new_page(), url=url)
        visit.page.on("request", lambda request: visit.asked.append(request))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", lambda said: said.type == "error" and visit.complaints.append(said.text))
        opened.append(visit)
        return visit

    yield start
    for visit in opened:
        visit.page.unroute_all(behavior="ignoreErrors")  # one that the page is asking just now answers nobody
        visit.page.context.close()
    assert [visit.foreign() for visit in opened if visit.foreign()] == []
    # A browser reports every answer of 400 and more by itself.
    assert [c for visit in opened for c in visit.complaints if "Failed to load resource" not in c] == []


@pytest.fixture
def visit(visits, demo_url) -> Visit:
    started = visits(demo_url)
    started.open()
    return started
