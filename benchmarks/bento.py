"""`make bento-test`: a Bento is built, served, exported, imported into an empty store and served again.

    python -m benchmarks.bento [--profile NAME]

Both servers must paint the same bytes for the same seeds; the export must hold nothing of what was asked of the first
one, and nothing that trains, measures or checks. Figures go to out/bento.json.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks import packing
from benchmarks.demo import to_base64
from benchmarks.demo_cases import Case, photo_cases, world_cases
from composition.config import load_config

STEPS = 4
SEEDS = (7, 8)
EDIT_LIMIT_S = 600.0
OUT = Path("out/bento.json")


def paint(url: str, cases: list[Case], *, mark: str) -> dict[str, str]:
    """Of every case and seed the SHA-256 of the image's bytes; `mark` goes into every prompt.

    Raises: HTTPStatusError.
    """
    painted = {}
    with httpx.Client(base_url=url, timeout=EDIT_LIMIT_S) as client:
        for case in cases:
            for seed in SEEDS:
                answer = client.post("/api/v1/generate", json=_request(case, seed=seed, mark=mark))
                answer.raise_for_status()
                image = base64.b64decode(answer.json()["result"]["image"])
                painted[f"{case.name}, seed {seed}"] = hashlib.sha256(image).hexdigest()
        background = client.post("/api/v1/generate/async", json=_request(cases[0], seed=SEEDS[0], mark=mark))
        background.raise_for_status()
    return painted


def _request(case: Case, *, seed: int, mark: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "base_image": to_base64(case.base),
        "prompt": case.prompt,
        "negative_prompt": mark,
        "config": {"seed": seed, "num_inference_steps": STEPS},
    }
    if case.reference is not None:
        body["reference_image"] = to_base64(case.reference)
    return body


def traces_of(cases: list[Case], mark: str) -> list[bytes]:
    """What a file holds that keeps a request: the mark, or the middle of an image, as bytes or as base64."""
    traces = [mark.encode()]
    for case in cases:
        text = to_base64(case.base)
        middle = len(text) // 8 * 4
        part = text[middle : middle + 400]
        traces += [part.encode(), base64.b64decode(part)]
    return traces


def run(profile: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The figures, and what is wrong."""
    cases = world_cases() if profile == "demo" else photo_cases()
    mark, version = f"unmistakable{secrets.token_hex(8)}", f"test-{secrets.token_hex(4)}"
    store = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")
    elsewhere, archive = folder / "elsewhere", folder / "composition.bento"
    tag = packing.build_bento(profile, version)
    try:
        environment = packing.environment_of_a_store(store, state=folder / "state")
        with packing.ServedBento(tag, environment=environment, cwd=folder, log=folder / "first.log") as first:
            before = paint(first.url, cases, mark=mark)
        print(f"served from the store: healthy after {first.healthy_after_s:.1f} s, {len(before)} edits", flush=True)
        packing.export_bento(tag, archive)
    finally:
        packing.delete_bento(tag)
    unpacked = packing.unpack_bento(archive, folder / "unpacked")
    packing.import_bento(archive, elsewhere)
    environment = packing.environment_of_a_store(elsewhere, state=folder / "other-state")
    with packing.ServedBento(tag, environment=environment, cwd=folder, log=folder / "second.log") as second:
        after = paint(second.url, cases, mark=mark)
    print(f"imported and served: healthy after {second.healthy_after_s:.1f} s, {len(after)} edits", flush=True)
    wrong = [f"{name}: other bytes" for name in before if after[name] != before[name]]
    wrong += [f"a request is in {path}" for path in packing.files_that_hold(unpacked, traces_of(cases, mark))]
    wrong += [f"packed: {path}" for path in packing.packed_development_files(unpacked)]
    if (packed := packing.profile_of(unpacked)) != profile:
        wrong.append(f"it says that it has the models of {packed}")
    figures = {
        "profile": profile,
        "archive_mb": round(archive.stat().st_size / 1e6, 1),
        "source_kb": sum(p.stat().st_size for p in (unpacked / "src").rglob("*") if p.is_file()) // 1000,
        "files": sum(1 for path in unpacked.rglob("*") if path.is_file()),
        "healthy_after_s": [round(first.healthy_after_s, 1), round(second.healthy_after_s, 1)],
        "same_bytes": sum(after[name] == digest for name, digest in before.items()),
        "edits": len(before),
        "sha256": before,
    }
    return figures, wrong


def main() -> int:
    """Exit status 0 when all of it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default=load_config().models.profile, help="model profile; it must be imported")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bento-") as folder:
        figures, wrong = run(options.profile, Path(folder))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({**figures, "wrong": wrong}, indent=2) + "\n", encoding="utf-8")
    for line in wrong:
        print(f"  WRONG {line}")
    print(
        f"bento {options.profile}: {figures['same_bytes']} of {figures['edits']} edits with the same bytes,"
        f" archive {figures['archive_mb']} MB, {figures['files']} files; {OUT}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
