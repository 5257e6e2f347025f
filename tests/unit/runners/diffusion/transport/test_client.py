"""The consumer's end, against runners that behave and runners that do not."""

from __future__ import annotations

import asyncio

import aiohttp
import numpy as np
import pytest
from bentoml.exceptions import BentoMLException, ServiceUnavailable

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import ContentPolicy, ModelError, NotReady, Timeout
from runners.diffusion.transport import client
from runners.diffusion.transport.client import DiffusionClient
from runners.diffusion.transport.events import Accepted, Alive, event_to_frame, request_from_frame
from runners.diffusion.transport.frames import FrameError, decode_single, encode_frame
from runners.remote import transport_error

IMAGE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def request():
    return DiffusionRequest(
        request_id="r7",
        image=IMAGE,
        mask=np.zeros((8, 8), np.uint8),
        prompt="p",
        negative_prompt="",
        num_inference_steps=2,
        guidance_scale=1.0,
        seed=0,
    )


class ScriptedRunner:
    """Streams the script's events, or raises what it holds; cut into chunks of `chunk_bytes`."""

    def __init__(self, script, *, chunk_bytes=5, lease_s=15.0):
        self._script = [Accepted(lease_s=lease_s), *script]
        self._chunk_bytes = chunk_bytes
        self.cancelled, self.renewed, self.requests = [], [], []
        self.cancel_came = asyncio.Event()
        self.renewed_twice = asyncio.Event()

    async def generate(self, frame):
        self.requests.append(request_from_frame(decode_single(frame)))
        for item in self._script:
            if callable(item):
                item = await item()
            if isinstance(item, Exception) and not hasattr(item, "code"):
                raise item
            data = item if isinstance(item, bytes) else encode_frame(event_to_frame(item))
            for start in range(0, len(data), self._chunk_bytes):
                yield data[start : start + self._chunk_bytes]

    async def cancel(self, request_id):
        self.cancelled.append(request_id)
        self.cancel_came.set()
        return True

    async def renew(self, request_id):
        self.renewed.append(request_id)
        if len(self.renewed) == 2:
            self.renewed_twice.set()
        return True

    async def state(self):
        return {
            "ready": True,
            "models_loaded": ["sd-inpainting"],
            "gpu_available": False,
            "gpu_memory_free_mb": 0,
            "counters": {"unet_forwards": 3},
        }


def result():
    return DiffusionResult(image=IMAGE, models_used=("sd-inpainting",), cache={"vae_moments": "miss"})


async def collect(runner):
    return [event async for event in DiffusionClient(runner).diffuse(request())]


async def test_progress_and_result_come_through_any_chunking():
    runner = ScriptedRunner([DiffusionProgress(step=1, total=2), Alive(), DiffusionProgress(step=2, total=2), result()])
    events = await collect(runner)
    assert [type(event) for event in events] == [DiffusionProgress, DiffusionProgress, DiffusionResult]
    assert np.array_equal(events[-1].image, IMAGE)
    assert runner.requests[0].request_id == "r7"
    assert runner.cancelled == []


async def test_an_error_frame_is_raised_as_itself():
    runner = ScriptedRunner([ContentPolicy("refused")])
    with pytest.raises(ContentPolicy, match="refused"):
        await collect(runner)
    assert runner.cancelled == []


async def test_a_stream_without_a_terminal_frame_is_a_model_error():
    with pytest.raises(ModelError):
        await collect(ScriptedRunner([DiffusionProgress(step=1, total=2)]))


async def test_a_stream_cut_inside_the_terminal_frame_is_a_model_error():
    with pytest.raises(ModelError):
        await collect(ScriptedRunner([encode_frame(event_to_frame(result()))[:-1]]))


async def test_a_stream_of_something_else_is_a_model_error():
    with pytest.raises(ModelError):
        await collect(ScriptedRunner([b"<html>502 Bad Gateway</html>"]))


async def test_a_runner_that_breaks_off_is_not_ready():
    with pytest.raises(NotReady):
        await collect(ScriptedRunner([aiohttp.ClientPayloadError("reset")]))


async def test_closing_the_iterator_cancels_the_request_and_lets_the_stream_run_out():
    runner = ScriptedRunner([DiffusionProgress(step=1, total=2)])
    runner._script.append(lambda: after(runner.cancel_came, ContentPolicy("late")))
    stream = DiffusionClient(runner).diffuse(request())
    await anext(stream)
    await stream.aclose()
    assert runner.cancelled == ["r7"]


async def test_nobody_waits_for_a_runner_that_is_away_to_take_its_cancellation(monkeypatch):
    monkeypatch.setattr(client, "_DRAIN_S", 0.01)
    runner = ScriptedRunner([DiffusionProgress(step=1, total=2)])
    never = asyncio.Event()
    runner._script.append(lambda: after(never, ContentPolicy("late")))

    async def cancel(request_id):
        await never.wait()

    runner.cancel = cancel
    stream = DiffusionClient(runner).diffuse(request())
    async with asyncio.timeout(60):
        await anext(stream)
        await stream.aclose()


async def after(event, value):
    await event.wait()
    return value


async def test_cancelling_the_consumer_cancels_the_request():
    runner = ScriptedRunner([DiffusionProgress(step=1, total=2)])
    runner._script.append(lambda: after(runner.cancel_came, ContentPolicy("late")))
    seen = asyncio.Event()

    async def consume():
        async for _ in DiffusionClient(runner).diffuse(request()):
            seen.set()

    task = asyncio.create_task(consume())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runner.cancelled == ["r7"]


async def test_the_lease_is_renewed_while_somebody_listens():
    runner = ScriptedRunner([], lease_s=0.03)
    runner._script.append(lambda: after(runner.renewed_twice, result()))
    assert len(await collect(runner)) == 1
    assert runner.renewed[:2] == ["r7", "r7"]


async def test_a_proxys_asynchronous_side_is_used():
    class Proxy:
        to_async = ScriptedRunner([result()])

    assert len(await collect(Proxy())) == 1


async def test_health_and_stats_are_the_runners_state():
    client = DiffusionClient(ScriptedRunner([]))
    assert (await client.health())["models_loaded"] == ["sd-inpainting"]
    assert "counters" not in await client.health()
    assert (await client.stats())["counters"] == {"unet_forwards": 3}


def busy(status):
    from http import HTTPStatus

    return BentoMLException("x", error_code=HTTPStatus(status))


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (aiohttp.ClientConnectionError(), NotReady),
        (ConnectionRefusedError(), NotReady),
        (ServiceUnavailable("no"), NotReady),
        (aiohttp.ServerDisconnectedError(), NotReady),
        (aiohttp.ClientPayloadError(), NotReady),
        (aiohttp.ServerTimeoutError(), Timeout),
        (TimeoutError(), Timeout),
        (busy(504), Timeout),
        (busy(500), ModelError),
        (ValueError(), ModelError),
        (FrameError("the stream ended without a result"), ModelError),
        (ContentPolicy("mine"), ContentPolicy),
    ],
    ids=repr,
)
def test_every_transport_failure_has_its_class(error, ours):
    assert type(transport_error(error, "diffusion runner")) is ours
