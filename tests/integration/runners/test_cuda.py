"""A GPU that torch cannot use is told apart from none at all."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
import torch

from runners import cuda
from runners.cuda import find_cuda
from runners.device import DeviceUnavailable, choose_device

pytestmark = pytest.mark.integration

TOO_OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx "
    "(Triggered internally at /pytorch/c10/cuda/CUDAFunctions.cpp:119.)"
)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch, tmp_path):
    """A machine without any sign of a GPU; the tests put the signs there."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(cuda, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


def driver_too_old(monkeypatch):
    def unavailable():
        warnings.warn(TOO_OLD, stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)


def plant_program(tmp_path: Path, text: str, status: int) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
    program.chmod(0o755)


def test_without_a_gpu_auto_takes_the_cpu_and_says_nothing(caplog):
    assert choose_device("auto") == torch.device("cpu")
    assert caplog.text == ""


def test_a_driver_that_is_too_old_is_named_with_what_to_do(monkeypatch, caplog):
    driver_too_old(monkeypatch)
    assert choose_device("auto") == torch.device("cpu")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    said = record.getMessage()
    assert "RUN ON THE CPU" in said
    assert "driver on your system is too old (found version 11040)" in said
    assert f"Install an NVIDIA driver for CUDA {torch.version.cuda} or newer" in said
    assert "\n" not in said


def test_cuda_by_name_is_refused_in_one_line_with_the_reason(monkeypatch):
    driver_too_old(monkeypatch)
    with pytest.raises(DeviceUnavailable) as caught:
        choose_device("cuda")
    said = str(caught.value)
    assert said.startswith("models.device is cuda, but ")
    assert "too old" in said
    assert "models.device to cpu" in said
    assert "\n" not in said


def test_cpu_by_name_asks_and_says_nothing(monkeypatch, caplog):
    driver_too_old(monkeypatch)
    assert choose_device("cpu") == torch.device("cpu")
    assert caplog.text == ""


def test_a_gpu_that_counts_as_available_and_fails_is_not_taken(monkeypatch, caplog):
    def fail(*arguments, **options):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])
    monkeypatch.setattr(torch, "ones", fail)
    assert choose_device("auto") == torch.device("cpu")
    assert "no kernel image is available" in caplog.text
    assert "kernels for sm_80 sm_90 only" in caplog.text


def test_a_gpu_that_works_is_taken(monkeypatch, caplog):
    ones = torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch, "ones", lambda *size, device: ones(*size))
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 1)
    assert caplog.text == ""


@pytest.mark.parametrize("sign", ["device file", "variable", "nvidia-smi", "broken nvidia-smi", "count"])
def test_each_sign_of_a_gpu_makes_auto_warn(sign, monkeypatch, tmp_path, caplog):
    if sign == "device file":
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev" / "nvidia0").touch()
    elif sign == "variable":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    elif sign == "nvidia-smi":
        plant_program(tmp_path, "GPU 0: NVIDIA GeForce RTX 3060", 0)
    elif sign == "broken nvidia-smi":
        plant_program(tmp_path, "NVIDIA-SMI has failed", 9)
    else:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    shown = {
        "device file": "/dev/nvidia0",
        "variable": "CUDA_VISIBLE_DEVICES=0",
        "nvidia-smi": "GPU 0: NVIDIA GeForce RTX 3060",
        "broken nvidia-smi": "nvidia-smi fails: NVIDIA-SMI has failed",
        "count": "torch counts 2",
    }[sign]
    assert choose_device("auto") == torch.device("cpu")
    assert shown in caplog.text
    assert "RUN ON THE CPU" in caplog.text


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_gpus_that_are_hidden_on_purpose_are_no_reason_to_warn(hidden, monkeypatch, tmp_path, caplog):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert choose_device("auto") == torch.device("cpu")
    assert caplog.text == ""


def test_a_build_of_torch_without_cuda_beside_a_gpu_says_so(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    found = find_cuda({"CUDA_VISIBLE_DEVICES": "0"})
    assert "is built without CUDA" in found.account
    assert "requirements.lock" in found.account
