"""The attacks of `make attack` in their short form: what must hold holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from benchmarks import attack
from benchmarks.attack import Target
from benchmarks.attack_outcome import Outcome
from benchmarks.server import Server, free_port
from tests.e2e.images import b64, encoded, photo

SHORT = {
    "pages": attack.pages,
    "forged_log_lines": attack.forged_log_lines,
    "tasks": attack.tasks,
    "native_bodies": lambda target: attack.native_bodies(target, megabytes=6),
    "hoarded_answers": lambda target: attack.hoarded_answers(target, count=60, side_px=1024),
    "refusals_of_a_full_queue": lambda target: attack.refusals_of_a_full_queue(target, tries=9, timed=False),
    "slow_heads": lambda target: attack.slow_heads(target, count=5, within_s=120),
    "websocket_wishes": lambda target: attack.websocket_wishes(target, count=attack.MAX_FILES),
    "idle_sockets": lambda target: attack.idle_sockets(target, count=300, timed=False),
    "guessed_keys": lambda target: attack.guessed_keys(target, count=100),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[Target]:
    log = tmp_path_factory.mktemp("attacked") / "serve.log"
    with Server(port=free_port(), log=log, environment=attack.ENVIRONMENT, command_prefix=attack.FEW_FILES) as server:
        server.wait_until_healthy()
        edit = {
            "base_image": b64(encoded(photo(256, 256), "png")),
            "prompt": "a red hat",
            "config": {"num_inference_steps": 2, "seed": 7},
        }
        yield Target(url=server.url, pid=server.pid, log=log, edit=edit)


def test_the_short_form_leaves_no_attack_out():
    assert SHORT.keys() == attack.LONG.keys()


@pytest.mark.parametrize("name", SHORT)
def test_an_attack_does_not_get_through(target: Target, name: str):
    made: Callable[[Target], Outcome] = SHORT[name]
    outcome = made(target)
    assert outcome.holds, outcome.figures
