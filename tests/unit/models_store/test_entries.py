"""Entries appear whole or not at all, one writer at a time."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import bentoml
import pytest
from bentoml.exceptions import BentoMLException

from models_store.entries import (
    FileRecord,
    entry_folder,
    exclusive,
    is_imported,
    publish,
    record,
    recorded_files,
    working_folder,
)

TAG = "composition-test-clip:v1"


def publish_files(tag: str, files: dict[str, bytes]) -> None:
    with exclusive() as staging:
        content = staging / "content"
        for path, data in files.items():
            (content / path).parent.mkdir(parents=True, exist_ok=True)
            (content / path).write_bytes(data)
        publish(tag, content, staging, {"role": "clip"})


def test_a_published_entry_is_bentomls(store_folder: Path) -> None:
    publish_files(TAG, {"config.json": b"{}", "unet/weights.bin": b"abc"})
    model = bentoml.models.get("composition-test-clip:latest")
    assert str(model.tag) == TAG
    assert model.info.metadata["role"] == "clip"
    assert Path(model.path, "unet/weights.bin").read_bytes() == b"abc"
    assert [str(found.tag) for found in bentoml.models.list()] == [TAG]


def test_the_import_records_every_file(store_folder: Path) -> None:
    publish_files(TAG, {"a": b"abc", "b/c": b""})
    expected = {
        "a": FileRecord(size_bytes=3, sha256=hashlib.sha256(b"abc").hexdigest()),
        "b/c": FileRecord(size_bytes=0, sha256=hashlib.sha256(b"").hexdigest()),
    }
    assert recorded_files(TAG) == expected
    assert {path: record(entry_folder(TAG) / path) for path in expected} == expected


def test_latest_is_the_version_that_came_last(store_folder: Path) -> None:
    publish_files("composition-test-clip:b", {"a": b"1"})
    publish_files("composition-test-clip:a", {"a": b"2"})
    assert Path(bentoml.models.get("composition-test-clip").path, "a").read_bytes() == b"2"


def test_a_failed_publication_leaves_nothing(store_folder: Path) -> None:
    def fail() -> None:
        with exclusive() as staging:
            (staging / "content").mkdir()
            publish("Not A Tag:v1", staging / "content", staging, {})

    with pytest.raises(BentoMLException, match="Invalid Tag"):
        fail()
    assert list(store_folder.iterdir()) == []
    assert not (working_folder() / "staging").exists()


def test_what_a_killed_writer_left_is_swept(store_folder: Path) -> None:
    left = working_folder() / "staging" / "store" / "half"
    left.mkdir(parents=True)
    (left / "weights.bin").write_bytes(b"ab")
    with exclusive() as staging:
        assert list(staging.iterdir()) == []


def test_an_entry_without_metadata_is_not_imported_and_is_replaced(store_folder: Path) -> None:
    half = entry_folder(TAG)
    half.mkdir(parents=True)
    (half / "stale.bin").write_bytes(b"x")
    assert not is_imported(TAG)
    publish_files(TAG, {"config.json": b"{}"})
    assert is_imported(TAG)
    assert set(recorded_files(TAG)) == {"config.json"}
    assert not (half / "stale.bin").exists()


def test_writers_take_turns(store_folder: Path) -> None:
    inside = 0
    most = 0
    guard = threading.Lock()
    start = threading.Barrier(4)

    def write(number: int) -> None:
        nonlocal inside, most
        start.wait()
        with exclusive() as staging:
            with guard:
                inside += 1
                most = max(most, inside)
            content = staging / "content"
            content.mkdir()
            (content / "number").write_text(str(number))
            publish(f"composition-test-clip:v{number}", content, staging, {})
            with guard:
                inside -= 1

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert most == 1
    for number in range(4):
        assert (entry_folder(f"composition-test-clip:v{number}") / "number").read_text() == str(number)
