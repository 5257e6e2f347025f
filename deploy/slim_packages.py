"""While an image is built: takes out of an environment what no service needs, and torch's part to a tree of its own.

    python slim_packages.py /app/.venv /heavy

Torch and its libraries are most of an image and change seldom, so they are a layer of their own. The figures that are
printed are what the image test reports.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

HEAVY = ("torch", "nvidia", "triton", "cuda")
"""Packages that go to the tree of their own, with their metadata where they are."""
SUPERFLUOUS = (
    "*/tests",
    "*/test",
    "*/*/tests",
    "*/*/*/tests",
    "onnx/backend/test/data",
    "skimage/data",
    "**/*.pyi",
    "**/*.pxd",
    "**/*.a",
)
"""Tests, headers, type stubs and static libraries: what builds and checks a package, not what runs it."""
FOR_COMPILERS = ("torch/include", "torch/share")
IMPORTED = (
    *("__init__.py", "auto", "bert", "bloom", "clip", "convnext", "depth_anything", "dinov2", "dinov2_with_registers"),
    *("dpt", "encoder_decoder", "grounding_dino", "sam", "siglip", "swin", "vit_mae"),
)
NOT_COMPILED = re.compile(rf"/transformers/models/(?!({'|'.join(map(re.escape, IMPORTED))})($|/))")
"""Families of models that no runner imports, 52 MB of compiled code. One that is imported is compiled then."""
NEEDED = ("torch/testing", "numpy/testing", "numpy/_core/tests")


def slim(environment: Path, heavy: Path, *, compiles: bool) -> None:
    """Take out, move, and compile what is left, so that nothing is compiled at the first start."""
    (packages,) = environment.glob("lib/python*/site-packages")
    before = _size_mb(environment)
    for pattern in SUPERFLUOUS if compiles else (*SUPERFLUOUS, *FOR_COMPILERS):
        for path in list(packages.glob(pattern)):
            if not path.relative_to(packages).as_posix().startswith(NEEDED):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    without = _size_mb(environment)
    target = heavy / packages.relative_to(environment)
    target.mkdir(parents=True)
    for path in [packages / name for name in HEAVY if (packages / name).is_dir()]:
        shutil.move(path, target / path.name)
    for folder in (packages, target):
        mode = PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=2, workers=0, invalidation_mode=mode, rx=NOT_COMPILED)
    print(f"environment: {before} MB, taken out {before - without} MB; torch {_size_mb(heavy)} MB")
    print(f"others with compiled code: {_size_mb(environment)} MB")


def _size_mb(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) >> 20


if __name__ == "__main__":
    slim(Path(sys.argv[1]), Path(sys.argv[2]), compiles=bool(os.environ.get("COMPILE")))
