"""A library of LoRAs over a storage in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from composition.config import LorasConfig
from composition.loras.library import LoraLibrary
from jobs.loras.kept_loras import KeptLoras
from tests.fakes.fake_lora_files import FakeLoraFiles


def lora_library(
    files: FakeLoraFiles | None = None,
    *,
    folder: Path | None = None,
    config: LorasConfig | None = None,
    family: str | None = "sd15",
) -> LoraLibrary:
    """`folder` is where uploads come in; it is made when the first one comes."""
    store = KeptLoras(
        files or FakeLoraFiles(),
        folder or Path(tempfile.gettempdir()) / "no-uploads",
        max_cached_bytes=1 << 30,
        orphan_age_s=0.0,
    )
    return LoraLibrary(config or LorasConfig(), store, family=family, clock=lambda: 1000.0)
