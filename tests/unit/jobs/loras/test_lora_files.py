"""Every storage of LoRAs keeps the same rules."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from composition.config import Config, ConfigError
from composition.errors import NotFound, StorageAway
from jobs.loras.folder_lora_files import FolderLoraFiles
from jobs.loras.fsspec_lora_files import FsspecLoraFiles
from jobs.loras.opening import open_lora_store
from jobs.loras.s3_lora_files import S3LoraFiles
from tests.fakes.fake_lora_files import FakeLoraFiles

KEY = "0123456789abcdef0123456789abcdef"


def folder_files(tmp_path: Path):
    return FolderLoraFiles(tmp_path / "kept")


def fsspec_files(tmp_path: Path):
    fsspec.filesystem("memory").store.clear()
    return FsspecLoraFiles("memory://bucket/prefix")


def s3_files(tmp_path: Path):
    return S3LoraFiles("s3://images/prefix")


def fake_files(tmp_path: Path):
    return FakeLoraFiles()


@pytest.fixture(params=[folder_files, fsspec_files, s3_files, fake_files], ids=["folder", "fsspec", "s3", "fake"])
async def files(request, tmp_path):
    if request.param is s3_files:
        request.getfixturevalue("s3_server")
    opened = request.param(tmp_path)
    await opened.open()
    return opened


@pytest.fixture
def sent(tmp_path):
    path = tmp_path / "sent"
    path.write_bytes(b"weights")
    return path


async def test_a_file_comes_back_as_it_was(files, sent, tmp_path):
    await files.put(KEY, sent)
    sent.unlink()
    await files.fetch(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"weights"
    assert list(await files.keys()) == [KEY]


async def test_a_file_that_is_gone_is_not_found_and_is_deleted_twice_in_peace(files, sent, tmp_path):
    await files.put(KEY, sent)
    await files.delete(KEY)
    await files.delete(KEY)
    assert dict(await files.keys()) == {}
    with pytest.raises(NotFound):
        await files.fetch(KEY, tmp_path / "back")


async def test_an_owner_has_a_name_once(files):
    assert await files.add_record("ann", "ink", "first")
    assert not await files.add_record("ann", "ink", "second")
    assert await files.add_record("bob", "ink", "third")
    assert await files.add_record("ann", "oil", "fourth")
    assert sorted(await files.records("ann")) == ["first", "fourth"]
    assert sorted(await files.records()) == ["first", "fourth", "third"]
    assert await files.records("eve") == ()


async def test_a_record_is_removed_once(files):
    await files.add_record("ann", "ink", "first")
    assert await files.remove_record("ann", "ink")
    assert not await files.remove_record("ann", "ink")
    assert await files.records("ann") == ()
    assert await files.add_record("ann", "ink", "again")


async def test_a_folders_file_takes_its_place_once_and_is_readable_where_it_is(tmp_path, sent):
    files = folder_files(tmp_path)
    await files.open()
    await files.put(KEY, sent)
    path = files.path_of(KEY)
    assert path is not None
    assert path.samefile(sent)


async def test_what_a_crash_left_beside_the_records_is_removed_at_the_next_start(tmp_path):
    files = folder_files(tmp_path)
    await files.open()
    await files.add_record("ann", "ink", "first")
    half = tmp_path / "kept" / "records" / "ann" / ".half"
    half.write_text("{")
    assert await files.records("ann") == ("first",)
    await files.open()
    assert not half.exists()


async def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(ConfigError, match="nothing can be kept"):
        await folder_files(tmp_path).open()


async def test_a_broken_folder_is_told_as_storage(tmp_path, sent):
    files = folder_files(tmp_path)
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StorageAway, match="the storage of LoRAs cannot be used"):
        await files.put(KEY, sent)
    with pytest.raises(StorageAway):
        await files.add_record("ann", "ink", "first")


async def test_another_storages_own_errors_are_told_as_storage(tmp_path, sent):
    class Broken(FsspecLoraFiles):
        def _list(self, folder):
            raise RuntimeError("bucket on fire")

    files = Broken("memory://bucket")
    with pytest.raises(StorageAway, match="RuntimeError"):
        await files.keys()


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "FolderLoraFiles"),
        ({"storage": {"jobs": "memory", "blobs": "memory"}}, "FolderLoraFiles"),
        ({"queue": {"backend": "celery"}}, "RedisLoraFiles"),
        ({"queue": {"backend": "celery"}, "storage": {"blobs": "memory://bucket"}}, "FsspecLoraFiles"),
        ({"queue": {"backend": "celery"}, "storage": {"blobs": "/mnt/shared"}}, "FolderLoraFiles"),
        ({"queue": {"backend": "celery"}, "storage": {"blobs": "s3://images/prefix"}}, "S3LoraFiles"),
    ],
)
def test_the_storage_is_the_state_folder_or_where_nodes_share_their_images(settings, kind):
    store = open_lora_store(Config.model_validate(settings))
    assert type(store._files).__name__ == kind


@pytest.mark.parametrize("scheme", ["nonsense", "gs"])
def test_a_storage_that_cannot_be_used_is_named_by_its_key_and_without_its_password(scheme):
    settings = {"queue": {"backend": "celery"}, "storage": {"blobs": f"{scheme}://ann:s3cret@host/x"}}
    with pytest.raises(ConfigError, match=r"storage\.blobs: ") as caught:
        open_lora_store(Config.model_validate(settings))
    assert "s3cret" not in str(caught.value)


async def test_an_object_store_that_is_away_is_told_as_storage_and_keeps_what_it_has(s3_server, sent, tmp_path):
    files = s3_files(tmp_path)
    await files.put(KEY, sent)
    s3_server.away = True
    with pytest.raises(StorageAway, match="the storage of LoRAs cannot be used"):
        await files.fetch(KEY, tmp_path / "back")
    s3_server.away = False
    await files.fetch(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"weights"
    assert s3_server.objects.keys() == {f"prefix/loras/files/{KEY}"}
