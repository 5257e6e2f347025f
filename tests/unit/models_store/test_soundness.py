"""Files that are not what they are called do not pass."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from models_store.soundness import find_fault

WEIGHTS = save({"a": np.zeros((3, 4), dtype=np.float32), "b": np.ones(5, dtype=np.float16)})
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 134399116\n"


def test_whole_files_pass(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        archive.writestr("data.pkl", b"x")
    (tmp_path / "merges.txt").write_text("#version: 0.2")
    assert [find_fault(path) for path in sorted(tmp_path.iterdir())] == [None] * 4


@pytest.mark.parametrize("name", ["a.json", "a.safetensors", "a.onnx", "a.bin"])
@pytest.mark.parametrize("content", [POINTER, b"<html>404</html>"])
def test_a_pointer_or_an_error_page_is_no_model(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert (find_fault(tmp_path / name) or "").startswith("is not")


def test_an_empty_file_is_a_fault_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").touch()
    assert find_fault(tmp_path / "merges.txt") == "is empty"


@given(length=st.integers(min_value=1, max_value=len(WEIGHTS) - 1))
def test_truncated_weights_never_pass(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.getbasetemp() / "truncated.safetensors"
    path.write_bytes(WEIGHTS[:length])
    assert find_fault(path) is not None


def test_weights_with_something_after_them_do_not_pass(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(WEIGHTS + b"x")
    assert find_fault(tmp_path / "a.safetensors") == f"has {len(WEIGHTS) + 1} bytes instead of {len(WEIGHTS)}"
