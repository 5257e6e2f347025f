"""One plan per server: the first process makes it, the others read it; the configuration is complete afterwards."""

from __future__ import annotations

import json

import pytest

from composition.config import Config
from models_store.plan.decided import VARIABLE, decide, planned, resolve, wishes_of
from models_store.plan.machine import GIB, Card, Machine
from tests.unit.models_store.headers import write_header


@pytest.fixture(autouse=True)
def a_server_of_its_own(monkeypatch, store_folder) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)


def configuration(**sections) -> Config:
    return Config.model_validate({"models": {"profile": "sd15"}, **sections})


def machine(gib: int) -> Machine:
    card = Card(name="a card", total_bytes=gib * GIB, free_bytes=gib * GIB, capability=(8, 6))
    return Machine(cards=(card,), driver="580.1", torch_cuda="13.0")


def never() -> Machine:
    raise AssertionError("the machine was looked at again")


def test_a_later_process_finds_the_plan_that_the_first_one_made():
    first = decide(configuration(), lambda: machine(8))
    assert decide(configuration(), never) == first
    assert first.choice.offload


def test_another_configuration_gets_another_plan():
    decide(configuration(), lambda: machine(8))
    other = decide(configuration(generation={"max_rows": 4}), lambda: machine(24))
    assert (other.choice.max_rows, other.choice.offload) == (4, False)


def test_the_cpu_by_name_asks_for_no_card():
    assert decide(configuration(models={"profile": "sd15", "device": "cpu"}), never).card is None


def test_the_plan_stands_where_a_person_would_have_written_it():
    config = configuration()
    plan = decide(config, lambda: machine(8))
    resolved = resolve(config, plan)
    assert resolved.models.dtype == "float16"
    assert resolved.optimization.enable_model_offload is True
    assert resolved.optimization.one_perception_process is True
    assert resolved.generation.max_rows == plan.choice.max_rows
    assert resolved.generation.native_size == 512
    assert Config.model_validate(json.loads(resolved.model_dump_json(exclude={"queue", "api", "storage"}))) is not None


def test_without_a_card_the_configuration_stays_but_for_what_was_open(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    resolved = planned(configuration(generation={"native_size": 768}))
    assert (resolved.models.dtype, resolved.generation.native_size, resolved.generation.max_rows) == ("auto", 768, 16)
    assert resolved.optimization.offloads is False


def test_fewer_checkpoints_stay_loaded_where_the_plan_says_so(tmp_path, monkeypatch):
    names = ("one", "two", "three")
    for name in names:
        write_header(tmp_path / name / "unet" / "weights.safetensors", {"weight": (860, 1_000_000)})
    checkpoints = {name: str(tmp_path / name) for name in names}
    config = configuration(models={"profile": "sd15", "checkpoints": checkpoints, "max_loaded_checkpoints": 3})
    assert resolve(config, decide(config, lambda: machine(24))).models.max_loaded_checkpoints == 3
    monkeypatch.delenv(VARIABLE)
    assert resolve(config, decide(config, lambda: machine(8))).models.max_loaded_checkpoints == 1


def test_fused_loras_are_planned_with_their_limit_and_others_are_not():
    fused = configuration(loras={"fused": True, "max_loaded_mb": 3000})
    assert wishes_of(fused).fused_loras_bytes == 3000 << 20
    assert wishes_of(configuration(loras={"max_loaded_mb": 3000})).fused_loras_bytes == 0
