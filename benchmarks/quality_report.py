"""SPEC.md 9.3 on your machine: how good the edits of a folder are, beside plain inpainting; one file to send back.

Usage: python -m benchmarks.quality_report viton-hd|brushbench|edits FOLDER [--url http://127.0.0.1:8000]
           [--limit 100] [--steps 25] [--weights FOLDER] [--out out/quality]

A service must run (`make serve PROFILE=sd15`). Every sample is painted twice with one seed: as the service does it
(reference, structure control, crop) and as plain inpainting with the same weights does it (mask and sentence only).
viton-hd: SSIM and LPIPS paired; FID and KID paired and unpaired. brushbench and edits: CLIP score inside of the mask,
LPIPS and PSNR outside of it.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
from PIL import Image as PilImage

from benchmarks.quality_folders import BadFolder, Sample, brushbench, edits, read_image, viton_hd
from benchmarks.quality_metrics import Metrics
from benchmarks.report_files import MEANINGLESS, Row, machine, table, write
from composition.images import Image

SEED = 7
TOY_SAMPLES = 20
"""Of fewer no figure of quality means anything."""
TOY_PROFILES = ("tiny", "demo", "tiny-sdxl")
METHODS = ("service", "plain inpainting")
_TIMEOUT_S = 600.0


class Painter(Protocol):
    """Paints a sample; `plain` leaves out all but mask and sentence."""

    profile: str

    def paint(self, sample: Sample, *, plain: bool) -> Image: ...


class ServicePainter:
    """Over REST. Raises: httpx.HTTPError."""

    def __init__(self, url: str, steps: int) -> None:
        self._client, self._steps = httpx.Client(base_url=url, timeout=_TIMEOUT_S), steps
        health = self._client.get("/api/v1/health")
        health.raise_for_status()
        self.profile = str(health.json().get("profile", "unknown"))

    def paint(self, sample: Sample, *, plain: bool) -> Image:
        config: dict[str, Any] = {"seed": SEED, "num_inference_steps": self._steps}
        body: dict[str, Any] = {
            "base_image": _file(sample.image),
            "prompt": sample.prompt,
            "mask_image": _png(sample.mask),
            "config": config,
        }
        if plain:
            config |= {"pipeline": "simple", "crop": "off", "color_match": False}
        elif sample.reference is not None:
            body["reference_image"] = _file(sample.reference)
        answer = self._client.post("/api/v1/generate", json=body)
        answer.raise_for_status()
        with PilImage.open(io.BytesIO(base64.b64decode(answer.json()["result"]["image"]))) as image:
            return np.asarray(image.convert("RGB"))


def measure_try_on(folder: Path, painter: Painter, limit: int, make_metrics: Callable[[], Metrics]) -> list[Row]:
    """VITON-HD, paired and unpaired: a row per method and setting."""
    rows: list[Row] = []
    for paired, plain in itertools.product((True, False), (False, True)):
        metrics = make_metrics()
        count = 0
        for sample in itertools.islice(viton_hd(folder, paired=paired), limit):
            painted, real = painter.paint(sample, plain=plain), read_image(sample.image)
            if sample.truth is not None:
                metrics.compare(painted, read_image(sample.truth))
            metrics.distribute(painted, real)
            count += 1
        rows.append({"method": METHODS[plain], "pairs": "paired" if paired else "unpaired", "images": count})
        rows[-1] = {**rows[-1], **metrics.summary()}
    return _aligned(rows)


def measure_edits(
    samples: Callable[[], Iterator[Sample]], painter: Painter, limit: int, make_metrics: Callable[[], Metrics]
) -> list[Row]:
    """BrushBench or a folder of one's own: a row per method."""
    rows: list[Row] = []
    for plain in (False, True):
        metrics = make_metrics()
        count = 0
        for sample in itertools.islice(samples(), limit):
            painted, original = painter.paint(sample, plain=plain), read_image(sample.image)
            metrics.score_inside(painted, sample.prompt, sample.mask)
            metrics.compare_outside(painted, original, sample.mask)
            count += 1
        rows.append({"method": METHODS[plain], "images": count, **metrics.summary()})
    return _aligned(rows)


def _aligned(rows: Sequence[Row]) -> list[Row]:
    """All with the same keys, in the order in which they first came."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def run(kind: str, folder: Path, painter: Painter, limit: int, out: Path, make_metrics: Callable[[], Metrics]) -> Path:
    """Paint, measure, write; the file to send back. Raises: BadFolder, httpx.HTTPError."""
    if kind == "viton-hd":
        rows = measure_try_on(folder, painter, limit, make_metrics)
    else:
        read = brushbench if kind == "brushbench" else edits
        rows = measure_edits(lambda: read(folder), painter, limit, make_metrics)
    if not rows or not rows[0]["images"]:
        raise BadFolder(f"{folder} has no samples")
    meaningless = painter.profile in TOY_PROFILES or rows[0]["images"] < TOY_SAMPLES
    report = {"kind": kind, "profile": painter.profile, "machine": machine(), "meaningless": meaningless, "rows": rows}
    bundle = write(f"quality_{kind}", report, {f"Quality: {kind}, profile {painter.profile}": rows}, out)
    if meaningless:
        print(MEANINGLESS)
    print(table(rows))
    print(f"to send back: {bundle}")
    return bundle


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 when the folder or the service is not as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=["viton-hd", "brushbench", "edits"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--weights", type=Path, help="a folder with the metrics' networks: nothing is downloaded")
    parser.add_argument("--out", type=Path, default=Path("out/quality"))
    options = parser.parse_args(arguments)
    try:
        painter = ServicePainter(options.url, options.steps)
        make_metrics = partial(Metrics, weights=options.weights)
        run(options.kind, options.folder, painter, options.limit, options.out, make_metrics)
    except BadFolder as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(f"error: the service at {options.url}: {error}; make serve PROFILE=sd15 starts one", file=sys.stderr)
        return 1
    return 0


def _file(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _png(array: Any) -> str:
    buffer = io.BytesIO()
    PilImage.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    sys.exit(main())
