from __future__ import annotations

import asyncio
import contextlib
import math
import os
import resource
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from composition.config import ConfigError
from composition.errors import NotFound, NotReady, StorageAway
from composition.ports.queue import BlobStore
from jobs.blobs.blob_stores import open_blob_store
from jobs.blobs.file_blobs import FolderBlobStore, FsspecBlobStore, modified_at
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.blobs.retrying_blobs import RetryingBlobStore
from jobs.blobs.s3_blobs import S3BlobStore
from tests.fakes import s3_server as s3_server_module
from tests.fakes.s3_server import FakeS3Server


@pytest.fixture(params=["memory", "folder", "fsspec", "retrying", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "s3":
        request.getfixturevalue("s3_server")
        return S3BlobStore(f"s3://{s3_server_module.BUCKET}/prefix-{uuid.uuid4().hex}")
    if request.param == "folder":
        return FolderBlobStore(tmp_path / "images")
    if request.param == "fsspec":
        return FsspecBlobStore(f"memory://blobs-{uuid.uuid4().hex}")
    return MemoryBlobStore() if request.param == "memory" else RetryingBlobStore(MemoryBlobStore())


async def test_what_is_put_comes_back(blobs: BlobStore) -> None:
    data = os.urandom(200_000)
    key = await blobs.put(data)
    assert await blobs.get(key) == data
    assert await blobs.put(data) != key


async def test_deleting_is_idempotent_and_ends_the_blob(blobs: BlobStore) -> None:
    key, kept = await blobs.put(b"a"), await blobs.put(b"b")
    await blobs.delete([key, key, "0" * 32])
    await blobs.delete([])
    with pytest.raises(NotFound):
        await blobs.get(key)
    assert await blobs.get(kept) == b"b"


async def test_old_blobs_are_found(blobs: BlobStore) -> None:
    assert await blobs.older_than(0) == ()
    keys = {await blobs.put(b"a"), await blobs.put(b"b")}
    assert set(await blobs.older_than(-10)) == keys
    assert await blobs.older_than(3600) == ()


@pytest.mark.parametrize("key", ["../secret", "a/b", "0" * 31, "G" * 32, "0" * 32 + "\n"])
async def test_a_key_that_was_never_given_reaches_no_file(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "here" / "images"
    reached = folder / key[:2] / key
    folder.mkdir(parents=True)
    reached.parent.resolve().mkdir(parents=True, exist_ok=True)
    reached.write_text("not a blob")
    blobs = FolderBlobStore(folder)
    with pytest.raises(NotFound):
        await blobs.get(key)
    await blobs.delete([key])
    assert reached.read_text() == "not a blob"


async def test_what_a_crash_left_half_written_is_an_orphan_and_other_files_are_left_alone(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    half, foreign = tmp_path / "ab" / ("ab" * 16), tmp_path / "ab" / "notes.txt"
    half.parent.mkdir()
    half.write_bytes(b"ha")
    foreign.write_text("not ours")
    assert await blobs.older_than(-10) == (half.name,)
    await blobs.delete([half.name, foreign.name])
    assert not half.exists()
    assert foreign.exists()


async def test_a_folder_that_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(NotReady):
        await FolderBlobStore(tmp_path / "file").put(b"a")


async def test_a_patient_store_waits_for_one_that_is_away() -> None:
    class Away(MemoryBlobStore):
        refusals = 2

        async def put(self, data: bytes) -> str:
            if self.refusals:
                self.refusals -= 1
                raise NotReady("away")
            return await super().put(data)

    inner = Away()
    key = await RetryingBlobStore(inner, max_delay_s=0.001).put(b"late")
    assert await inner.get(key) == b"late"
    inner.refusals = 1
    with pytest.raises(NotReady):
        await RetryingBlobStore(inner, give_up_after_s=0).put(b"never")


def test_the_configuration_s_location_chooses_the_store(tmp_path: Path) -> None:
    assert isinstance(open_blob_store("memory"), MemoryBlobStore)
    assert isinstance(open_blob_store(str(tmp_path)), FolderBlobStore)
    assert isinstance(open_blob_store(f"file://{tmp_path}"), FolderBlobStore)
    assert isinstance(open_blob_store("memory://bucket"), FsspecBlobStore)
    with pytest.raises(ConfigError, match=r"storage\.blobs: this nonsense:// URL"):
        open_blob_store("nonsense://x")


@contextlib.contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """A limit of the system's own: what is beyond it cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_what_cannot_be_written_is_told_with_the_system_s_reason_and_leaves_nothing(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    kept = await blobs.put(b"small")
    with files_of_at_most(1000), pytest.raises(StorageAway, match="the image storage cannot be used: File too large"):
        await blobs.put(bytes(2000))
    assert await blobs.older_than(-10) == (kept,)


async def test_a_folder_that_takes_nothing_is_refused_at_the_start(tmp_path: Path) -> None:
    await FolderBlobStore(tmp_path / "new").open()
    assert list((tmp_path / "new").glob("??/*")) == []
    with (
        files_of_at_most(0),
        pytest.raises(ConfigError, match=r"storage\.blobs: nothing can be written in .*: File too"),
    ):
        await FolderBlobStore(tmp_path / "new").open()


async def test_a_folder_that_is_gone_is_an_outage_and_a_file_that_is_gone_is_not(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path / "images")
    key, other = await blobs.put(b"a"), await blobs.put(b"b")
    (tmp_path / "images" / key[:2] / key).unlink()
    with pytest.raises(NotFound):
        await blobs.get(key)
    (tmp_path / "images").rename(tmp_path / "unmounted")
    with pytest.raises(StorageAway, match="its folder is not there"):
        await blobs.get(other)


async def test_a_wait_that_is_stopped_ends_with_what_it_waited_for() -> None:
    class Away(MemoryBlobStore):
        async def put(self, data: bytes) -> str:
            raise StorageAway("no space left")

    with pytest.raises(StorageAway, match="no space left"):
        async with asyncio.timeout(0.05):
            await RetryingBlobStore(Away()).put(b"a")


@pytest.mark.parametrize(
    "location", ["nonsense://ann:s3cret@host/x", "redis://ann:s3cret/9@host", "redis://:a@b:s3cret"]
)
def test_what_cannot_be_used_is_named_without_the_password_in_it(location: str):
    with pytest.raises(ConfigError, match=r"queue\.redis_url: this ") as caught:
        open_blob_store(location, key="queue.redis_url")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("entry", "modified"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, 1767225600.0),
        ({"mtime": 12}, 12.0),
        ({"created": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}, 60.0),
        ({"mtime": 5.5, "created": 9}, 5.5),
        ({}, math.inf),
        ({"mtime": "yesterday"}, math.inf),
    ],
)
def test_the_age_of_a_file_is_read_as_each_file_system_says_it(entry: dict[str, object], modified: float) -> None:
    """An unknown age is no age: such a file is never taken for an old one."""
    assert modified_at(entry) == modified


async def test_an_object_store_pages_through_what_is_old_below_its_prefix_alone(s3_server: FakeS3Server) -> None:
    blobs = open_blob_store("s3://images/a")
    assert isinstance(blobs, S3BlobStore)
    keys = {await blobs.put(bytes([number])) for number in range(5)}
    s3_server.objects["a/notes.txt"] = s3_server.objects["b/" + "0" * 32] = (
        b"foreign",
        datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert set(await blobs.older_than(-10)) == keys
    assert {key for key in s3_server.objects if key.startswith("a/")} == {f"a/{key}" for key in keys} | {"a/notes.txt"}


async def test_an_object_store_that_is_away_or_refuses_is_an_outage_and_no_lost_image(
    s3_server: FakeS3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = S3BlobStore("s3://images/a")
    key = await blobs.put(b"kept")
    with pytest.raises(StorageAway, match="NoSuchBucket"):
        await S3BlobStore("s3://another/a").get(key)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    for call in (S3BlobStore("s3://images/a").get(key), S3BlobStore("s3://images/a").put(b"a")):
        with pytest.raises(StorageAway) as refused:
            await call
        assert "127.0.0.1" not in str(refused.value)
    assert s3_server.refused == 2
    s3_server.away = True
    with pytest.raises(StorageAway):
        await blobs.get(key)
    s3_server.away = False
    assert await blobs.get(key) == b"kept"


async def test_a_key_that_was_never_given_reaches_no_object(s3_server: FakeS3Server) -> None:
    blobs = S3BlobStore("s3://images/a")
    s3_server.objects["a/secret"] = (b"not a blob", datetime.now(UTC))
    for key in ("secret", "../a/secret", "0" * 31):
        with pytest.raises(NotFound):
            await blobs.get(key)
        await blobs.delete([key])
    assert s3_server.objects["a/secret"][0] == b"not a blob"
