"""The machine that this runs on -> facts. Asks the driver's own program, and no model framework.

nvidia-smi tells the free memory without a CUDA context of our own, which would take some of it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from models_store.plan.machine import MIB, Card, Machine, find_cuda_fault

_SMI_TIMEOUT_S = 10.0
_QUERY = "uuid,name,memory.total,memory.free,compute_cap,driver_version"
_COMPILERS = ("cc", "gcc", "clang")

Smi = Callable[[], str | None]
"""Gives what `nvidia-smi --query-gpu=... --format=csv,noheader,nounits` prints; None where it cannot."""


def find_machine(disk: Path, environment: Mapping[str, str] = os.environ, smi: Smi | None = None) -> Machine:
    """All facts. `disk` is a folder on the file system whose room counts, or that will be on it."""
    cards, driver = find_cards(environment, smi or (lambda: ask_smi(environment)))
    torch_cuda = find_torch_cuda()
    return Machine(
        cards=cards,
        driver=driver,
        torch_cuda=torch_cuda,
        cuda_fault=find_cuda_fault(cards, driver, torch_cuda),
        cores=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        disk_free_bytes=room_at(disk),
        compiler=find_compiler(environment),
        onnx_providers=_onnx_providers(),
    )


def find_gpus(environment: Mapping[str, str] = os.environ) -> Machine:
    """Just what a plan needs, for a start that should not take long."""
    cards, driver = find_cards(environment, lambda: ask_smi(environment))
    torch_cuda = find_torch_cuda()
    return Machine(
        cards=cards, driver=driver, torch_cuda=torch_cuda, cuda_fault=find_cuda_fault(cards, driver, torch_cuda)
    )


def ask_smi(environment: Mapping[str, str]) -> str | None:
    """What nvidia-smi says; None where it is not there or fails."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return None
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(  # noqa: S603  the program that the driver installs
            command, capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout if said.returncode == 0 else None


def find_cards(environment: Mapping[str, str], smi: Smi) -> tuple[tuple[Card, ...], str | None]:
    """The cards that CUDA_VISIBLE_DEVICES leaves, and the driver's version."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None and chosen.strip() in ("", "-1", "NoDevFiles"):
        return (), None
    said = smi()
    found: list[tuple[str, Card]] = []
    driver = None
    for line in (said or "").splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 6 or not (fields[2].isdecimal() and fields[3].isdecimal()):
            continue  # a card that is lost answers with words
        uuid, name, total, free, capability, driver = fields
        major, _, minor = capability.partition(".")
        numbers = (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)
        card = Card(name=name, total_bytes=int(total) * MIB, free_bytes=int(free) * MIB, capability=numbers)
        found.append((uuid, card))
    return tuple(_visible(found, chosen)), driver


def _visible(found: Sequence[tuple[str, Card]], chosen: str | None) -> list[Card]:
    """As CUDA reads the variable: numbers or the beginnings of UUIDs, up to the first that there is none of."""
    if chosen is None:
        return [card for _, card in found]
    kept = []
    for name in chosen.split(","):
        name = name.strip()
        if name.isdecimal() and int(name) < len(found):
            kept.append(found[int(name)][1])
            continue
        named = [card for uuid, card in found if not name.isdecimal() and uuid.startswith(name)]
        if not named:
            break
        kept += named[:1]
    return kept


def find_torch_cuda() -> str | None:
    """The CUDA version that the installed torch is built for, read from its files: importing it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", text, flags=re.MULTILINE)
    return match[1] if match else None


def find_compiler(environment: Mapping[str, str] = os.environ) -> str | None:
    """The C compiler that torch.compile's kernels are built with; None without one, or without Python's headers."""
    programs = (
        shutil.which(name, path=environment.get("PATH")) for name in (environment.get("CC"), *_COMPILERS) if name
    )
    compiler = next((program for program in programs if program), None)
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return compiler if headers.is_file() else None


def _onnx_providers() -> tuple[str, ...]:
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def room_at(folder: Path) -> int:
    """Bytes that are free on the file system where a folder is or would be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
