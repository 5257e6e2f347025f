"""What the service answers. Fields that a newer service adds are kept; a test holds these against its own document."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from composition_client.images import to_array, to_pillow

if TYPE_CHECKING:
    from PIL import Image

    from composition_client.images import Pixels

Pipeline = Literal["simple", "complex"]
JobStatus = Literal["pending", "processing", "completed", "failed", "cancelled"]
JobKind = Literal["edit", "analyze"]
ENDED = ("completed", "failed", "cancelled")


def _decoded(value: object) -> object:
    return base64.b64decode(value) if isinstance(value, str) else value


File = Annotated[bytes, BeforeValidator(_decoded), WithJsonSchema({"type": "string"})]
"""The bytes of an image file; base64 on the wire."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class EditAccount(_Answer):
    """What was made of one of a request's edits.

    Attributes:
        routing: the decision, as that of the whole answer.
        region: [x0, y0, x1, y1] around its thing in pixels of the photo; None: it was not done.
        covered_by: of each edit that lies over its thing, `edit`, its number, and `share`, how much of the thing.
        mask_area: share of the photo, 0..1.
        warnings: those that concern all edits too.
    """

    prompt: str
    routing: dict[str, Any] = {}
    region: list[int] | None = None
    covered_by: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    mask_area: float = 0.0
    models_used: list[str] = []
    warnings: list[str] = []


class ViewAccount(_Answer):
    """What was made of one of several photographs of a thing.

    Attributes:
        input_resolution, output_resolution: as in "640x480".
        region: [x0, y0, x1, y1] around the thing in its pixels; None: it was not found, and nothing was changed.
        mask_area: share of the photograph, 0..1.
        warnings: those that concern all of them too.
    """

    input_resolution: str
    output_resolution: str
    region: list[int] | None = None
    detections: list[dict[str, Any]] = []
    mask_area: float = 0.0
    warnings: list[str] = []


class _Result(_Answer):
    metadata: dict[str, Any]

    @property
    def warnings(self) -> list[str]:
        """What was asked for and did not act, and what the service assumed."""
        return list(self.metadata.get("warnings", []))

    @property
    def routing(self) -> dict[str, Any]:
        """The decision: rule, reason, signals, controls, target, generation prompt."""
        return dict(self.metadata.get("routing", {}))

    @property
    def edits(self) -> list[EditAccount]:
        """What was made of each edit, in the order in which they were asked for; of a single one, too."""
        return [EditAccount.model_validate(edit) for edit in self.metadata.get("edits", [])]


class Video(_Result):
    """An edited clip with its account.

    Attributes:
        job_id: whose result it is.
        video: the file's bytes, of `media_type`.
        metadata: `frames`, `frames_edited`, `shots`, `key_frames`, `duration_ms`, `seed_used`, `warnings` ...
    """

    job_id: str
    video: File
    media_type: str
    pipeline_used: Pipeline
    models_used: list[str]
    processing_time_ms: int

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, as it is."""
        Path(path).write_bytes(self.video)


class Edit(_Result):
    """An edited image with its account.

    Attributes:
        job_id: whose result it is.
        image: the file's bytes, in `output_format`; of several candidates the first one's.
        images: every candidate's or every view's, where there are several.
        mask: bytes of the feathered mask, a greyscale PNG, with `return_mask`; where it is 0, no pixel was changed.
        metadata: `input_resolution`, `seed_used`, `routing`, `detections`, `mask_area`, `timings_ms`, `warnings` ...
    """

    job_id: str
    image: File
    images: list[File] | None = None
    mask: File | None = None
    pipeline_used: Pipeline
    models_used: list[str]
    processing_time_ms: int

    @property
    def candidates(self) -> list[bytes]:
        """One or more files, in the order of `seeds`; of views in that of the photographs."""
        return self.images or [self.image]

    @property
    def views(self) -> list[ViewAccount]:
        """What was made of each of several photographs, in the order in which they were sent."""
        return [ViewAccount.model_validate(view) for view in self.metadata.get("views", [])]

    @property
    def seeds(self) -> list[int]:
        """Of the candidates."""
        return list(self.metadata.get("seeds") or [self.seed])

    @property
    def seed(self) -> int | None:
        """With which the same request gives the same image again."""
        seed: int | None = self.metadata.get("seed_used")
        return seed

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the image file; what is there is replaced."""
        path = Path(path)
        path.write_bytes(self.image)
        return path

    def pillow(self) -> Image.Image:
        """Needs Pillow."""
        return to_pillow(self.image)

    def array(self) -> Pixels:
        """uint8 (H, W, 3), RGB. Needs NumPy and Pillow."""
        return to_array(self.image)


class Analysis(_Result):
    """What an edit would repaint, and why.

    Attributes:
        mask: bytes of the feathered mask that the edit would be blended with, a greyscale PNG.
    """

    mask: File
    pipeline: Pipeline
    models_used: list[str]


class Submission(_Answer):
    job_id: str
    status_url: str


class Job(_Answer):
    """A job's state. Times are UTC seconds since the epoch, `progress` is 0..1."""

    job_id: str
    status: JobStatus
    progress: float
    stage: str
    attempt: int
    created_at: float
    finished_at: float | None
    result: dict[str, Any] | None = None
    error: str | None = None
    error_code: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class JobSummary(_Answer):
    job_id: str
    kind: JobKind
    status: JobStatus
    progress: float
    stage: str
    prompt: str
    created_at: float
    finished_at: float | None
    error: str | None = None
    error_code: str | None = None
    status_url: str


class JobPage(_Answer):
    """Newest first; `cursor` asks for the next page, None at the end."""

    jobs: list[JobSummary]
    cursor: str | None


class Lora(_Answer):
    """A LoRA or an embedding that an edit may name in `loras`. `created_at` is UTC seconds since the epoch.

    Attributes:
        source: upload: the caller's own; operator: everybody's, which callers cannot delete.
        family: the models that it was made for, sd15 or sdxl; None: its widths are of no published model.
        fits: whether these are the models that are served; None: only a try tells.
        trigger_words: words of the prompt that it listens to; of an embedding, its token.
    """

    name: str
    kind: Literal["lora", "embedding"]
    source: Literal["upload", "operator"]
    family: str | None
    fits: bool | None
    layout: Literal["kohya", "diffusers", "peft", "embedding"]
    ranks: list[int]
    parts: list[str]
    trigger_words: list[str]
    size_bytes: int
    sha256: str
    created_at: float


class LoraUploads(_Answer):
    """What an upload may bring."""

    max_size_bytes: int
    max_per_owner: int
    max_bytes_per_owner: int


class LoraList(_Answer):
    """The caller's own and the operator's, by name; `uploads` None where the service takes none."""

    loras: list[Lora]
    uploads: LoraUploads | None = None


class RunnerHealth(_Answer):
    ready: bool
    restarts: int
    failure: str | None = None


class Health(_Answer):
    status: Literal["healthy"] = "healthy"
    profile: str | None = None
    models_loaded: list[str]
    gpu_available: bool
    gpu_memory_free_mb: int
    runners: dict[str, RunnerHealth]
    draining: bool = False
