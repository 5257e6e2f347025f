"""Whether torch.compile can work on a GPU of this machine: Triton compiles C when a graph first runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping

C_COMPILERS = ("gcc", "clang")


def reason_not_to_compile(
    environment: Mapping[str, str] | None = None,
    *,
    which: Callable[[str], str | None] = shutil.which,
    has_module: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
) -> str | None:
    """What is missing, in words; None when nothing is. An image has neither unless it was built with COMPILE=1."""
    env = os.environ if environment is None else environment
    if not has_module("triton"):
        return "Triton is not installed"
    if not env.get("CC") and not any(which(name) for name in C_COMPILERS):
        return "there is no C compiler (gcc or clang)"
    return None
