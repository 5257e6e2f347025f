"""LoRAs as tools of the Model Context Protocol: kept, listed, used and deleted as over REST."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from composition.config import Config
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_lora_files import FakeLoraFiles
from tests.fakes.lora_library import lora_library
from tests.unit.api.conftest import Edge
from tests.unit.api.test_mcp import EDIT, KEYS, connected, facts, opened
from tests.unit.composition.loras.files import kohya, safetensors

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

INK = safetensors(kohya(rank=4), {"modelspec.trigger_phrase": "ink wash"})
URL = "https://hub.example/ink.safetensors"
PATH = "/api/v1/loras"


@pytest.fixture
def files() -> FakeLoraFiles:
    return FakeLoraFiles()


@pytest.fixture
def keeping(files: FakeLoraFiles, tmp_path: Path) -> Any:
    """Opens an edge that keeps LoRAs."""

    def keep(*, keys: bool = False, fetcher: FakeFetcher | None = None, **loras: Any) -> Any:
        config = Config.model_validate({"loras": loras, "api": {"api_keys": KEYS if keys else {}}})
        library = lora_library(files, folder=tmp_path, config=config.loras)
        return opened(config.api, config=config, loras=library, fetcher=fetcher)

    return keep


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def rests_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


async def failure(client: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return result.structured_content


@pytest.mark.parametrize("file", [in_base64(INK), f"data:;base64,{in_base64(INK)}", URL])
async def test_one_is_added_listed_named_by_an_edit_and_deleted(keeping: Any, files: FakeLoraFiles, file: str):
    async with keeping() as edge, connected(edge) as client:
        edge.fetcher.files[URL] = INK
        added = await facts(client, "add_lora", {"name": "ink", "file": file})
        assert (added["name"], added["kind"], added["source"]) == ("ink", "lora", "upload")
        assert (added["trigger_words"], added["size_bytes"]) == (["ink wash"], len(INK))
        assert list(files.files.values()) == [INK]
        assert (await facts(client, "loras", {}))["loras"] == [added]
        assert (await edge.client.get(PATH)).json()["loras"] == [added]
        await facts(client, "edit", {**EDIT, "config": {"loras": {"ink": 0.8}}})
        payload = edge.only_job.payload
        assert (payload.options.loras, payload.lora_digests) == ({"ink": 0.8}, {"ink": added["sha256"]})
        assert await facts(client, "delete_lora", {"name": "ink"}) == added
        assert (files.files, (await facts(client, "loras", {}))["loras"]) == ({}, [])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"max_size_mb": 2, "max_per_owner": 3, "max_mb_per_owner": 5},
            {"max_size_bytes": 2 * 2**20, "max_per_owner": 3, "max_bytes_per_owner": 5 * 2**20},
        ),
        ({"uploads": False}, None),
    ],
)
async def test_the_list_tells_how_much_may_be_added(keeping: Any, settings: dict[str, Any], told: Any):
    async with keeping(**settings) as edge, connected(edge) as client:
        assert await facts(client, "loras", {}) == {"loras": [], "uploads": told}


async def test_trigger_words_are_those_that_are_given(keeping: Any):
    async with keeping() as edge, connected(edge) as client:
        words = {"name": "ink", "file": in_base64(INK), "trigger_words": "sumi-e, brush"}
        assert (await facts(client, "add_lora", words))["trigger_words"] == ["sumi-e", "brush"]


BAD = {
    "no base64": ({"file": "%%%"}, "INVALID_INPUT", "file: is not valid base64"),
    "nothing": ({"file": "data:;base64,"}, "INVALID_INPUT", "file: is empty"),
    "no LoRA": ({"file": in_base64(b"PK\x03\x04" + bytes(100))}, "INVALID_INPUT", "a zip archive"),
    "cut off": ({"file": in_base64(INK[:-1])}, "INVALID_INPUT", "is cut off"),
    "a bad name": ({"name": "../ink", "file": in_base64(INK)}, "INVALID_INPUT", "name: must be 1 to 64 letters"),
    "a taken name": ({"name": "first", "file": in_base64(INK)}, "INVALID_INPUT", "there is a LoRA first already"),
    "no file": ({}, "INVALID_INPUT", "file: Field required"),
    "an unknown argument": ({"file": in_base64(INK), "rank": 4}, "INVALID_INPUT", "rank"),
    "an address inside": ({"file": "http://nowhere.example/x"}, "UNPROCESSABLE_URL", "file: the URL could not"),
    "another scheme": ({"file": "file:///etc/passwd"}, "UNPROCESSABLE_URL", "file: the URL could not"),
    "a large file": ({"file": in_base64(bytes(2**20 + 1))}, "PAYLOAD_TOO_LARGE", "the file is larger than 1 MB"),
    "a large file at a URL": ({"file": "https://hub.example/large"}, "PAYLOAD_TOO_LARGE", "larger"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_kept_is_refused_as_over_rest_and_leaves_nothing(
    keeping: Any, files: FakeLoraFiles, tmp_path: Path, case: str
):
    arguments, code, message = BAD[case]
    async with keeping(max_size_mb=1) as edge, connected(edge) as client:
        edge.fetcher.files["https://hub.example/large"] = bytes(2**20 + 1)
        await facts(client, "add_lora", {"name": "first", "file": in_base64(INK)})
        error = await failure(client, "add_lora", {"name": "ink", **arguments})
    assert (error["code"], message in error["message"]) == (code, True), error
    assert (list(files.files.values()), rests_in(tmp_path)) == ([INK], [])


async def test_the_limits_of_rest_are_those_of_the_tool(keeping: Any):
    async with keeping(max_per_owner=1) as edge, connected(edge) as client:
        await facts(client, "add_lora", {"name": "ink", "file": in_base64(INK)})
        error = await failure(client, "add_lora", {"name": "other", "file": "never looked at"})
        assert error["details"] == {"max_per_owner": 1}
    async with keeping(uploads=False) as edge, connected(edge) as client:
        assert (await failure(client, "add_lora", {"name": "x", "file": URL}))["code"] == "FORBIDDEN"
        assert len((await facts(client, "loras", {}))["loras"]) == 1


async def test_what_is_anothers_does_not_exist(keeping: Any):
    async with keeping(keys=True) as edge:
        async with connected(edge, key=KEYS["ann"]) as ann:
            await facts(ann, "add_lora", {"name": "ink", "file": in_base64(INK)})
        async with connected(edge, key=KEYS["bob"]) as bob:
            assert (await facts(bob, "loras", {}))["loras"] == []
            assert (await failure(bob, "delete_lora", {"name": "ink"}))["code"] == "NOT_FOUND"
            assert (await failure(bob, "edit", {**EDIT, "config": {"loras": {"ink": 1}}}))["details"]["available"] == []
        async with connected(edge, key=KEYS["ann"]) as ann:
            assert len((await facts(ann, "loras", {}))["loras"]) == 1


class HeldFetcher(FakeFetcher):
    """Downloads begin, and go on when they are let."""

    def __init__(self) -> None:
        super().__init__({URL: INK})
        self.begun, self.go_on = asyncio.Semaphore(0), asyncio.Event()

    async def fetch(self, url: str) -> bytes:
        self.begun.release()
        await self.go_on.wait()
        return await super().fetch(url)


async def test_only_so_many_are_fetched_at_a_time_and_half_of_them_for_one_client(keeping: Any):
    fetcher = HeldFetcher()

    def adding(edge: Edge, name: str) -> asyncio.Task[bool]:
        async def add() -> bool:
            async with connected(edge, key=KEYS[name[:3]]) as client:
                result = await client.call_tool("add_lora", {"name": name, "file": URL})
                return bool(result.is_error)

        return asyncio.create_task(add())

    async with keeping(keys=True, fetcher=fetcher) as edge:
        tasks = []
        for owner in KEYS:
            tasks += [adding(edge, f"{owner}-{number}") for number in range(2)]
            for _ in range(2):
                await asyncio.wait_for(fetcher.begun.acquire(), 30)
            async with connected(edge, key=KEYS[owner]) as client:
                error = await failure(client, "add_lora", {"name": "one-more", "file": URL})
                assert error["code"] == "QUEUE_FULL"
        fetcher.go_on.set()
        assert await asyncio.gather(*tasks) == [False] * 4
        async with connected(edge, key=KEYS["ann"]) as client:
            await facts(client, "add_lora", {"name": "one-more", "file": URL})
