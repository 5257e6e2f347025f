"""What one edit carries through the stages: its request, its plan, the models and its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from composition.deadline import Deadline
from composition.decision import EditPlan, Signals
from composition.journal import Journal
from composition.ports.diffuser import Diffuser
from composition.ports.vision import Analyzer, DepthEstimator, Detector, PoseEstimator, Segmenter
from composition.request import ControlType, EditRequest, Speed


@dataclass(frozen=True, kw_only=True)
class Models:
    """Every model behind its port.

    Attributes:
        latent_cell_px: pixels per latent cell and side of the diffusion model.
        absent_controls: control types that the diffuser has no ControlNet for, with the reason in words.
        absent_speeds: speeds of few steps that the diffuser has no weights for, with the reason in words.
        checkpoints: those that an edit may name beside the diffuser's base model.
        no_points: why the segmenter can make nothing of points, in words; None: it can.
    """

    analyzer: Analyzer
    detector: Detector
    segmenter: Segmenter
    pose: PoseEstimator
    depth: DepthEstimator
    diffuser: Diffuser
    latent_cell_px: int
    absent_controls: Mapping[ControlType, str] = field(default_factory=dict)
    absent_speeds: Mapping[Speed, str] = field(default_factory=dict)
    checkpoints: frozenset[str] = frozenset()
    no_points: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EditContext:
    """One edit on its way.

    `native_size` is the model's own image size in pixels (512 for SD 1.5). Of its candidates at most
    `candidates_at_once` are at the diffusion model at a time.
    """

    request_id: str
    request: EditRequest
    plan: EditPlan
    signals: Signals
    models: Models
    journal: Journal
    native_size: int
    candidates_at_once: int = 1
    previews: bool = False
    deadline: Deadline | None = None
