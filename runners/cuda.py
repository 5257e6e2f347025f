"""Whether torch can really use CUDA here, and if not, whether somebody expects it to.

torch answers "no" alike where there is no GPU and where there is one behind a driver that is too old; these are told
apart, as the second is a fault that somebody wants to know of.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

DEVICES = Path("/dev")
_SMI_TIMEOUT_S = 10.0
_HIDDEN = ("", "-1", "NoDevFiles")


@dataclass(frozen=True, kw_only=True)
class Cuda:
    """What was found.

    Attributes:
        fault: why torch cannot use CUDA, one line; None where it can.
        sign: what shows that there is an NVIDIA GPU all the same, or that one is expected; None without any, and
            where CUDA_VISIBLE_DEVICES hides every GPU on purpose.
    """

    fault: str | None
    sign: str | None

    @property
    def works(self) -> bool:
        return self.fault is None

    @property
    def account(self) -> str:
        """For a person: what is there, why it is not used, what to do. Only where it does not work."""
        assert self.fault is not None
        seen = f"a GPU seems to be there ({self.sign}), yet " if self.sign else ""
        return f"{seen}torch cannot use CUDA: {self.fault}. {_advice(self.fault)}"


def find_cuda(environment: Mapping[str, str] | None = None) -> Cuda:
    """Ask torch, by a real calculation, and where it says no look for signs of a GPU."""
    environment = os.environ if environment is None else environment
    fault, complaint = _ask_torch()
    if fault is None:
        return Cuda(fault=None, sign=None)
    return Cuda(fault=fault, sign=_find_sign(environment, complaint))


def _ask_torch() -> tuple[str | None, bool]:
    """Why CUDA cannot be used, None where it can; and whether that is torch's own complaint about a GPU or driver."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if torch.cuda.is_available():
                # A GPU that this build has no kernels for counts as available.
                (torch.ones(1, device="cuda") + 1).item()
                return None, False
        except (RuntimeError, AssertionError) as error:
            return _first_sentence(error), True
    complaints = [_first_sentence(warning.message) for warning in said if "CUDA" in str(warning.message)]
    if complaints:
        return complaints[0], True
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA", False
    return "torch finds no CUDA device", False


def _find_sign(environment: Mapping[str, str], complaint: bool) -> str | None:
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None and chosen.strip() in _HIDDEN:
        return None
    if chosen is not None:
        return f"CUDA_VISIBLE_DEVICES={chosen}"
    if nodes := sorted(DEVICES.glob("nvidia[0-9]*")):
        return str(nodes[0])
    if listed := _ask_smi(environment):
        return listed
    if torch.cuda.device_count() > 0:
        return f"torch counts {torch.cuda.device_count()}"
    return "torch complains of it" if complaint else None


def _ask_smi(environment: Mapping[str, str]) -> str | None:
    """nvidia-smi comes with the driver: one that fails is a driver that does."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603  the program that the driver installs
            [program, "-L"], capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not answer: {type(error).__name__}"
    lines = (said.stdout or said.stderr).strip().splitlines()
    first = lines[0].strip() if lines else f"exit status {said.returncode}"
    return first if said.returncode == 0 else f"nvidia-smi fails: {first}"


def _advice(fault: str) -> str:
    lowered = fault.lower()
    if "driver" in lowered:
        do = f"Install an NVIDIA driver for CUDA {torch.version.cuda} or newer"
    elif "kernel image" in lowered:
        kinds = " ".join(torch.cuda.get_arch_list())
        do = f"This build of torch has kernels for {kinds} only: install one for your GPU"
    elif "built without cuda" in lowered:
        do = "Install the build of torch that requirements.lock names"
    elif "out of memory" in lowered:
        do = "Free the GPU's memory"
    else:
        do = "See what nvidia-smi says and whether this process may open /dev/nvidia*"
    return f"{do}, or set models.device to cpu to do without"


def _first_sentence(message: object) -> str:
    lines = str(message).strip().splitlines()
    return lines[0].partition(". ")[0].rstrip(". ") if lines else type(message).__name__
