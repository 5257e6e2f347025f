"""A runner in this process takes its calls in turn."""

from __future__ import annotations

import asyncio
import threading

from runners.remote import Answer, RunnerClient


async def test_a_second_call_does_not_begin_before_the_first_has_ended():
    class Runner:
        def __init__(self):
            self.begun, self.overlapped, self.second = 0, False, threading.Event()

        def echo(self, items):
            self.begun += 1
            if self.begun == 2:
                self.second.set()
            else:
                self.overlapped = self.second.wait(0.3)  # for what must not happen
            return [Answer(item.content) for item in items]

    runner = Runner()
    client = RunnerClient(runner, name="echo")
    assert await asyncio.gather(client.ask("echo", 1), client.ask("echo", 2)) == [1, 2]
    assert not runner.overlapped
