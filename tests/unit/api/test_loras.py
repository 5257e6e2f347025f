"""POST, GET and DELETE /api/v1/loras, and `config.loras` of a request."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from composition_client import AsyncClient
from composition_client import InvalidInput as ClientInvalidInput

from api.routes.loras import FORM_ROOM_BYTES
from composition.config import Config
from tests.fakes.fake_lora_files import FakeLoraFiles
from tests.fakes.lora_library import lora_library
from tests.unit.api.conftest import LORA_LIMIT_MB, open_edge
from tests.unit.api.test_bad_requests import EDIT
from tests.unit.composition.loras.files import kohya, safetensors

PATH = "/api/v1/loras"
INK = safetensors(kohya(rank=4), {"modelspec.trigger_phrase": "ink wash"})
KEYS = {"api": {"api_keys": {"ann": "secret-a", "bob": "secret-b"}}}
ANN, BOB = ({"Authorization": f"Bearer secret-{key}"} for key in "ab")


def config(**loras):
    return Config.model_validate({"loras": {"max_size_mb": LORA_LIMIT_MB, **loras}})


@pytest.fixture
async def files():
    return FakeLoraFiles()


@pytest.fixture
async def edge(files, tmp_path):
    settings = config()
    async with open_edge(settings, loras=lora_library(files, folder=tmp_path, config=settings.loras)) as opened:
        yield opened


def form(data: bytes = INK, filename: str = "ink.safetensors", **texts):
    return {"files": {"file": (filename, data)}, "data": texts}


async def send(edge, data: bytes = INK, filename: str = "ink.safetensors", **texts):
    return await edge.client.post(PATH, **form(data, filename, **texts))


async def test_an_upload_says_what_it_is_and_is_listed(edge, files):
    answer = await send(edge)
    assert answer.status_code == 200
    lora = answer.json()["lora"]
    assert {name: lora[name] for name in ("name", "kind", "source", "family", "fits", "layout", "ranks", "parts")} == {
        "name": "ink", "kind": "lora", "source": "upload", "family": "sd15", "fits": True, "layout": "kohya",
        "ranks": [4], "parts": ["unet"],
    }  # fmt: skip
    assert (lora["size_bytes"], lora["trigger_words"]) == (len(INK), ["ink wash"])
    assert (await edge.client.get(PATH)).json()["loras"] == [lora]
    assert list(files.files.values()) == [INK]


async def test_name_and_trigger_words_may_be_given_before_or_after_the_file(edge):
    lora = (await send(edge, name="wash", trigger_words="sumi-e, brush")).json()["lora"]
    assert (lora["name"], lora["trigger_words"]) == ("wash", ["sumi-e", "brush"])
    body = {"files": [("file", ("a.safetensors", INK)), ("name", (None, "after"))]}
    assert (await edge.client.post(PATH, **body)).json()["lora"]["name"] == "after"


@pytest.mark.parametrize(
    ("filename", "name"), [("C:\\fakepath\\ink.safetensors", "ink"), ("../../ink.safetensors", "ink")]
)
async def test_of_a_files_name_only_the_last_part_counts(edge, files, filename, name):
    assert (await send(edge, filename=filename)).json()["lora"]["name"] == name


async def test_nothing_there_is_an_empty_list_with_what_an_upload_may_bring(files, tmp_path):
    settings = config(max_per_owner=3, max_mb_per_owner=100)
    async with open_edge(settings, loras=lora_library(files, folder=tmp_path, config=settings.loras)) as edge:
        answer = await edge.client.get(PATH)
    limits = {"max_size_bytes": LORA_LIMIT_MB << 20, "max_per_owner": 3, "max_bytes_per_owner": 100 << 20}
    assert (answer.status_code, answer.json()) == (200, {"success": True, "loras": [], "uploads": limits})


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"json": {"file": "aGk="}}, 400, "multipart/form-data"),
        ({"files": {"other": ("a.safetensors", INK)}}, 400, "other: is not a known field"),
        ({"files": {"name": (None, "ink")}}, 400, "file: Field required"),
        ({"files": {"file": (None, "text")}}, 400, "file: must be a file"),
        (form(filename="ink.ckpt"), 400, "only .safetensors files are taken"),
        (form(filename="ink.pt"), 400, "only .safetensors files are taken"),
        ({"files": [("file", ("a.safetensors", INK)), ("file", ("b.safetensors", INK))]}, 400, "is a second file"),
        ({"files": [("file", ("a.safetensors", INK)), *[("name", (None, "a"))] * 2]}, 400, "name: is given 2 times"),
        (form(name="../ink"), 422, "name: must be 1 to 64 letters"),
        (form(name="lcm-lora"), 422, "a model of the service"),
        (form(b""), 422, "does not begin with the length of a header"),
        (form(b"\x80\x04\x95" + bytes(100)), 422, "a Python pickle"),
        (form(b"PK\x03\x04" + bytes(100)), 422, "a zip archive"),
        (form(INK[:-1]), 422, "is cut off"),
        (form(safetensors(kohya(context=1024))), 422, "Stable Diffusion 2"),
        (form(safetensors({**kohya(), "lora_unet_x.alpha": np.array(np.nan, np.float32)})), 422, "lacks one"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_reason_and_leaves_nothing(
    edge, files, tmp_path, body, status, message
):
    answer = await edge.client.post(PATH, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, "INVALID_INPUT")
    assert message in error["message"]
    assert (files.files, files.owned, list(tmp_path.rglob("*.part"))) == ({}, {}, [])


async def test_a_nan_is_refused_with_its_tensor(edge, files):
    tensors = kohya()
    name = next(iter(tensors))
    tensors[name][1, 2] = np.nan
    answer = await send(edge, safetensors(tensors))
    assert answer.status_code == 422
    assert f"tensor {name} has a NaN" in answer.json()["error"]["message"]
    assert files.files == {}


async def test_a_name_that_is_taken_is_refused_and_the_first_stays(edge, files):
    await send(edge)
    answer = await send(edge, safetensors(kohya(rank=8)))
    assert (answer.status_code, answer.json()["error"]["details"]) == (422, {"field": "name"})
    assert list(files.files.values()) == [INK]


async def test_a_file_above_the_limit_of_other_bodies_comes_in_and_one_above_its_own_does_not(edge, files, tmp_path):
    body = np.zeros((1024, 30 * 1024), np.float16)  # 60 MB, where 50 are the limit of any other body
    large = safetensors({
        "lora_unet_x.lora_down.weight": body, "lora_unet_x.lora_up.weight": np.zeros((8, 1024), np.float16)
    })  # fmt: skip
    assert len(large) > 50 << 20
    assert (await send(edge, large)).status_code == 200
    too_large = bytes((LORA_LIMIT_MB << 20) + 1)
    answer = await send(edge, too_large, "other.safetensors")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "file is larger than 64 MB" in answer.json()["error"]["message"]
    assert (len(files.files), list(tmp_path.rglob("*.part"))) == (1, [])


async def test_a_body_of_gigabytes_is_refused_before_it_is_read(edge):
    read = 0

    async def pieces():
        nonlocal read
        while True:
            read += 1
            yield bytes(1 << 16)

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(2 << 30)}
    answer = await edge.client.post(PATH, content=pieces(), headers=headers)
    limit_mb = LORA_LIMIT_MB + (FORM_ROOM_BYTES >> 20)
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        413, f"the request body is larger than {limit_mb} MB"
    )  # fmt: skip


async def test_only_so_many_uploads_come_in_at_a_time_and_half_of_them_from_one_client(edge):
    held: asyncio.Event = asyncio.Event()
    arrived: asyncio.Queue[None] = asyncio.Queue()

    async def slow():
        arrived.put_nowait(None)
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.safetensors"\r\n\r\n'
        await held.wait()

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    uploads = []
    for address in ("10.0.0.1", "10.0.0.2"):
        edge.client._transport.client = (address, 1)
        uploads += [asyncio.create_task(edge.client.post(PATH, content=slow(), headers=headers)) for _ in range(2)]
        for _ in range(2):
            await asyncio.wait_for(arrived.get(), 30)
        answer = await send(edge)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "QUEUE_FULL"), address
        assert "Retry-After" in answer.headers
    edge.client._transport.client = ("10.0.0.3", 1)
    assert (await send(edge)).status_code == 503
    held.set()
    assert {answer.status_code for answer in await asyncio.gather(*uploads)} == {400}
    assert (await send(edge)).status_code == 200


async def test_an_owner_with_enough_is_told_before_the_file_is_read(files, tmp_path):
    settings = config(max_per_owner=1)
    async with open_edge(settings, loras=lora_library(files, folder=tmp_path, config=settings.loras)) as edge:
        await send(edge)
        answer = await send(edge, b"never looked at", "other.safetensors")
    assert (answer.status_code, answer.json()["error"]["details"]) == (422, {"max_per_owner": 1})


async def test_uploads_can_be_closed_and_the_list_stays(files, tmp_path):
    settings = config(uploads=False)
    async with open_edge(settings, loras=lora_library(files, folder=tmp_path, config=settings.loras)) as edge:
        answer = await send(edge)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
        listed = await edge.client.get(PATH)
        assert (listed.status_code, listed.json()) == (200, {"success": True, "loras": [], "uploads": None})


async def test_one_is_deleted_by_its_owner(edge, files):
    await send(edge)
    answer = await edge.client.delete(f"{PATH}/ink")
    assert (answer.status_code, answer.json()["lora"]["name"], files.files) == (200, "ink", {})
    again = await edge.client.delete(f"{PATH}/ink")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "a" * 200, "%00", "%e2%80%ae"])
async def test_a_hostile_name_is_not_there(edge, name):
    assert (await edge.client.delete(f"{PATH}/{name}")).status_code in (400, 404)


async def test_what_is_anothers_does_not_exist(files, tmp_path):
    settings = Config.model_validate(KEYS)
    async with open_edge(settings, loras=lora_library(files, folder=tmp_path, config=settings.loras)) as edge:
        assert (await edge.client.get(PATH)).status_code == 401
        assert (await edge.client.post(PATH, **form(), headers=ANN)).status_code == 200
        assert (await edge.client.get(PATH, headers=BOB)).json()["loras"] == []
        assert (await edge.client.delete(f"{PATH}/ink", headers=BOB)).status_code == 404
        used = EDIT | {"config": {"loras": {"ink": 0.5}}}
        answer = await edge.client.post("/api/v1/generate", json=used, headers=BOB)
        assert (answer.status_code, answer.json()["error"]["details"]) == (
            400, {"field": "config.loras", "available": []}
        )  # fmt: skip
        assert (await edge.client.post("/api/v1/generate", json=used, headers=ANN)).status_code == 200
        assert len((await edge.client.get(PATH, headers=ANN)).json()["loras"]) == 1


async def test_a_job_is_accepted_with_the_files_that_its_names_mean(edge):
    lora = (await send(edge)).json()["lora"]
    answer = await edge.client.post("/api/v1/generate", json=EDIT | {"config": {"loras": {"ink": -0.5}}})
    assert answer.status_code == 200
    payload = edge.only_job.payload
    assert (payload.options.loras, payload.lora_digests) == ({"ink": -0.5}, {"ink": lora["sha256"]})


async def test_an_unknown_name_is_refused_with_those_that_there_are_and_no_job(edge):
    await send(edge)
    answer = await edge.client.post("/api/v1/generate/async", json=EDIT | {"config": {"loras": {"inc": 1.0}}})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["message"] == "config.loras: there is no LoRA 'inc'; there are: ink"
    assert error["details"] == {"field": "config.loras", "available": ["ink"]}
    assert edge.queue.jobs == {}
    assert edge.blobs.blobs == {}


async def test_a_lora_of_another_family_is_refused_with_both(edge):
    await send(edge, safetensors(kohya(context=2048)), "xl.safetensors")
    answer = await edge.client.post("/api/v1/generate", json=EDIT | {"config": {"loras": {"xl": 1.0}}})
    assert answer.status_code == 400
    assert "for Stable Diffusion XL, and Stable Diffusion 1.5 is served" in answer.json()["error"]["message"]


async def test_the_products_own_client_uploads_lists_and_deletes(edge):
    client = AsyncClient(str(edge.client.base_url), transport=edge.client._transport)
    ink = await client.upload_lora(INK, name="ink", trigger_words=["sumi-e", "brush"])
    assert (ink.name, ink.family, ink.fits, ink.trigger_words) == ("ink", "sd15", True, ["sumi-e", "brush"])
    assert await client.upload_lora(INK, name="ink", trigger_words=["sumi-e", "brush"]) == ink
    with pytest.raises(ClientInvalidInput, match="ink"):
        await client.upload_lora(INK, name="ink", trigger_words=["oil"])
    assert (await client.loras()).loras == [ink]
    assert await client.delete_lora("ink") == ink
    assert (await client.loras()).loras == []
