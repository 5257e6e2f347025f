"""LoRAs in Redis: in chunks, an owner's name once, and rests that can be found."""

from __future__ import annotations

import pytest

from composition.errors import NotFound, NotReady
from jobs.loras import redis_lora_files
from jobs.loras.redis_lora_files import RedisLoraFiles
from jobs.redis_connection import connect

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def files(shared_redis):
    redis = connect(shared_redis.url)
    await redis.flushdb()
    yield RedisLoraFiles(redis, clock=lambda: 5.0)
    await redis.aclose()


async def test_a_file_of_several_chunks_comes_back_as_it_was(files, tmp_path, monkeypatch):
    monkeypatch.setattr(redis_lora_files, "CHUNK_BYTES", 1000)
    data = bytes(range(256)) * 10
    (tmp_path / "sent").write_bytes(data)
    await files.put(KEY, tmp_path / "sent")
    await files.fetch(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert await files.keys() == {KEY: 5.0}
    await files.delete(KEY)
    await files.delete(KEY)
    assert await files.keys() == {}
    with pytest.raises(NotFound):
        await files.fetch(KEY, tmp_path / "back")


async def test_an_owner_has_a_name_once_and_loses_it_once(files):
    assert await files.add_record("ann", "ink", "first")
    assert not await files.add_record("ann", "ink", "second")
    assert await files.add_record("bob", "ink", "third")
    assert (await files.records("ann"), sorted(await files.records())) == (("first",), ["first", "third"])
    assert await files.remove_record("ann", "ink")
    assert not await files.remove_record("ann", "ink")
    assert await files.records("ann") == ()


async def test_a_server_that_is_away_is_told(redis_server):
    files = RedisLoraFiles(connect(redis_server.url))
    redis_server.kill()
    with pytest.raises(NotReady):
        await files.records("ann")
