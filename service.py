"""The one service class: configuration, runners, jobs and the HTTP app, wired together.

client -> front service (this process, no torch) -> jobs -> editor -> runners (one process each)

`bentoml serve service:ImageComposition`. With `queue.backend: celery` this is an API node: it declares no runner and
loads no model; the workers (worker.py) do.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import Any

import bentoml

from api.app import VERSION, create_app
from api.codec import PillowCodec, make_codec
from api.connections import bound_connections
from api.context import ApiContext
from api.documentation import serve_whole_document
from api.drain import DrainSwitch
from api.fetcher import GuardedFetcher
from api.loras import UPLOAD_TIMEOUT_S
from api.readiness import ReadinessProbe
from api.routes.loras import streamed_paths
from api.security import guards
from api.security.own_routes import OwnRoutesGuard
from api.video.codec import make_video_codec
from composition.config import load_config
from composition.config.bento import PROFILE_VARIABLE
from composition.editor import Editor
from composition.execution import EditJobHandler
from composition.logs import format_logs, set_up_logging
from composition.loras.library import LoraLibrary
from composition.loras.operators_folder import OperatorsFolder
from composition.places import make_folder, storage_folder
from composition.ports.diffuser import ModelHealth
from composition.ports.queue import BlobStore, JobQueue
from composition.shutdown import wind_down_when_told
from composition.startup import config_errors_end_the_process
from jobs.loras.opening import open_lora_store
from jobs.opening import check_storage, open_embedded_queue
from models_store.plan.decided import decide, planned
from models_store.plan.words import summary
from models_store.store import ModelSet
from observability.edits import EditMetrics
from observability.http import HttpMetrics
from observability.jobs import JobMetrics, WebhookMetrics
from observability.processes import BuildMetrics, ProcessMetrics, keep_sampling
from observability.series import process_registry, server_folder, share_series
from observability.tracing import set_up_tracing
from prompt_reading.reader import GrammarPromptReader
from runners.answer_limit import limit_answers
from runners.refusal import hear_refusals, refusing_to_be_imported, refusing_to_start

with refusing_to_be_imported():  # the runners read the configuration as they are declared
    from runners.analyzer.service import AnalyzerRunner
    from runners.detector.service import DetectorRunner
    from runners.diffusion.transport.service import DiffusionRunner, runner_on
    from runners.perception_service import PerceptionRunner
    from runners.staying import hold_runners
    from runners.structure.service import StructureRunner
    from runners.supervisor import remember_stops
    from runners.wiring import assemble

    config = load_config()
    embedded = config.queue.backend == "embedded"
    if embedded:  # an API node has no models to plan for
        plan, config = decide(config), planned(config)

# BentoML's own record of tasks, which holds whole requests and would lie in BENTOML_HOME: in an image, in the Bento's.
os.environ.setdefault("BENTOML_RESULT_STORE", str(storage_folder(config.storage) / "tasks.sqlite3"))

logger = logging.getLogger(__name__)

RESPONSE_MARGIN_S = 30.0
"""BentoML's own time limit, which covers the reading of a body, lies this far behind the longest of ours."""

set_up_logging(config.logging.level)
format_logs(config.logging.format, "server")
bound_connections()  # the runners' too: their processes import this module before their own
limit_answers()
with config_errors_end_the_process():
    app = create_app(
        metrics=HttpMetrics(process_registry()),
        keys_needed=bool(config.api.api_keys),
        docs=config.api.docs,
        page=config.api.page,
        mcp=config.api.mcp,
    )


