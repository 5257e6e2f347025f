from __future__ import annotations

import pytest

from composition.config import Config, ConfigError
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings


def settings(on_cuda=False, no_compiler=None, **sections):
    return StableDiffusionSettings.from_config(
        Config.model_validate(sections), on_cuda=on_cuda, no_compiler=no_compiler
    )


def test_the_limits_are_the_configurations():
    chosen = settings(
        generation={"max_rows": 6, "guidance_start": 0.2, "guidance_end": 0.7},
        optimization={"cache_ttl_seconds": 60, "cache_max_mb": 2},
        models={"controlnet": {"max_loaded": 1, "load_on_demand": False}, "safety_checker": False},
    )
    assert (chosen.max_rows, chosen.guidance_start, chosen.guidance_end) == (6, 0.2, 0.7)
    assert (chosen.cache_ttl_s, chosen.cache_max_bytes) == (60, 2 * 1024 * 1024)
    assert (chosen.max_controlnets, chosen.preload_controlnets, chosen.safety_checker) == (1, True, False)


def test_a_cache_that_is_off_keeps_nothing():
    assert settings(optimization={"cache_preprocessors": False}).cache_max_bytes == 0


@pytest.mark.parametrize(
    ("wanted", "on_cuda", "compiles"),
    [("auto", True, True), ("auto", False, False), (True, False, True), (False, True, False)],
)
def test_auto_compiles_on_cuda_only(wanted, on_cuda, compiles):
    assert settings(on_cuda, generation={"enable_torch_compile": wanted}).compile_blocks is compiles


def test_without_a_compiler_auto_runs_eager_and_says_so(caplog):
    assert not settings(True, no_compiler="there is no C compiler").compile_blocks
    assert "everything runs eager, since there is no C compiler" in caplog.text


def test_without_a_compiler_compiling_that_is_asked_for_is_refused():
    with pytest.raises(ConfigError, match=r"generation\.enable_torch_compile: there is no C compiler"):
        settings(True, no_compiler="there is no C compiler", generation={"enable_torch_compile": True})


def test_offloading_needs_a_device_to_offload_from():
    assert settings(True, optimization={"enable_model_offload": True}).offload
    assert not settings(False, optimization={"enable_model_offload": True}).offload


def test_what_was_compiled_is_kept_in_the_storage_folder(tmp_path):
    assert settings(storage={"folder": str(tmp_path)}).compiled_folder == tmp_path / "compiled"


def test_checkpoints_share_the_room_of_the_sets_of_loras():
    assert settings(loras={"max_loaded_mb": 90}).shared_by(3).lora_max_bytes == 30 << 20


def test_loras_are_fused_only_where_that_is_asked_for_and_never_into_int8():
    assert not settings().fused_loras
    assert settings(loras={"fused": True}, optimization={"int8": ["controlnets"]}).fused_loras
    with pytest.raises(ConfigError, match=r"loras\.fused: LoRAs cannot be fused into int8"):
        settings(loras={"fused": True}, optimization={"int8": ["unet"]})
