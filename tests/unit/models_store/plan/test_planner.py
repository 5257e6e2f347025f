"""Cards of every size get a plan whose parts are less than what is free; what is set by hand stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from composition.config import ModelsConfig
from models_store.plan.machine import GIB, MIB, Card, Machine
from models_store.plan.needs import Needs, needs_of
from models_store.plan.planner import CONTEXT_BYTES, Choice, Plan, Wishes, make_plan, parts_of
from models_store.plan.words import summary, table
from models_store.store import ModelSet

ROOT = Path(__file__).resolve().parents[4]


def needs(profile: str) -> Needs:
    return needs_of(ModelSet(ModelsConfig(profile=profile)))


@pytest.fixture(autouse=True)
def nothing_imported(store_folder) -> None:
    """The manifest's figures count, as before an import."""


def card(gib: float, name: str = "NVIDIA GeForce RTX 3060") -> Card:
    """As a desktop leaves it: of 8 GiB about 7.6 are free."""
    total = int(gib * GIB)
    return Card(name=name, total_bytes=total, free_bytes=int(total * 0.96) - 100 * MIB, capability=(8, 6))


def plan(gib: float, profile: str = "sd15", *, name: str = "NVIDIA GeForce RTX 3060", cards: int = 1, **wishes) -> Plan:
    machine = Machine(cards=(card(gib, name),) * cards, driver="580.65.06", torch_cuda="13.0")
    return make_plan(machine, needs(profile), Wishes(**wishes))


@pytest.mark.parametrize("gib", [6, 8, 10, 12, 16, 24, 80])
def test_the_parts_add_up_to_less_than_is_free(gib):
    made = plan(gib)
    assert made.fits
    assert made.total_bytes == sum(part.size_bytes for part in made.parts) < card(gib).free_bytes
    assert made.choice.max_rows >= 2
    names = {part.name for part in made.parts}
    assert {"unet", "2 ControlNets", "headroom"} <= names


@pytest.mark.parametrize("gib", [16, 24, 80])
def test_sdxl_fits_from_sixteen_on_at_its_own_size(gib):
    made = plan(gib, "sdxl")
    assert made.fits
    assert made.choice.native_size == 1024
    assert made.total_bytes < card(gib).free_bytes


def test_each_size_of_card_gets_the_fastest_way_that_fits():
    ways = {gib: plan(gib).choice for gib in (6, 8, 12, 24)}
    assert (ways[24].offload, ways[24].one_perception_process, ways[24].images_together) == (False, False, 4)
    assert (ways[12].offload, ways[12].one_perception_process, ways[12].perception_visits) == (False, True, False)
    assert (ways[8].offload, ways[8].perception_visits, ways[8].perception_on_cpu) == (True, True, False)
    assert (ways[6].offload, ways[6].perception_on_cpu) == (True, True)
    assert [ways[gib].max_rows >= 8 for gib in (24, 12, 8)] == [True] * 3


@pytest.mark.parametrize(("wish", "shared"), [(None, True), (True, True), (False, False)])
def test_without_a_card_perception_shares_a_process_unless_told_otherwise(wish, shared):
    for device in ("cpu", "auto"):
        made = make_plan(Machine(), needs("sd15"), Wishes(device=device, one_perception_process=wish))
        assert made.choice.one_perception_process is shared


def test_every_part_of_the_profile_is_somewhere_in_a_plan_that_keeps_all_on_the_card():
    made = plan(80)
    weights = sum(part.size_bytes for part in made.parts if "work" not in part.name and "step" not in part.name)
    held = needs("sd15").components
    kept_out = sum(p.parameters for p in held if p.name.startswith("controlnet-")) - 2 * 361_279_120
    assert kept_out == 0
    expected = sum(p.bytes_at(2) for p in held) + 4 * CONTEXT_BYTES
    others = {
        p.name: p.size_bytes for p in made.parts if p.name in ("headroom", "kept embeddings", "decoding an image")
    }
    assert weights - sum(others.values()) == expected


def test_a_row_of_a_larger_image_costs_as_much_more_as_it_has_pixels():
    small, large = (parts_of(Choice(native_size=px, max_rows=4), card(80), needs("sd15")) for px in (512, 1024))
    by_name = [{part.name: part.size_bytes for part in parts} for parts in (small, large)]
    for name in ("a step of 4 rows", "decoding an image"):
        assert by_name[1][name] == 4 * by_name[0][name]