@bentoml.service(
    name="image-composition",
    workers=config.api.workers,
    traffic={"timeout": max(config.limits.request_timeout_seconds, UPLOAD_TIMEOUT_S) + RESPONSE_MARGIN_S},
    http={"host": config.api.host, "port": config.api.port},
    metrics={"enabled": False},
    # Written into the Bento when it is built: the profile whose models it holds is the one that it serves.
    envs=[{"name": PROFILE_VARIABLE, "value": config.models.profile}],
)
@bentoml.asgi_app(app, path="/")
class ImageComposition:
    """Prompt-driven image composition: repaints just the part of a photo that a sentence is about."""

    if embedded:
        if config.optimization.one_perception_process:
            perception = bentoml.depends(PerceptionRunner)
        else:
            analyzer = bentoml.depends(AnalyzerRunner)
            detector = bentoml.depends(DetectorRunner)
            structure = bentoml.depends(StructureRunner)
        diffusion = bentoml.depends(DiffusionRunner)
        for _card in range(1, plan.cards):
            vars()[f"diffusion_{_card}"] = bentoml.depends(runner_on(_card))

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def make_room() -> None:
        """Once per server, before any process is started and BentoML opens its record of tasks."""
        with config_errors_end_the_process():
            folder = make_folder(config.storage)
            OperatorsFolder(config.loras.folder).check()
            if embedded:
                asyncio.run(check_storage(config))
            hear_refusals(folder)
        remember_stops()
        share_series()

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def open(self) -> None:
        """Put the pieces together, recover the jobs, then let requests in."""
        codec, fetcher = make_codec(config.limits), GuardedFetcher(config.fetch)
        with refusing_to_start():
            _be_seen()
            loras = LoraLibrary(config.loras, open_lora_store(config))
            if embedded:
                self.queue, blobs, health = self._open_embedded(codec, fetcher, loras)
            else:
                self.queue, blobs, health = _open_distributed(codec, fetcher)
            await loras.open()
            await self.queue.start()
        wind_down_when_told(lambda: self.queue.wind_down(grace_s=config.queue.shutdown_grace_s))
        app.state.context = ApiContext(
            config=config,
            queue=self.queue,
            blobs=blobs,
            codec=codec,
            videos=make_video_codec(config),
            fetcher=fetcher,
            health=health,
            loras=loras,
            served=ModelSet(config.models).served,
            drain=DrainSwitch(folder / "draining" if (folder := server_folder()) else None),
        )

    def _open_embedded(
        self, codec: PillowCodec, fetcher: GuardedFetcher, loras: LoraLibrary
    ) -> tuple[JobQueue, BlobStore, ModelHealth]:
        hold_runners()
        registry = process_registry()
        edits = EditMetrics(registry)
        for line in summary(plan):
            logger.info("plan: %s", line)
        together = getattr(self, "perception", None)
        assembly = assemble(
            config,
            analyzer=together or self.analyzer,
            detector=together or self.detector,
            structure=together or self.structure,
            diffusion=self.diffusion,
            observer=edits,
            more_diffusion=[getattr(self, f"diffusion_{card}") for card in range(1, plan.cards)],
        )
        loras.family = ModelSet(config.models).family
        editor = Editor(
            config=config,
            models=assembly.models,
            native_size=assembly.native_size,
            reader=GrammarPromptReader(),
            observer=edits,
        )
        queue, blobs = open_embedded_queue(
            config,
            make_handler=lambda blobs: EditJobHandler(
                editor=editor, blobs=blobs, codec=codec, loras=loras, videos=make_video_codec(config), observer=edits
            ),
            fetcher=fetcher,
            preview_codec=codec,
            observer=JobMetrics(registry, concurrency=config.limits.max_concurrent_requests),
            on_webhook=WebhookMetrics(registry),
            ready=partial(_are_loaded, assembly.health),
        )
        return queue, blobs, assembly.health

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Every connection is closed: what could not be finished is handed back, nothing is asked of us any more."""
        app.state.context = None
        await self.queue.stop(grace_s=config.queue.shutdown_grace_s)

    # BentoML's schema and clients know these two from here; requests to them are answered by api/routes/native.py.
    @bentoml.api(route="/compose")  # type: ignore[untyped-decorator]
    async def compose(self, request: dict[str, Any]) -> dict[str, Any]:
        """POST /api/v1/generate for BentoML clients: `request` is that route's body, the answer its answer."""
        raise NotImplementedError

    @bentoml.task(route="/compose_task")  # type: ignore[untyped-decorator]
    async def compose_task(self, request: dict[str, Any]) -> dict[str, Any]:
        """POST /api/v1/generate/async for BentoML clients: the task is a durable job, its result that of /compose."""
        raise NotImplementedError


async def _are_loaded(models: ModelHealth) -> bool:
    return bool((await models.health())["ready"])


def _be_seen() -> None:
    """This process's part of /metrics, the traces and the log."""
    format_logs(config.logging.format, "front")
    set_up_tracing(config.tracing, "front")
    BuildMetrics(process_registry(), version=VERSION, profile=config.models.profile)
    keep_sampling(ProcessMetrics(process_registry(), "front").sample)


def _open_distributed(codec: PillowCodec, fetcher: GuardedFetcher) -> tuple[JobQueue, BlobStore, ModelHealth]:
    # Needs the packages of the `distributed` extra, which an embedded queue does without.
    from jobs.distributed import open_celery_queue

    return open_celery_queue(config, fetcher=fetcher, on_webhook=WebhookMetrics(process_registry()))


_service: Any = ImageComposition
if config.api.docs:
    serve_whole_document(app, lambda: _service.openapi_spec.asdict())
if not embedded:
    # No runner declares them here, but the workers run from the same Bento.
    _service.models.extend(ModelSet(config.models).bento_models())
for _guard, _options in guards(config.api, app, streamed=streamed_paths(config.loras)):
    _service.add_asgi_middleware(_guard, **_options)
_service.add_asgi_middleware(ReadinessProbe, state=app.state)
# Innermost: what has passed the others goes to our app, and BentoML answers its probes alone.
_service.add_asgi_middleware(OwnRoutesGuard, own=app, schema=config.api.docs)
