"""What decoding a photograph costs beside Pillow's own, in time of the processor: each file, read to RGB pixels.

Usage: python -m benchmarks.decode [--side 2048] [--rounds 20]

Both take turns, so that whatever else the machine does hits both; medians. `measure` is the look that bounds a file's
size before it waits for its turn.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

from api.codec import make_codec
from composition.config import LimitsConfig

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"format": "JPEG", "quality": 95},
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "quality": 95},
}


def files(side: int) -> dict[str, bytes]:
    """A plain photograph of so many pixels a side in every format, with neither profile nor orientation."""
    photo = Image.fromarray(skimage.data.astronaut()).resize((side, side), Image.Resampling.LANCZOS)
    found = {}
    for name, options in FORMATS.items():
        buffer = io.BytesIO()
        photo.save(buffer, **options)
        found[name] = buffer.getvalue()
    return found


def pillow_decode(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The least that any decoder of this service can do."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def compare(data: bytes, *, rounds: int) -> dict[str, float]:
    """Milliseconds of the processor: `ours`, `measure` and `pillow`."""
    codec = make_codec(LimitsConfig())
    ways: dict[str, Callable[[bytes], Any]] = {"ours": codec.decode, "measure": codec.measure, "pillow": pillow_decode}
    assert np.array_equal(codec.decode(data), pillow_decode(data)), "a faster decoder of other pixels would be none"
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began_s = time.process_time()
            way(data)
            taken[name].append(1000 * (time.process_time() - began_s))
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> int:
    """One line for each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048, help="pixels")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for name, data in files(options.side).items():
        ms = compare(data, rounds=options.rounds)
        told = f"ours {ms['ours']:.1f} ms, Pillow {ms['pillow']:.1f} ms, {ms['ours'] / ms['pillow']:.2f} times as long"
        print(f"{name} {options.side} px, {len(data) / 1000:.0f} kB: {told}; measured in {ms['measure']:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
