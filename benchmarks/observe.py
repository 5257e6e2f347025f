"""`make observe-test`: edits on a service of its own, Prometheus beside it, and every query that we ship is asked.

A panel without data, a rule that cannot be evaluated or a series in the log that names a prompt ends it with status 1.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml
from PIL import Image

from benchmarks.server import ROOT, Server, free_port

SHIPPED = ROOT / "deploy" / "observability"
SECRET = "zanzibar"  # noqa: S105  a word of every prompt, which no log line and no series may have
SCRAPE_S = 1
WINDOW = "5m"
PATIENCE_S = 60.0
GPU_ONLY = "composition_device_memory_bytes"


def queries() -> list[tuple[str, str]]:
    """Title and expression of everything that the dashboard asks."""
    dashboard = json.loads((SHIPPED / "dashboard.json").read_text(encoding="utf-8"))
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", WINDOW))
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]


def rules() -> list[tuple[str, str]]:
    """Name and expression of every alert."""
    groups = yaml.safe_load((SHIPPED / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def names_in(expression: str) -> set[str]:
    """The series that an expression reads."""
    return set(re.findall(r"\bcomposition_\w+", expression))


def photo() -> str:
    """Noise, base64: the models of the tiny profile know nothing anyway."""
    pixels = np.random.default_rng(1).integers(0, 256, (256, 320, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


class Receiver(BaseHTTPRequestHandler):
    """Takes callbacks."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def receiver() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/done"
    finally:
        server.shutdown()


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """The distribution's, scraping the target with our rules."""
    program = shutil.which("prometheus")
    if program is None:
        sys.exit("error: there is no prometheus on the PATH (Debian: the package prometheus)")
    config = yaml.safe_load((SHIPPED / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"}
    config["rule_files"] = [str(SHIPPED / "alerts.yaml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target.removeprefix("http://")]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    command = [program, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def work(url: str, callback: str) -> None:
    """Something of everything, twice, so that there are rates: edits of both pipelines, repeated, in the background."""
    base = {"base_image": photo(), "config": {"seed": 7, "num_inference_steps": 2}}
    forced = {**base["config"], "control_types": ["pose", "depth"]} if isinstance(base["config"], dict) else {}
    with httpx.Client(base_url=url, timeout=600) as client:
        for _ in range(2):
            answers = [
                client.post("/api/v1/generate", json={**base, "prompt": f"replace the mug with a {SECRET}"}),
                client.post("/api/v1/generate", json={**base, "prompt": f"a {SECRET} car", "config": forced}),
                client.post("/api/v1/analyze", json={**base, "prompt": f"blue {SECRET}"}),
                client.post("/api/v1/generate/async", json={**base, "prompt": SECRET, "callback_url": callback}),
            ]
            for answer in answers:
                answer.raise_for_status()
            status = answers[-1].json()["status_url"]
            while client.get(status).json()["status"] not in ("completed", "failed"):
                time.sleep(0.5)
            time.sleep(3 * SCRAPE_S)


def ask(url: str, expression: str) -> list[dict[str, Any]]:
    """The result vector; NaN alone is no data. Raises: RuntimeError: Prometheus refuses the expression."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=30).json()
    if answer["status"] != "success":
        raise RuntimeError(f"{expression}: {answer.get('error')}")
    return [one for one in answer["data"]["result"] if one["value"][1] != "NaN"]


def until_answered(url: str, expression: str) -> list[dict[str, Any]]:
    """Rates need two scrapes that differ, so not the first empty answer counts."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := ask(url, expression)) and time.monotonic() < deadline:
        time.sleep(SCRAPE_S)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="tiny")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "observe.json")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, traces = folder / "serve.log", folder / "traces.jsonl"
        environment = {
            "COMPOSITION_MODELS__PROFILE": asked.profile,
            "COMPOSITION_FETCH__ALLOW_PRIVATE": "true",
            "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": "600",
            "COMPOSITION_LOGGING__FORMAT": "json",
            "COMPOSITION_API__ACCESS_LOG": "true",
            "COMPOSITION_TRACING__FILE": str(traces),
            **{key: os.environ[key] for key in ("BENTOML_HOME",) if key in os.environ},
        }
        server = Server(port=free_port(), log=log, environment=environment)
        with server, receiver() as callback, prometheus(server.url, folder) as prom:
            server.wait_until_healthy(timeout_s=600)
            work(server.url, callback)
            gpu = httpx.get(f"{server.url}/api/v1/health", timeout=30).json()["gpu_available"]
            series = [(title, one, len(until_answered(prom, one))) for title, one in queries()]
            alerts = {title: len(ask(prom, expression)) for title, expression in rules()}
            text = httpx.get(f"{server.url}/metrics", timeout=30).text
        told = {"log": log.read_text(errors="replace"), "traces": traces.read_text(), "metrics": text}
    empty = [f"{title}: {one}" for title, one, found in series if not found and (gpu or GPU_ONLY not in one)]
    leaks = [place for place, content in told.items() if SECRET in content]
    report = {
        "series_by_query": {f"{title}: {one}": found for title, one, found in series},
        "alerts_firing": alerts,
        "without_data": empty,
        "gpu": gpu,
        "prompts_found_in": leaks,
        "samples": sum(1 for line in text.splitlines() if not line.startswith("#")),
        "spans": told["traces"].count("\n"),
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return 1 if empty or leaks else 0


if __name__ == "__main__":
    raise SystemExit(main())
