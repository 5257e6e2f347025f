"""How often each model ran, for health, metrics and for tests that say "just those, and no more"."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping


class Counters:
    """Thread-safe counts by name; the names in use:

    unet_forwards, unet_rows, unet_shallow_forwards and unet_shallow_rows (those of them that reused deep features),
    controlnet_<type>_forwards, controlnet_<type>_rows, text_encodes, vae_encodes, vae_encodes_float32,
    reference_encodes, lora_sets_made, lora_sets_dropped, lora_files_read, vae_decodes, vae_decodes_float32,
    float32_requests, previews, safety_checks, requests_<outcome>, starts_over, out_of_memory_splits,
    out_of_memory_retries.
    """  # noqa: D415  the list belongs to the sentence

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, amount: int = 1) -> None:
        with self._lock:
            self._counts[name] += amount

    def stepped(self, *, requests: int, rows: int, seconds: float) -> None:
        """So many requests took a denoising step together; who follows the counters is told."""

    def snapshot(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)