def test_float32_doubles_what_is_not_in_float32_anyway():
    half, full = (
        {p.name: p.size_bytes for p in parts_of(Choice(dtype=dtype), card(80), needs("sd15"))}
        for dtype in ("float16", "float32")
    )
    assert full["unet"] == 2 * half["unet"]
    assert full["grounding-dino"] == half["grounding-dino"] == 4 * 232_315_264


def test_int8_weighs_about_half_of_half_precision():
    plain = {p.name: p.size_bytes for p in plan(80).parts}
    int8 = {p.name: p.size_bytes for p in plan(80, int8=("controlnets", "image_encoder")).parts}
    for name in ("2 ControlNets", "image_encoder"):
        assert 0.5 < int8[name] / plain[name] < 0.53
    assert int8["unet"] == plain["unet"]


@pytest.mark.parametrize(
    ("wish", "value", "key"),
    [
        ("dtype", "bfloat16", "models.dtype: bfloat16"),
        ("offload", False, "optimization.enable_model_offload: false"),
        ("max_rows", 4, "generation.max_rows: 4"),
        ("native_size", 768, "generation.native_size: 768"),
        ("one_perception_process", False, "optimization.one_perception_process: false"),
        ("int8", ("unet",), "optimization.int8: unet"),
    ],
)
@pytest.mark.parametrize("gib", [6, 24])
def test_what_is_set_by_hand_wins_and_the_plan_says_so(wish, value, key, gib):
    made = plan(gib, **{wish: value})
    assert getattr(made.choice, wish) == value
    assert made.by_hand == (key,)
    assert any(line == f"set by hand: {key}" for line in summary(made))


def test_what_does_not_fit_is_said_with_the_ways_out():
    made = plan(4)
    assert not made.fits
    said = "\n".join(summary(made))
    assert "this does not fit: " in said
    assert "models.device: cpu" in said
    assert "int8" in said


def test_int8_is_taken_by_itself_only_where_the_profile_does_not_fit_otherwise():
    assert [plan(gib).choice.int8 for gib in (6, 8, 12, 24)] == [()] * 4
    made = plan(12, "sdxl")
    assert made.fits
    assert made.choice.int8 == ("controlnets", "image_encoder")
    assert any("held as int8" in remark for remark in made.remarks)


def with_checkpoints(profile: str, count: int) -> Needs:
    """As many checkpoints beside the base model, each as large as it."""
    own = needs(profile)
    names = ("unet", "vae", "text_encoder", "text_encoder_2")
    return replace(own, checkpoints=(tuple(part for part in own.components if part.name in names),) * count)


def plan_with(gib: float, count: int, profile: str = "sd15", **wishes) -> Plan:
    machine = Machine(cards=(card(gib),), driver="580.65.06", torch_cuda="13.0")
    return make_plan(machine, with_checkpoints(profile, count), Wishes(**wishes))


@pytest.mark.parametrize("loaded", [1, 2, 3])
@pytest.mark.parametrize("gib", [8, 12, 24])
def test_every_checkpoint_that_may_be_resident_is_counted_and_fits(gib, loaded):
    made = plan_with(gib, 3, max_checkpoints=loaded)
    assert made.fits
    assert made.total_bytes < card(gib).free_bytes
    sizes = {part.name: part.size_bytes for part in made.parts}
    each = sum(
        part.bytes_at(2) for part in with_checkpoints("sd15", 1).checkpoints[0]
        if part.name == "unet" or not made.choice.offload
    )  # fmt: skip
    held = made.choice.max_checkpoints
    assert 1 <= held <= loaded
    assert sizes[f"other checkpoints, {held} at once"] == held * each


@pytest.mark.parametrize("loaded", [1, 2, 3])
def test_sdxls_checkpoints_are_counted_too(loaded):
    made = plan_with(24, 3, "sdxl", max_checkpoints=loaded)
    assert made.fits
    assert made.total_bytes < card(24).free_bytes
    assert made.choice.max_checkpoints >= 1


def test_a_large_card_keeps_as_many_as_it_may_and_a_small_one_fewer_and_says_so():
    assert plan_with(24, 3, max_checkpoints=3).choice.max_checkpoints == 3
    made = plan_with(8, 3, max_checkpoints=3)
    assert made.choice.max_checkpoints == 1
    assert (
        "checkpoints beside the base model: 1 at once, not 3, as the card has no room;"
        " going from one to another loads it from the disk"
    ) in made.remarks


