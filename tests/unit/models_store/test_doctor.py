"""The doctor's verdict for machines that are made up: what is there, what would be used, what mends what is wrong."""

from __future__ import annotations

import pytest

from composition.config import Config, ModelsConfig
from models_store.cli import main
from models_store.doctor import Diagnosis, Stored, diagnose, stored_of
from models_store.plan.decided import wishes_of
from models_store.plan.machine import GIB, Card, Machine, find_cuda_fault
from models_store.plan.needs import needs_of
from models_store.plan.planner import make_plan
from models_store.store import ModelSet

IMPORTED = Stored(roles=("sd-inpainting",))


def machine(gib: float | None, *, driver: str = "580.65.06", **facts) -> Machine:
    cards = ()
    if gib is not None:
        free = int(gib * GIB * 0.95)
        cards = (Card(name="NVIDIA card", total_bytes=int(gib * GIB), free_bytes=free, capability=(8, 6)),)
    facts = {"memory_bytes": 32 * GIB, "disk_free_bytes": 100 * GIB, "compiler": "/usr/bin/gcc", "cores": 8} | facts
    fault = find_cuda_fault(cards, driver, "13.0")
    return Machine(cards=cards, driver=driver if cards else None, torch_cuda="13.0", cuda_fault=fault, **facts)


def ask(found: Machine, stored: Stored = IMPORTED, torch_says: str | None = None, **models) -> Diagnosis:
    config = Config.model_validate({"models": {"profile": "sd15", **models}})
    needs, wishes = needs_of(ModelSet(config.models)), wishes_of(config)
    plan = make_plan(found, needs, wishes)
    return diagnose(found, needs, plan, stored, wished_device=wishes.device, ask_torch=lambda: torch_says)


@pytest.mark.parametrize("gib", [6, 8, 12, 16, 24])
def test_a_card_of_each_size_can_serve_and_the_plan_is_told(gib, store_folder):
    found = ask(machine(gib))
    assert found.servable
    assert "NVIDIA card: " in found.plan[0]
    assert found.parts[-1].endswith("together")
    together = float(found.parts[-1].split()[0])
    assert together < gib * 0.95
    assert found.drawbacks == []
    assert found.lines("sd15")[-1] == "profile sd15 can be served here"


def test_without_a_card_it_is_served_by_the_cpu_and_slow(store_folder):
    found = ask(machine(None))
    assert found.servable
    assert found.plan == ["everything runs on the CPU, at 512 px"]
    assert found.drawbacks == ["there is no GPU: an edit takes minutes at this size"]


def test_an_old_driver_is_named_with_the_one_that_is_wanted(store_folder):
    found = ask(machine(24, driver="535.104"))
    assert found.servable
    said = "driver 535.104 is too old for CUDA 13.0: install NVIDIA driver 580 or newer"
    assert found.drawbacks == [f"everything runs on the CPU, many times slower: {said}"]
    assert f"the GPU is not used: {said}" in found.plan


def test_cuda_by_name_without_a_card_cannot_be_served(store_folder):
    found = ask(machine(None), device="cuda")
    assert found.faults == ["models.device is cuda, but there is no NVIDIA card that this process may use"]


def test_a_card_on_which_torch_fails_cannot_be_served(store_folder):
    (fault,) = ask(machine(24), torch_says="RuntimeError: no kernel image is available").faults
    assert fault.startswith("torch cannot calculate on NVIDIA card: RuntimeError: no kernel image")
    assert "models.device: cpu" in fault


def test_a_card_that_is_too_small_cannot_be_served(store_folder):
    found = ask(machine(3))
    assert found.faults == ["the profile does not fit on the card: see above, or set models.device: cpu"]


def test_what_is_not_imported_is_counted_and_the_command_given(store_folder):
    stored = stored_of(ModelSet(ModelsConfig(profile="sd15")))
    first, second = ask(machine(24, disk_free_bytes=2 * GIB), stored).faults
    assert first == f"{len(stored.missing)} of {len(stored.roles)} models are not imported (8.7 GiB): " + (
        "python -m models_store import sd15"
    )
    assert second.startswith("the disk has 2.0 GiB for these 8.7 GiB")


def test_a_missing_compiler_and_too_little_memory_are_drawbacks(store_folder):
    slow = ask(machine(24, compiler=None)).drawbacks
    assert [line.split(":")[0] for line in slow] == ["no C compiler with Python's headers"]
    (short,) = ask(machine(24, memory_bytes=2 * GIB)).drawbacks
    assert "2.0 are there" in short


def test_the_command_ends_with_one_where_nothing_is_imported(store_folder, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["doctor", "sd15"]) == 1
    said = capsys.readouterr().out
    assert "python -m models_store import sd15" in said
    assert "profile sd15 cannot be served here" in said
