import asyncio
import pickle
import threading

import aiohttp
import numpy as np
import pytest
from bentoml.exceptions import BentoMLException, InternalServerError, ServiceUnavailable

from composition.errors import InvalidInput, ModelError, NoDetection, NotReady, Timeout
from runners.remote import Answer, Failure, Parcel, RunnerClient


class EchoRunner:
    """A runner in this process: what it is told to answer, and on which threads it ran."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.threads = set()
        self.asked = []

    def echo(self, items):
        self.threads.add(threading.current_thread())
        self.asked += [item.content for item in items]
        return self.answers or [Answer(item.content) for item in items]

    async def state(self):
        return {"models_loaded": ["echo"]}


class RemoteRunner:
    """Stands for BentoML's proxy: `to_async` has the methods as coroutines."""

    def __init__(self, outcome):
        self.outcome = outcome

    @property
    def to_async(self):
        return self

    async def echo(self, items):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_a_runner_in_this_process_is_asked_off_the_event_loop_on_one_thread():
    runner = EchoRunner()
    client = RunnerClient(runner, name="echo")

    assert await asyncio.gather(*[client.ask("echo", number) for number in range(8)]) == list(range(8))
    assert len(runner.threads) == 1
    assert threading.main_thread() not in runner.threads


async def test_a_remote_runner_is_awaited():
    assert await RunnerClient(RemoteRunner([Answer(5)]), name="echo").ask("echo", 5) == 5


@pytest.mark.parametrize("make", [EchoRunner, lambda answer: RemoteRunner([answer])])
async def test_a_failure_becomes_the_error_that_it_was(make):
    failure = Failure.of(NoDetection("nothing like a unicorn", details={"target": "unicorn"}))

    with pytest.raises(NoDetection, match="unicorn") as caught:
        await RunnerClient(make(Answer(failure)), name="echo").ask("echo", 1)

    assert caught.value.details == {"target": "unicorn"}


async def test_a_runners_state_is_told_while_a_batch_runs():
    class BusyRunner(EchoRunner):
        def __init__(self):
            super().__init__()
            self.started, self.may_end = threading.Event(), threading.Event()

        def echo(self, items):
            self.started.set()
            assert self.may_end.wait(10)
            return super().echo(items)

    runner = BusyRunner()
    client = RunnerClient(runner, name="echo")
    batch = asyncio.create_task(client.ask("echo", 1))
    await asyncio.to_thread(runner.started.wait, 10)

    assert await client.call("state") == {"models_loaded": ["echo"]}
    assert not batch.done()
    runner.may_end.set()
    assert await batch == 1


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (ServiceUnavailable("overloaded"), NotReady),
        (aiohttp.ClientConnectionError("refused"), NotReady),
        (aiohttp.ServerDisconnectedError(), NotReady),
        (ConnectionRefusedError(), NotReady),
        (FileNotFoundError("no such socket"), NotReady),
        (TimeoutError(), Timeout),
        (aiohttp.ServerTimeoutError(), Timeout),
        (BentoMLException("late", error_code=504), Timeout),
        (InternalServerError("a private text"), ModelError),
        (BentoMLException("a private text"), ModelError),
    ],
)
async def test_every_way_in_which_a_call_can_fail_is_ours(foreign, ours):
    with pytest.raises(ours) as caught:
        await RunnerClient(RemoteRunner(foreign), name="echo").ask("echo", 1)

    assert type(caught.value) is ours
    assert "private" not in caught.value.message


async def test_a_runner_that_is_away_says_when_to_come_back():
    with pytest.raises(NotReady) as caught:
        await RunnerClient(RemoteRunner(ServiceUnavailable("x")), name="echo").ask("echo", 1)

    assert caught.value.retry_after_s == 5


@pytest.mark.parametrize("answers", [[], [Answer(1), Answer(2)]])
async def test_an_answer_too_few_or_too_many_is_not_taken_for_mine(answers):
    with pytest.raises(ModelError):
        await RunnerClient(RemoteRunner(answers), name="echo").ask("echo", 1)


def test_parcels_and_failures_survive_the_hop():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    sent = [Parcel(image), Answer(Failure.of(InvalidInput("no", details={"field": "x"})))]

    received = pickle.loads(pickle.dumps(sent, protocol=5))  # noqa: S301  what BentoML does between processes

    assert np.array_equal(received[0].content, image)
    with pytest.raises(InvalidInput):
        received[1].unwrap()
