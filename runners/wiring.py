"""From runner handles to the models that the editor works with: clients, behind caches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from composition.caching.content_cache import ContentCache
from composition.caching.frozen import size_bytes
from composition.caching.single_flight import SingleFlight
from composition.config import Config
from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from composition.pipelines.asking import cached
from composition.pipelines.context import Models
from composition.ports.observation import NO_EDIT_OBSERVER, EditObserver
from composition.request import ControlType, Speed
from models_store.store import ModelSet
from runners.analyzer.client import BentoAnalyzer
from runners.detector.client import BentoDetector
from runners.diffusion.transport.client import DiffusionClient
from runners.diffusion.transport.spread import SpreadDiffuser
from runners.failures import last_failure, restarts_of
from runners.health import RunnersHealth
from runners.structure.client import BentoStructure

logger = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """The models behind their ports, their health, and the size that they paint at."""

    models: Models
    health: RunnersHealth
    native_size: int


def assemble(
    config: Config,
    *,
    analyzer: Any,
    detector: Any,
    structure: Any,
    diffusion: Any,
    more_diffusion: Sequence[Any] = (),
    observer: EditObserver = NO_EDIT_OBSERVER,
) -> Assembly:
    """Build the ports over runner handles, as `bentoml.depends` gives them, or over runners in this process.

    One handle may be all of analyzer, detector and structure; `more_diffusion` are the runners of further GPUs.
    With `optimization.cache_preprocessors` the same question about the same image is answered once within the cache's
    time; `observer` hears of every question.

    Raises: ModelsNotImported, UnservedPipeline: the base model is not there, or says not how it is to be asked.
    """
    store = ModelSet(config.models)
    analyze = BentoAnalyzer(analyzer, of_one_kind=store.is_of_one_kind)
    detect, extract = BentoDetector(detector), BentoStructure(structure)
    cards = [DiffusionClient(handle) for handle in (diffusion, *more_diffusion)]
    perception = {"analyzer": analyze.state, "detector": detect.state, "structure": extract.state}
    models = Models(
        analyzer=analyze,
        detector=detect,
        segmenter=detect,
        pose=extract,
        depth=extract,
        diffuser=cards[0] if len(cards) == 1 else SpreadDiffuser(cards),
        latent_cell_px=store.latent_cell_px,
        absent_controls=_absent_controls(store),
        absent_speeds=_absent_speeds(store),
        checkpoints=frozenset(store.checkpoints),
        no_points=store.reason_untrained("sam", "points"),
    )
    if config.optimization.cache_preprocessors:
        models = _cached(models, config, observer)
    native_size = config.generation.native_size or store.native_size
    logger.info("model profile %s, %d px", config.models.profile, native_size)
    for reason in store.misfits.values():
        logger.warning("%s: left out", reason)
    return Assembly(
        models=models,
        health=RunnersHealth(
            {
                **({"perception": detect.state} if analyzer is detector else perception),
                **{f"diffusion-{card}" if card else "diffusion": client.stats for card, client in enumerate(cards)},
            },
            restarts=restarts_of,
            last_failure=last_failure,
        ),
        native_size=native_size,
    )


def _absent_controls(store: ModelSet) -> dict[ControlType, str]:
    reasons = {name: store.reason_for_absence(control.role) for name, control in CONTROLS.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _absent_speeds(store: ModelSet) -> dict[Speed, str]:
    reasons = {speed: store.reason_for_absence(few.role) for speed, few in FEW_STEPS.items()}
    return {speed: reason for speed, reason in reasons.items() if reason is not None}


def _cached(models: Models, config: Config, observer: EditObserver) -> Models:
    cache = SingleFlight(
        ContentCache(
            ttl_s=config.optimization.cache_ttl_seconds,
            max_bytes=config.optimization.cache_max_mb * MEGABYTE,
            size_of=size_bytes,
        ),
        observer=observer,
    )
    return cached(models, cache)
