"""The ratios of a benchmark as a bar chart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Write a PNG: a bar per ratio, a mark where the promise is."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(report["ratios"])
    ratios, promised = [report["ratios"][n] for n in names], [report["promised"][n] for n in names]
    figure, axes = pyplot.subplots(figsize=(8, 0.6 * len(names) + 1.5))
    axes.barh(names, ratios, color=["tab:green" if report["kept"][name] else "tab:red" for name in names])
    marks = [(promise, row) for row, promise in enumerate(promised) if promise is not None]
    axes.plot([promise for promise, _ in marks], [row for _, row in marks], "k|", markersize=18, label="promised")
    for row, ratio in enumerate(ratios):
        axes.text(ratio, row, f" {ratio:.2f}", va="center")
    model = report["model"]
    axes.set_title(f"ours / stock diffusers, {model['name']} size, {model['image_px']} px, {model['dtype']}")
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
