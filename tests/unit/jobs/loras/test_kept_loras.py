"""Uploads leave nothing behind, files come where they are used, and what a crash left is found."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from composition.errors import NotFound, StorageAway, UnusableLora
from composition.lora import KeyLayout, Lora, LoraFacts, LoraKind
from jobs.loras.folder_lora_files import FolderLoraFiles
from jobs.loras.incoming import incoming_in, remove_rests
from jobs.loras.kept_loras import KeptLoras, owner_key
from tests.fakes.fake_lora_files import FakeLoraFiles

FACTS = LoraFacts(
    kind=LoraKind.LORA, layout=KeyLayout.KOHYA, family="sd15", ranks=(4, 8), parts=("unet",), modules=3,
    trigger_words=("ink",),
)  # fmt: skip


def lora(data: bytes, name: str = "ink", owner: str = "ann") -> Lora:
    digest = hashlib.sha256(data).hexdigest()
    return Lora(
        name=name, owner=owner, key="", sha256=digest, size_bytes=len(data), created_at=5.0, facts=FACTS
    )  # fmt: skip


def kept(files, folder, **options):
    return KeptLoras(
        files, folder, **{"max_cached_bytes": 1 << 20, "orphan_age_s": 0.0, "clock": lambda: 0.0, **options}
    )


async def add(store, data: bytes, **fields) -> Lora:
    async with store.receive() as incoming:
        incoming.write(data)
        await incoming.drain(finish=True)
        return await store.add(lora(data, **fields), incoming.path)


async def break_off(store) -> None:
    async with store.receive() as incoming:
        incoming.write(b"half")
        await incoming.drain(finish=True)
        raise RuntimeError("the client has left")


def begin_upload(folder) -> subprocess.Popen[str]:
    upload = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert upload.stdout is not None
    assert upload.stdout.readline() == "written\n"
    return upload


async def test_a_record_says_all_that_was_known(tmp_path):
    store = kept(FolderLoraFiles(tmp_path), tmp_path)
    await store.open()
    added = await add(store, b"weights")
    assert await store.of("ann") == (added,)
    assert await store.of("bob") == ()
    assert (await store.local_file(added)).read_bytes() == b"weights"
    assert await store.remove(added)
    assert not await store.remove(added)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_nothing_of_an_upload_is_left_that_fails_or_is_broken_off(tmp_path):
    files = FolderLoraFiles(tmp_path)
    store = kept(files, tmp_path)
    await store.open()
    await add(store, b"weights")
    with pytest.raises(UnusableLora):
        await add(store, b"others")
    with pytest.raises(RuntimeError):
        await break_off(store)
    assert len(await files.keys()) == 1
    assert list(tmp_path.rglob("*.part")) == []


async def test_a_record_that_cannot_be_kept_takes_its_file_along(tmp_path):
    class Away(FakeLoraFiles):
        async def add_record(self, owner, name, record):
            raise StorageAway("away")

    files = Away()
    with pytest.raises(StorageAway):
        await add(kept(files, tmp_path), b"weights")
    assert files.files == {}


KILLED = """
import asyncio, sys, pathlib
from jobs.loras.incoming import incoming_in

async def main():
    async with incoming_in(pathlib.Path(sys.argv[1])) as incoming:
        incoming.write(b"x" * (3 << 20))
        await incoming.drain()
        print("written", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


async def test_an_upload_whose_process_is_killed_is_removed_by_whoever_comes_next(tmp_path):
    upload = begin_upload(tmp_path)
    (half,) = tmp_path.glob("*.part")
    async with incoming_in(tmp_path) as incoming:
        assert half.exists(), "somebody is still writing it"
    os.kill(upload.pid, signal.SIGKILL)
    upload.communicate()
    async with incoming_in(tmp_path) as incoming:
        assert list(tmp_path.glob("*.part")) == [incoming.path]
    assert list(tmp_path.glob("*.part")) == []


def test_a_rest_is_what_nobody_holds(tmp_path):
    held, rest = tmp_path / "held.part", tmp_path / "rest.part"
    rest.write_bytes(b"half")
    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert remove_rests(tmp_path) == 1
    assert (held.exists(), rest.exists()) == (True, False)


async def test_a_file_without_a_record_is_removed_at_the_next_start_but_not_while_it_may_be_on_its_way(tmp_path):
    now = 1000.0
    files = FakeLoraFiles(clock=lambda: now)
    store = kept(files, tmp_path, orphan_age_s=3600.0, clock=lambda: now)
    added = await add(store, b"weights")
    (tmp_path / "half").write_bytes(b"half")
    await files.put("f" * 32, tmp_path / "half")
    await store.open()
    assert set(files.files) == {added.key, "f" * 32}
    now += 3600.0
    await store.open()
    assert set(files.files) == {added.key}


async def test_a_storage_that_is_away_does_not_stop_the_start(tmp_path):
    class Away(FakeLoraFiles):
        async def keys(self):
            raise StorageAway("away")

    await kept(Away(), tmp_path).open()


async def test_a_file_from_elsewhere_is_fetched_once_and_checked(tmp_path):
    files = FakeLoraFiles()
    store = kept(files, tmp_path)
    added = await add(store, b"weights")
    first, second = await store.local_file(added), await store.local_file(added)
    assert (first, first.read_bytes(), files.fetches) == (second, b"weights", [added.key])
    damaged = await add(store, b"others", name="oil")
    files.files[damaged.key] = b"0thers"
    with pytest.raises(StorageAway, match="oil is damaged"):
        await store.local_file(damaged)
    files.files.clear()
    with pytest.raises(NotFound):
        await store.local_file(damaged)
    assert list(tmp_path.rglob("*.part")) == []


async def test_fetched_files_are_kept_up_to_a_limit_those_used_last_longest(tmp_path):
    files = FakeLoraFiles()
    store = kept(files, tmp_path, max_cached_bytes=20)
    loras = [await add(store, name.encode() * 8, name=name) for name in ("a", "b", "c")]
    paths = [await store.local_file(one) for one in loras[:2]]
    for age, path in enumerate(paths):
        os.utime(path, (age, age))
    await store.local_file(loras[0])
    await store.local_file(loras[2])
    assert [path.exists() for path in paths] == [True, False]
    large = await add(store, b"d" * 100, name="d")
    assert (await store.local_file(large)).read_bytes() == b"d" * 100


async def test_a_folders_file_that_is_gone_is_not_found(tmp_path):
    store = kept(FolderLoraFiles(tmp_path), tmp_path)
    await store.open()
    added = await add(store, b"weights")
    with pytest.raises(NotFound, match="the file of LoRA ink"):
        await store.local_file(replace(added, key="e" * 32))


def test_owners_have_folders_of_their_own():
    keys = {owner_key(owner) for owner in ("ann", "Ann", "../ann", "", "anonymous")}
    assert len(keys) == 5
    assert all(len(key) == 32 and key.isalnum() for key in keys)
