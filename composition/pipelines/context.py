"""What one edit carries through the stages: its request, its plan, the models and its journal."""

from __future__ import annotations

from dataclasses import dataclass

from composition.decision import EditPlan, Signals
from composition.journal import Journal
from composition.ports.diffuser import Diffuser
from composition.ports.vision import Analyzer, DepthEstimator, Detector, PoseEstimator, Segmenter
from composition.request import EditRequest


@dataclass(frozen=True, kw_only=True)
class Models:
    """Every model behind its port."""

    analyzer: Analyzer
    detector: Detector
    segmenter: Segmenter
    pose: PoseEstimator
    depth: DepthEstimator
    diffuser: Diffuser


@dataclass(frozen=True, kw_only=True, eq=False)
class EditContext:
    """One edit on its way. `native_size` is the model's own picture size in pixels (512 for SD 1.5)."""

    request_id: str
    request: EditRequest
    plan: EditPlan
    signals: Signals
    models: Models
    journal: Journal
    native_size: int
    previews: bool = False
    deadline_s: float | None = None