def test_where_a_checkpoint_is_too_much_it_is_among_the_ways_out():
    assert plan(16, "sdxl").fits
    made = plan_with(16, 1, "sdxl")
    assert not made.fits
    assert "leave models.checkpoints empty" in "\n".join(summary(made))


def test_no_more_checkpoints_are_counted_than_there_are():
    assert plan_with(80, 1, max_checkpoints=3).choice.max_checkpoints == 1
    assert plan_with(80, 0, max_checkpoints=3).parts == plan(80).parts


def test_what_a_checkpoint_brings_and_no_step_needs_visits_with_the_bases():
    kept, visiting = (
        sum(part.size_bytes for part in plan_with(80, 1, offload=offload).parts if "checkpoints" in part.name)
        for offload in (False, True)
    )
    unet = next(part for part in needs("sd15").components if part.name == "unet")
    assert visiting == unet.bytes_at(2) < kept


@pytest.mark.parametrize("gib", [12, 24])
def test_fused_loras_are_named_and_fit_with_the_rest(gib):
    assert not any("LoRAs" in part.name for part in plan(gib).parts)
    made = plan(gib, fused_loras_bytes=GIB)
    (part,) = (part for part in made.parts if part.name == "fused LoRAs")
    held = {component.name: component.bytes_at(2) for component in needs("sd15").components}
    assert part.size_bytes == held["unet"] + held["text_encoder"], "one set is kept, even one that changes every layer"
    assert made.fits
    assert made.total_bytes < card(gib).free_bytes
    more = plan(80, fused_loras_bytes=5 * GIB)
    assert next(part.size_bytes for part in more.parts if part.name == "fused LoRAs") == 5 * GIB


def row(profile: str, gib: int) -> str:
    """As in the table of docs/memory.md."""
    made = plan(gib, profile)
    choice = made.choice
    perception = (
        "on the CPU" if choice.perception_on_cpu
        else "visit, one process" if choice.perception_visits
        else "stay, one process" if choice.one_perception_process
        else "stay, a process each"
    )  # fmt: skip
    cells = [
        profile, f"{gib} GB", f"{card(gib).free_bytes / GIB:.1f}", f"{made.total_bytes / GIB:.1f}",
        "visit" if choice.offload else "stay", perception, "yes" if choice.int8 else "no", choice.max_rows,
        choice.native_size, "yes" if made.fits else "no",
    ]  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


@pytest.mark.parametrize("profile", ["sd15", "sdxl"])
@pytest.mark.parametrize("gib", [6, 8, 12, 16, 24, 80])
def test_the_documented_table_is_what_the_planner_says(profile, gib):
    assert row(profile, gib) in (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")


def test_a_card_whose_half_precision_is_flawed_runs_in_float32():
    made = plan(6, name="NVIDIA GeForce GTX 1660 SUPER")
    assert made.choice.dtype == "float32"
    assert any("black images" in remark for remark in made.remarks)


def test_a_second_card_is_told_and_the_first_one_counts():
    made = plan(12, cards=2)
    assert made.cards == 2
    assert "and 1 more, with a diffusion runner each" in summary(made)[0]
    assert made.total_bytes < card(12).free_bytes


def test_without_a_card_everything_runs_on_the_cpu():
    made = make_plan(Machine(), needs("demo"), Wishes())
    assert (made.card, made.parts, made.choice.dtype, made.choice.max_rows) == (None, (), "auto", 16)
    assert summary(made) == ["everything runs on the CPU, at 256 px"]
    assert table(made) == []


def test_a_card_behind_an_old_driver_is_not_planned_with_and_the_reason_is_given():
    fault = "driver 470.1 is too old for CUDA 13.0: install NVIDIA driver 580 or newer"
    made = make_plan(Machine(cards=(card(24),), driver="470.1", cuda_fault=fault), needs("sd15"), Wishes())
    assert made.card is None
    assert made.remarks == (f"the GPU is not used: {fault}",)


def test_the_cpu_by_name_leaves_the_card_alone():
    made = plan(24, device="cpu")
    assert made.card is None
    assert made.by_hand == ("models.device: cpu",)


def test_the_table_has_the_largest_part_first_and_the_sum_last():
    made = plan(8)
    lines = table(made)
    sizes = [float(line.split()[0]) for line in lines]
    assert sizes[:-2] == sorted(sizes[:-2], reverse=True)
    assert lines[-2].endswith("smaller parts")
    assert lines[-1].split(maxsplit=2)[2] == "together"
    assert sizes[-1] == pytest.approx(made.total_bytes / GIB, abs=0.01)
