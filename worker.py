"""A worker of the distributed queue: the editor with its models in this process, jobs from Redis.

`celery -A worker worker` with `queue.backend: celery`; every task of the process shares one set of weights and the
step engine.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery

from api.codec import make_codec
from api.video.codec import make_video_codec
from composition.config import ConfigError, load_config
from composition.editor import Editor
from composition.execution import EditJobHandler
from composition.logs import set_up_logging
from composition.loras.library import LoraLibrary
from composition.ports.queue import BlobStore
from composition.startup import config_errors_end_the_process
from jobs.distributed import WorkerModels, celery_worker_app
from jobs.loras.opening import open_lora_store
from models_store.plan.decided import decide, planned
from models_store.plan.words import summary
from models_store.store import ModelSet
from observability.edits import EditMetrics
from observability.jobs import JobMetrics
from observability.processes import ProcessMetrics, keep_sampling
from observability.series import process_registry, serve_series
from observability.tracing import set_up_tracing
from prompt_reading.reader import GrammarPromptReader

with config_errors_end_the_process():  # the runners read the configuration as they are declared
    from runners.analyzer.service import AnalyzerRunner
    from runners.detector.service import DetectorRunner
    from runners.diffusion.transport.service import DiffusionRunner
    from runners.structure.service import StructureRunner
    from runners.wiring import assemble

    plan, config = decide(load_config()), planned(load_config())
set_up_logging(config.logging.level)
codec = make_codec(config.limits)
logger = logging.getLogger(__name__)


async def load_models(blobs: BlobStore) -> WorkerModels:
    """Load every model into this process and put the job handler on top."""
    for line in summary(plan):
        logger.info("plan: %s", line)
    registry = process_registry()
    edits = EditMetrics(registry)
    set_up_tracing(config.tracing, "worker")
    analyzer, detector, structure = map(_in_process, (AnalyzerRunner, DetectorRunner, StructureRunner))
    # The last one: it compiles what earlier starts learnt from now on, and other models must not be loaded meanwhile.
    diffusion = _in_process(DiffusionRunner)
    assembly = assemble(
        config,
        analyzer=analyzer,
        detector=detector,
        structure=structure,
        diffusion=diffusion,
        observer=edits,
    )
    editor = Editor(
        config=config,
        models=assembly.models,
        native_size=assembly.native_size,
        reader=GrammarPromptReader(),
        observer=edits,
    )
    _be_seen()

    loras = LoraLibrary(config.loras, open_lora_store(config), family=ModelSet(config.models).family)
    await loras.open()

    async def close() -> None:
        diffusion.stop()

    return WorkerModels(
        handler=EditJobHandler(
            editor=editor, blobs=blobs, codec=codec, loras=loras, videos=make_video_codec(config), observer=edits
        ),
        health=assembly.health,
        close=close,
        observer=JobMetrics(registry, concurrency=config.limits.max_concurrent_requests),
    )


def _be_seen() -> None:
    """This process's series, at a port of their own. Raises: ConfigError: it cannot be had."""
    keep_sampling(ProcessMetrics(process_registry(), "worker").sample)
    port = config.metrics.worker_port
    if port is None:
        return
    try:
        serve_series(config.metrics.worker_host, port)
    except OSError as error:
        raise ConfigError(f"metrics.worker_port: {port} cannot be listened at: {error.strerror}") from error


def _in_process(runner: Any) -> Any:
    """The object behind a BentoML service, without a server of its own."""
    return runner.inner()


with config_errors_end_the_process():
    app: Celery = celery_worker_app(config, load_models, preview_codec=codec)
