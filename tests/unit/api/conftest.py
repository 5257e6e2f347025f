"""The whole HTTP edge in process, over fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.codec import make_codec
from api.context import ApiContext
from api.routes.loras import streamed_paths
from api.security import install_guards
from api.video.codec import make_video_codec
from composition.config import ApiConfig, Config, LorasConfig
from composition.jobs import Job, JobKind, JobResult
from composition.loras.library import LoraLibrary
from tests.fakes.fake_blob_store import FakeBlobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_queue import FakeJobQueue, Outcome
from tests.fakes.fake_model_health import FakeModelHealth
from tests.fakes.lora_library import lora_library
from tests.unit.api.images import encoded, gradient, mask

LORA_LIMIT_MB = 64
"""Above the limit of other bodies."""

ACCOUNT = {
    "pipeline_used": "simple",
    "models_used": ["grounding-dino", "sd-inpainting"],
    "processing_time_ms": 12,
    "metadata": {"input_resolution": "256x256", "output_resolution": "256x256", "seed_used": 7},
}


@dataclass
class Edge:
    """A client of the app and everything behind it."""

    client: httpx.AsyncClient
    context: ApiContext
    queue: FakeJobQueue
    blobs: FakeBlobStore
    fetcher: FakeFetcher
    health: FakeModelHealth

    @property
    def only_job(self) -> Job:
        (job,) = self.queue.jobs.values()
        return job


def completing(blobs: FakeBlobStore) -> Callable[[Job], Outcome]:
    """Jobs that complete at once with an image (an analysis: with a mask)."""

    def outcome(job: Job) -> Outcome:
        blobs.blobs[f"mask-of-{job.id}"] = encoded(mask())
        mask_key = f"mask-of-{job.id}"
        if job.kind is JobKind.ANALYZE:
            account = {"pipeline": "simple", "models_used": [], "metadata": {"mask_area": 0.1}}
            return JobResult(image_key=None, image_media_type=None, mask_key=mask_key, account=account)
        blobs.blobs[f"image-of-{job.id}"] = encoded(gradient())
        return JobResult(
            image_key=f"image-of-{job.id}",
            image_media_type="image/png",
            mask_key=mask_key if job.payload.options.return_mask else None,
            account=ACCOUNT,
        )

    return outcome


def guarded_app(config: ApiConfig) -> FastAPI:
    app = create_app(docs=config.docs, page=config.page)
    install_guards(app, config, streamed=streamed_paths(LorasConfig(max_size_mb=LORA_LIMIT_MB)))
    return app


@lru_cache(maxsize=1)
def default_app() -> FastAPI:
    """Building the routes takes some 20 ms, too long for each of hundreds of tests; all state is in the context."""
    return guarded_app(ApiConfig())


@asynccontextmanager
async def open_edge(
    config: Config | None = None,
    *,
    outcome: Callable[[Job], Outcome] | None = None,
    loras: LoraLibrary | None = None,
    fetcher: FakeFetcher | None = None,
) -> AsyncIterator[Edge]:
    config = config or Config()
    blobs, fetcher, health = FakeBlobStore(), fetcher or FakeFetcher(), FakeModelHealth()
    queue = FakeJobQueue(outcome or completing(blobs), blobs=blobs)
    context = ApiContext(
        config=config,
        queue=queue,
        blobs=blobs,
        codec=make_codec(config.limits),
        videos=make_video_codec(config),
        fetcher=fetcher,
        health=health,
        loras=loras or lora_library(),
    )
    app = default_app() if config.api == ApiConfig() else guarded_app(config.api)
    app.state.context = context
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield Edge(client=client, context=context, queue=queue, blobs=blobs, fetcher=fetcher, health=health)


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with open_edge() as opened:
        yield opened
