"""What an image's environment is made of after `slim_packages`."""

from __future__ import annotations

from pathlib import Path

from deploy.slim_packages import slim

FILES = (
    "torch/nn.py",
    "torch/include/ATen.h",
    "transformers/__init__.py",
    "transformers/models/__init__.py",
    "transformers/models/clip/modeling_clip.py",
    "transformers/models/clipseg/modeling_clipseg.py",
    "transformers/models/zamba/modeling_zamba.py",
    "scipy/stats/tests/test_stats.py",
    "scipy/stats/_stats.pyi",
    "scipy/stats/_stats.py",
)


def test_what_no_start_imports_stays_source_and_tests_and_stubs_go(tmp_path: Path, capsys):
    packages = tmp_path / "environment/lib/python3.11/site-packages"
    for name in FILES:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("x = 1\n", encoding="utf-8")
    slim(tmp_path / "environment", tmp_path / "heavy", compiles=False)
    heavy = tmp_path / "heavy/lib/python3.11/site-packages"

    def files(folder: Path, pattern: str) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern) if path.is_file()}

    assert files(packages, "*.py*") - files(packages, "*.pyc") == {
        "transformers/__init__.py",
        "transformers/models/__init__.py",
        "transformers/models/clip/modeling_clip.py",
        "transformers/models/clipseg/modeling_clipseg.py",
        "transformers/models/zamba/modeling_zamba.py",
        "scipy/stats/_stats.py",
    }
    compiled = {path.split("/")[-1].partition(".")[0] for path in files(packages, "*.pyc")}
    assert compiled == {"__init__", "modeling_clip", "_stats"}
    assert len(files(packages, "__init__*.pyc")) == 2
    assert {name.partition(".")[0] for name in files(heavy, "*")} == {"torch/nn", "torch/__pycache__/nn"}
