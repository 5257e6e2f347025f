"""`make demo`: serve on loopback, run the edits of SPEC.md section 8 over REST, write a gallery of before and after.

Usage: python -m benchmarks.demo [--profile NAME, else the configured one] [--port 8000] [--out out]
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.demo_cases import Case, photo_cases, photo_recolours, world_cases
from benchmarks.demo_gallery import write_gallery, write_sheet
from benchmarks.server import Server
from composition.config import load_config

TINY_NOTICE = (
    "Profile 'tiny' has random weights: it proves the plumbing (routing, region, mask, blending, every model),\n"
    "not the images. Its detectors are built to answer sensibly on these photographs; what is inside the masks\n"
    "is noise by design, what is outside is untouched, bit for bit."
)
DEMO_NOTICE = (
    "Profile 'demo' has small models that were trained on a little painted world of cars, furniture and people. In\n"
    "that world edits really work. On photographs people, vehicles and many things are found, and take another colour\n"
    "under the photograph's light; what else is painted there is a guess, untouched surroundings are real."
)


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
    for key, image in (("reference_image", case.reference), ("mask_image", case.mask)):
        if image is not None:
            body[key] = to_base64(image)
    answer = client.post("/api/v1/generate", json=body)
    if answer.status_code != 200:
        raise RuntimeError(f"{case.name}: {answer.status_code} {answer.text}")
    result: dict[str, Any] = answer.json()["result"]
    return result


def to_base64(image: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """An image as base64 PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


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
    configured = load_config().models.profile
    parser.add_argument("--profile", default=configured, help="model profile; it must be imported")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    in_world = options.profile == "demo"
    chosen = world_cases() + photo_recolours() if in_world else photo_cases()
    notice = {"demo": DEMO_NOTICE, "tiny": TINY_NOTICE}.get(options.profile, "")
    start = time.monotonic()
    environment = {"COMPOSITION_MODELS__PROFILE": options.profile}
    with Server(port=options.port, log=options.out / "serve.log", environment=environment) as server:
        health = server.wait_until_healthy()
        print(f"healthy after {time.monotonic() - start:.1f} s, models: {', '.join(health['models_loaded'])}")
        with httpx.Client(base_url=server.url, timeout=300) as client:
            rows = [(case, run_case(client, case)) for case in chosen]
    page = write_gallery(options.out, rows, notice=notice)
    for name, chapter in (("gallery", "8."), ("photographs", "9.")):
        shown = [row for row in rows if row[0].name.startswith(chapter)]
        if shown:
            write_sheet(options.out / f"{name}.png", shown)
    print_table(rows)
    print(f"\n{notice}\n\ngallery: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
