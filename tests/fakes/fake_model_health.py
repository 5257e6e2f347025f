"""A `ModelHealth` that reports what the test says."""

from __future__ import annotations

from collections.abc import Mapping


class FakeModelHealth:
    """Attributes: `report`, what `health` answers."""

    def __init__(self, *, ready: bool = True) -> None:
        self.report: dict[str, object] = {
            "ready": ready,
            "models_loaded": ["grounding-dino", "sd-inpainting"] if ready else [],
            "gpu_available": False,
            "gpu_memory_free_mb": 0,
        }

    async def health(self) -> Mapping[str, object]:
        return self.report
