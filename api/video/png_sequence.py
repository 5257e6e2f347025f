"""A clip as a zip of its frames, without any loss: 00000.png ..., and times.json, which says when each is shown."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable

from PIL import Image as PillowImage

from api.codec import FAST_PNG
from composition.ports.video import Frame

TIMES = "times.json"


def write(frames: Iterable[Frame]) -> bytes:
    """`times.json` is a list of [start, duration] in microseconds."""
    out, times = io.BytesIO(), []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number, frame in enumerate(frames):
            file = io.BytesIO()
            PillowImage.fromarray(frame.image).save(file, "PNG", **FAST_PNG)
            archive.writestr(f"{number:05}.png", file.getvalue())
            times.append([frame.start_us, frame.duration_us])
        archive.writestr(TIMES, json.dumps(times))
    return out.getvalue()
