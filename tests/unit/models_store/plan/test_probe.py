"""What the driver's program and torch's files say, read as CUDA would read it; and an old driver found out."""

from __future__ import annotations

import pytest

from models_store.plan.machine import GIB, MIB, Card, find_cuda_fault
from models_store.plan.probe import ask_smi, find_cards, find_compiler, find_machine, find_torch_cuda

TWO = """\
GPU-aaaa, NVIDIA GeForce RTX 3060, 12288, 11800, 8.6, 580.65.06
GPU-bbbb, NVIDIA GeForce RTX 4090, 24564, 24000, 8.9, 580.65.06
"""


def names(environment: dict[str, str], said: str | None = TWO) -> list[str]:
    return [card.name.removeprefix("NVIDIA GeForce ") for card in find_cards(environment, lambda: said)[0]]


def test_a_card_is_read_with_its_memory_in_bytes():
    (first, _), driver = find_cards({}, lambda: TWO)
    assert first == Card(
        name="NVIDIA GeForce RTX 3060", total_bytes=12 * GIB, free_bytes=11800 * MIB, capability=(8, 6)
    )
    assert driver == "580.65.06"


@pytest.mark.parametrize(
    ("visible", "kept"),
    [
        ("0", ["RTX 3060"]),
        ("1,0", ["RTX 4090", "RTX 3060"]),
        ("GPU-bb", ["RTX 4090"]),
        ("1,7,0", ["RTX 4090"]),
        ("", []),
        ("-1", []),
    ],
)
def test_only_the_cards_that_cuda_will_show_count_in_its_order(visible, kept):
    assert names({"CUDA_VISIBLE_DEVICES": visible}) == kept


def test_a_card_that_is_lost_and_a_program_that_fails_are_no_cards():
    assert names({}, "GPU-cc, NVIDIA A100, [GPU is lost], [N/A], 8.0, 580.1\n" + TWO) == ["RTX 3060", "RTX 4090"]
    assert names({}, None) == names({}, "NVIDIA-SMI has failed") == []


def plant(folder, text: str, status: int = 0) -> dict[str, str]:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_the_program_is_asked_and_one_that_fails_says_nothing(tmp_path):
    assert (ask_smi(plant(tmp_path, TWO.strip())) or "").splitlines() == TWO.splitlines()
    assert ask_smi(plant(tmp_path, "no", 9)) is None
    assert ask_smi({"PATH": str(tmp_path / "nowhere")}) is None


CARD = Card(name="RTX 3060", total_bytes=GIB, free_bytes=GIB, capability=(8, 6))
OLD = Card(name="GTX 1080", total_bytes=GIB, free_bytes=GIB, capability=(6, 1))


@pytest.mark.parametrize(
    ("cards", "driver", "cuda", "fault"),
    [
        ((CARD,), "580.65.06", "13.0", None),
        ((CARD,), "570.1", "13.0", "driver 570.1 is too old for CUDA 13.0: install NVIDIA driver 580 or newer"),
        ((CARD,), "570.1", "12.8", None),
        ((CARD,), "470.1", "12.8", "driver 470.1 is too old for CUDA 12.8: install NVIDIA driver 525 or newer"),
        ((CARD,), "580.1", None, "torch is built without CUDA: install the build that requirements.lock names"),
        ((OLD,), "580.1", "13.0", "GTX 1080 has compute capability 6.1; torch for CUDA 13.0 needs 7.5 or newer"),
        ((OLD, CARD), "580.1", "13.0", None),
        ((), None, None, None),
    ],
)
def test_what_keeps_torch_from_a_card_is_known_without_torch(cards, driver, cuda, fault):
    assert find_cuda_fault(cards, driver, cuda) == fault


def test_this_machine_is_described(tmp_path):
    machine = find_machine(tmp_path / "not" / "there", {"PATH": str(tmp_path)}, lambda: TWO)
    assert len(machine.cards) == 2
    assert machine.torch_cuda == find_torch_cuda()
    assert machine.torch_cuda is None or machine.torch_cuda[0].isdecimal()
    assert machine.compiler is None, "no compiler on this path"
    assert "CPUExecutionProvider" in machine.onnx_providers
    assert machine.disk_free_bytes > 0
    assert machine.memory_bytes > 0


def test_a_compiler_is_found_on_the_path(tmp_path):
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(0o755)
    assert find_compiler({"PATH": str(tmp_path)}) == str(tmp_path / "gcc")
