"""Verification notices every way in which files can differ from what was imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store.entries import FileRecord, record
from models_store.verification import compare_files


@pytest.fixture
def imported(tmp_path: Path) -> dict[str, FileRecord]:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.bin").write_bytes(b"abc")
    return {path: record(tmp_path / path) for path in ("config.json", "unet/weights.bin")}


def test_untouched_files_are_fine(tmp_path: Path, imported: dict[str, FileRecord]) -> None:
    (tmp_path / "model.yaml").write_text("BentoML's own")
    assert compare_files(tmp_path, imported) == []


def test_a_lost_file_is_missing(tmp_path: Path, imported: dict[str, FileRecord]) -> None:
    (tmp_path / "unet" / "weights.bin").unlink()
    assert compare_files(tmp_path, imported) == ["unet/weights.bin is missing"]


def test_a_flipped_byte_of_the_same_size_is_noticed(tmp_path: Path, imported: dict[str, FileRecord]) -> None:
    (tmp_path / "unet" / "weights.bin").write_bytes(b"abd")
    assert compare_files(tmp_path, imported) == ["unet/weights.bin is not what was imported"]


def test_a_stray_file_is_noticed(tmp_path: Path, imported: dict[str, FileRecord]) -> None:
    (tmp_path / "extra.bin").write_bytes(b"")
    assert compare_files(tmp_path, imported) == ["extra.bin was not imported"]
