"""What a report leaves behind: JSON, a table, a plot, and one file with all of them to send back."""

from __future__ import annotations

import json
import os
import platform
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MEANINGLESS = "MEANINGLESS: toy models or a toy folder; this run only shows that the report works"
Row = Mapping[str, Any]


def machine() -> dict[str, Any]:
    """Where a report was made, without a name of the machine or its user."""
    import torch

    device: dict[str, Any] = {"name": "none", "memory_bytes": 0}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        device = {"name": properties.name, "memory_bytes": properties.total_memory}
    return {
        "gpu": device,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
    }


def table(rows: Sequence[Row]) -> str:
    """Rows of the same keys as a Markdown table; numbers with three digits, a dash for what was not measured."""
    if not rows:
        return "(nothing was measured)\n"
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write(name: str, report: Mapping[str, Any], sections: Mapping[str, Sequence[Row]], out: Path) -> Path:
    """Write `name`.json, .md, .png and .zip into `out`; the last has the others.

    Args:
        name: of the files.
        report: all that was found, JSON-serialisable; a "meaningless" that is true marks every file.
        sections: tables by title; of each, numbers by the first column are plotted.
        out: the folder.
    """
    files = [write_json(name, report, out), out / f"{name}.md", out / f"{name}.png"]
    mark = f"**{MEANINGLESS}**\n\n" if report.get("meaningless") else ""
    body = "\n".join(f"## {title}\n\n{table(rows)}" for title, rows in sections.items())
    files[1].write_text(f"# {name}\n\n{mark}{body}", encoding="utf-8")
    _draw(report, sections, files[2])
    bundle = out / f"{name}.zip"
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return bundle


def write_json(name: str, report: Mapping[str, Any], out: Path) -> Path:
    """Only `name`.json, for what may not come to its end."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return path


def _draw(report: Mapping[str, Any], sections: Mapping[str, Sequence[Row]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = {title: rows for title, rows in sections.items() if rows}
    figure, axes = pyplot.subplots(len(drawn) or 1, 1, figsize=(9, 3.2 * (len(drawn) or 1)), squeeze=False)
    for axis, (title, rows) in zip(axes[:, 0], drawn.items(), strict=False):
        label, *names = rows[0]
        numbers = [name for name in names if any(isinstance(row.get(name), float) for row in rows)]
        width = 0.8 / max(1, len(numbers))
        for place, name in enumerate(numbers):
            heights = [float(row.get(name) or 0.0) for row in rows]
            axis.bar([number + place * width for number in range(len(rows))], heights, width, label=name)
        axis.set_xticks(range(len(rows)), [str(row[label]) for row in rows], fontsize=8)
        axis.set_title(f"{title}{' (MEANINGLESS)' if report.get('meaningless') else ''}")
        if numbers:
            axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
