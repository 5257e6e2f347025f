"""`make demo`: serve on loopback, run the edits of SPEC.md section 8 over REST, write a before/mask/after gallery.

Usage: python -m benchmarks.demo [--port 8000] [--out out]
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import skimage.data
from PIL import Image

from benchmarks.server import Server

TINY_NOTICE = (
    "Profile 'tiny' has random weights: it proves the plumbing (routing, region, mask, blending, every model),\n"
    "not the pictures. Its detectors are built to answer sensibly on these photographs; what is inside the masks\n"
    "is noise by design, what is outside is untouched, bit for bit."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One edit of SPEC.md section 8: pictures are RGB uint8 (H, W, 3)."""

    name: str
    prompt: str
    base: np.ndarray[Any, np.dtype[np.uint8]]
    reference: np.ndarray[Any, np.dtype[np.uint8]] | None = None


def cases() -> list[Case]:
    """The four cases on photographs that scikit-image ships (sources and licences: docs/licences.md)."""
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    motorcycle, other_view, _ = skimage.data.stereo_motorcycle()
    return [
        Case(
            name="8.1 virtual try-on",
            prompt="person wearing this jacket",
            base=astronaut,
            reference=astronaut[300:500, 40:240],
        ),
        Case(
            name="8.2 rim replacement",
            prompt="motorcycle with these sport rims",
            base=motorcycle,
            reference=other_view[200:420, 60:280],
        ),
        Case(name="8.3 colour change", prompt="blue cup", base=coffee),
        Case(
            name="8.4 texture transfer",
            prompt="table with brick texture",
            base=coffee,
            reference=np.repeat(skimage.data.brick()[:, :, None], 3, axis=2),
        ),
    ]


def run_case(client: httpx.Client, case: Case) -> dict[str, Any]:
    """One POST /api/v1/generate; the response's `result`.

    Raises:
        RuntimeError: the service answered with an error.
    """
    body = {
        "base_image": to_base64(case.base),
        "prompt": case.prompt,
        "config": {"seed": 7, "num_inference_steps": 20, "return_mask": True},
    }
    if case.reference is not None:
        body["reference_image"] = to_base64(case.reference)
    answer = client.post("/api/v1/generate", json=body)
    if answer.status_code != 200:
        raise RuntimeError(f"{case.name}: {answer.status_code} {answer.text}")
    result: dict[str, Any] = answer.json()["result"]
    return result


def to_base64(image: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """A picture as base64 PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def write_gallery(out: Path, rows: list[tuple[Case, dict[str, Any]]], *, notice: str) -> Path:
    """Write <case>-{before,mask,after}.png and index.html; the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    parts = [
        "<!doctype html><meta charset=utf-8><title>Image composition</title>",
        "<style>body{font:15px/1.5 sans-serif;margin:2em auto;max-width:1100px}img{width:32%}small{color:#555}</style>",
        f"<h1>Before, mask, after</h1><p>{html.escape(notice)}</p>",
    ]
    for case, result in rows:
        slug = case.name.split()[0].replace(".", "-")
        Image.fromarray(case.base).save(out / f"{slug}-before.png")
        for part, key in (("mask", "mask"), ("after", "image")):
            (out / f"{slug}-{part}.png").write_bytes(base64.b64decode(result[key]))
        routing = result["metadata"]["routing"]
        parts.append(
            f"<h2>{html.escape(case.name)}: “{html.escape(case.prompt)}”</h2>"
            f"<p>{result['pipeline_used']} pipeline, rule {routing['rule']}<br><small>{html.escape(routing['reason'])}"
            f"</small></p>" + "".join(f"<img src='{slug}-{part}.png' alt='{part}'> " for part in PARTS)
        )
    page = out / "index.html"
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


PARTS = ("before", "mask", "after")


def print_table(rows: list[tuple[Case, dict[str, Any]]]) -> None:
    """Case, pipeline, rule, milliseconds, models."""
    print(f"{'case':<22} {'pipeline':<9} {'rule':<18} {'ms':>6}  models")
    for case, result in rows:
        rule = result["metadata"]["routing"]["rule"]
        models = ", ".join(result["models_used"])
        print(f"{case.name:<22} {result['pipeline_used']:<9} {rule:<18} {result['processing_time_ms']:>6}  {models}")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    start = time.monotonic()
    with Server(port=options.port, log=options.out / "serve.log") as server:
        health = server.wait_until_healthy(timeout_s=180)
        print(f"healthy after {time.monotonic() - start:.1f} s, models: {', '.join(health['models_loaded'])}")
        with httpx.Client(base_url=server.url, timeout=300) as client:
            rows = [(case, run_case(client, case)) for case in cases()]
    page = write_gallery(options.out, rows, notice=TINY_NOTICE)
    print_table(rows)
    print(f"\n{TINY_NOTICE}\n\ngallery: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
