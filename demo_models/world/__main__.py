"""Writes a sheet of scenes: ``python -m demo_models.world OUT.png [--first-seed N] [--scenes M]``."""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from demo_models.world.scenes import FAMILIES, render, sample_spec


def main() -> None:
    """Renders one row of scenes per family and reports the speed."""
    parser = argparse.ArgumentParser(prog="demo_models.world", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=6, help="scenes per family")
    arguments = parser.parse_args()
    started = time.perf_counter()
    rows = []
    for family in FAMILIES:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.scenes)
        rows.append(np.concatenate([render(sample_spec(seed, family)).image for seed in seeds], axis=1))
    speed = arguments.scenes * len(FAMILIES) / (time.perf_counter() - started)
    Image.fromarray(np.concatenate(rows)).save(arguments.out)
    print(f"{speed:.1f} scenes/s")


if __name__ == "__main__":
    main()
