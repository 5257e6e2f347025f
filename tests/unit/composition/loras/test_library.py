"""Whose LoRAs there are, how many are kept, and which files a request means."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from composition.config import ConfigError, LorasConfig
from composition.errors import InvalidInput, NotFound, PayloadTooLarge, UnusableLora
from composition.loras.library import LoraLibrary
from tests.fakes.fake_lora_files import FakeLoraFiles
from tests.fakes.lora_library import lora_library
from tests.unit.composition.loras.files import kohya, safetensors, write

INK = safetensors(kohya(rank=4))
OIL = safetensors(kohya(rank=8))


@pytest.fixture
def files():
    return FakeLoraFiles()


@pytest.fixture
def library(files, tmp_path):
    return lora_library(files, folder=tmp_path / "state")


async def upload(library: LoraLibrary, owner: str, name: str, data: bytes = INK, **options):
    async with library.receive() as incoming:
        incoming.write(data)
        await incoming.drain(finish=True)
        return await library.add(owner, name, incoming, **options)


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def names(loras):
    return [lora.name for lora in loras]


async def test_what_is_uploaded_is_its_owners_alone(library):
    await upload(library, "ann", "ink")
    await upload(library, "bob", "oil", OIL)
    assert names(await library.available("ann")) == ["ink"]
    assert names(await library.available("bob")) == ["oil"]
    with pytest.raises(InvalidInput, match="there is no LoRA 'oil'; there are: ink"):
        await library.check("ann", {"oil": 1.0})
    with pytest.raises(NotFound, match="there is no such LoRA"):
        await library.remove("ann", "oil")
    assert names(await library.available("bob")) == ["oil"]


async def test_two_owners_may_have_one_name_and_each_gets_the_own_file(library):
    await upload(library, "ann", "style", INK)
    await upload(library, "bob", "style", OIL)
    (ann,) = await library.resolve("ann", {"style": 1.0}, {})
    (bob,) = await library.resolve("bob", {"style": 1.0}, {})
    assert [content(use.path) for use in (ann, bob)] == [INK, OIL]


@pytest.mark.parametrize("owner", ["", "../../etc", "a/b", "ü\x00", "\udc80", "*"])
async def test_an_owners_name_may_be_any_text(library, owner):
    await upload(library, owner, "ink")
    assert names(await library.available(owner)) == ["ink"]
    assert await library.available("ann") == ()


@pytest.mark.parametrize("again", ["ink", "Ink", "INK"])
async def test_a_name_is_taken_once_whatever_its_case(library, files, again):
    await upload(library, "ann", "ink")
    with pytest.raises(UnusableLora, match="there is a LoRA ink already"):
        await upload(library, "ann", again, OIL)
    assert list(files.files.values()) == [INK]


async def test_of_two_uploads_of_one_name_at_once_one_is_kept(library, files):
    outcomes = await asyncio.gather(
        *(upload(library, "ann", "ink", data) for data in (INK, OIL)), return_exceptions=True
    )
    assert sum(isinstance(outcome, UnusableLora) for outcome in outcomes) == 1
    assert len(files.files) == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../ink",
        "a/b",
        "a\\b",
        "/etc/passwd",
        ".hidden",
        "ends.",
        "a b",
        "ä",
        "a\x00",
        "a" * 65,
        "~",
        "-a",
    ],
)
async def test_a_name_that_is_no_plain_word_is_refused(library, files, name):
    with pytest.raises(UnusableLora, match="name: must be 1 to 64 letters"):
        await upload(library, "ann", name)
    assert not files.files


async def test_a_model_of_the_service_lends_its_name_to_nobody(library):
    with pytest.raises(UnusableLora, match="lcm-lora is a model of the service"):
        await upload(library, "ann", "lcm-lora")


async def test_only_so_many_are_kept(files, tmp_path):
    library = lora_library(files, folder=tmp_path, config=LorasConfig(max_per_owner=2))
    await upload(library, "ann", "ink")
    await upload(library, "ann", "oil")
    with pytest.raises(UnusableLora, match="you have 2 LoRAs, and 2 are kept: delete one"):
        await library.check_room("ann")
    with pytest.raises(UnusableLora, match="you have 2 LoRAs"):
        await upload(library, "ann", "wax")
    await upload(library, "bob", "ink")
    await library.remove("ann", "ink")
    await upload(library, "ann", "wax")
    assert names(await library.available("ann")) == ["oil", "wax"]


async def test_only_so_many_bytes_are_kept(files, tmp_path):
    library = lora_library(files, folder=tmp_path, config=LorasConfig(max_mb_per_owner=1))
    large = safetensors({f"lora_unet_{n}": a for n, a in {
        "x.lora_down.weight": np.ones((200, 1000), np.float16), "x.lora_up.weight": np.ones((1000, 200), np.float16),
    }.items()})  # fmt: skip
    await upload(library, "ann", "first", large)
    with pytest.raises(PayloadTooLarge, match="more than the 1 MB that are kept"):
        await upload(library, "ann", "second", large)
    assert len(files.files) == 1


async def test_a_file_that_cannot_be_used_leaves_nothing(library, files, tmp_path):
    with pytest.raises(UnusableLora, match="not safetensors"):
        await upload(library, "ann", "ink", b"not a LoRA")
    assert (files.files, files.owned, list((tmp_path / "state").rglob("*.part"))) == ({}, {}, [])


async def test_the_file_is_hashed_and_described(library):
    lora = await upload(library, "ann", "ink", INK, trigger_words=[" sks  dog ", "", "sks dog"])
    assert (lora.sha256, lora.size_bytes, lora.created_at) == (hashlib.sha256(INK).hexdigest(), len(INK), 1000.0)
    assert lora.facts.trigger_words == ("sks dog",)
    assert await library.available("ann") == (lora,)


async def test_an_embedding_listens_to_its_own_token_or_to_its_name(library):
    await upload(library, "ann", "toy", safetensors({"<cat-toy>": np.ones(768, np.float32)}))
    await upload(library, "ann", "bad-hands", safetensors({"emb_params": np.ones((2, 768), np.float32)}))
    uses = await library.resolve("ann", {"toy": 1.0, "bad-hands": 1.0}, {})
    assert [(use.name, use.token, use.trigger_words) for use in uses] == [
        ("bad-hands", "bad-hands", ("bad-hands",)),
        ("toy", "<cat-toy>", ("<cat-toy>",)),
    ]


async def test_a_request_keeps_the_files_that_it_was_accepted_with(library):
    await upload(library, "ann", "ink", INK)
    digests = await library.check("ann", {"ink": 0.5})
    (use,) = await library.resolve("ann", {"ink": 0.5}, digests)
    assert (use.weight, use.sha256) == (0.5, digests["ink"])
    await library.remove("ann", "ink")
    with pytest.raises(NotFound, match="deleted or replaced after the edit was accepted"):
        await library.resolve("ann", {"ink": 0.5}, digests)
    await upload(library, "ann", "ink", OIL)
    with pytest.raises(NotFound, match="deleted or replaced after the edit was accepted"):
        await library.resolve("ann", {"ink": 0.5}, digests)


async def test_a_lora_of_another_family_is_refused_before_anything_is_loaded(library):
    xl = safetensors(kohya(context=2048))
    lora = await upload(library, "ann", "xl", xl)
    assert library.fits(lora) is False
    with pytest.raises(InvalidInput, match=r"xl is for Stable Diffusion XL, and Stable Diffusion 1\.5 is served"):
        await library.check("ann", {"xl": 1.0})
    with pytest.raises(InvalidInput, match="is for Stable Diffusion XL"):
        await library.resolve("ann", {"xl": 1.0}, {})


@pytest.mark.parametrize(("family", "context", "fits"), [(None, 768, None), ("sd15", 32, None), ("sd15", 768, True)])
async def test_where_nobody_knows_only_a_try_tells(files, tmp_path, family, context, fits):
    library = lora_library(files, folder=tmp_path, family=family)
    lora = await upload(library, "ann", "ink", safetensors(kohya(context=context)))
    assert library.fits(lora) is fits
    await library.check("ann", {"ink": 1.0})


def with_folder(files, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    return folder, lora_library(files, folder=tmp_path / "state", config=LorasConfig(folder=str(folder)))


async def test_the_operators_folder_is_everybodys_and_nobody_deletes_in_it(files, tmp_path):
    folder, library = with_folder(files, tmp_path)
    path = write(folder, INK, "ink.safetensors")
    write(folder, b"no LoRA", "broken.safetensors")
    write(folder, INK, "with space.safetensors")
    write(folder, INK, "readme.txt")
    await library.open()
    for owner in ("ann", "bob"):
        assert [(lora.name, lora.owner) for lora in await library.available(owner)] == [("ink", None)]
    (use,) = await library.resolve("ann", {"ink": 1.0}, {})
    assert use.path == str(path)
    with pytest.raises(InvalidInput, match="is the operator's"):
        await library.remove("ann", "ink")
    with pytest.raises(UnusableLora, match="there is a LoRA ink already"):
        await upload(library, "ann", "ink")


async def test_a_changed_folder_is_seen_and_only_what_changed_is_read(files, tmp_path, caplog):
    folder, library = with_folder(files, tmp_path)
    write(folder, b"no LoRA", "broken.safetensors")
    write(folder, INK, "ink.safetensors")
    first = await library.available("ann")
    write(folder, OIL, "oil.safetensors")
    second = await library.available("ann")
    assert second[0] is first[0]
    assert names(second) == ["ink", "oil"]
    assert sum("is not offered" in record.message for record in caplog.records) == 1
    (folder / "ink.safetensors").unlink()
    assert names(await library.available("ann")) == ["oil"]


async def test_a_folder_that_goes_away_has_nothing_and_hides_nothing(files, tmp_path):
    folder, library = with_folder(files, tmp_path)
    write(folder, INK, "ink.safetensors")
    await upload(library, "ann", "oil", OIL)
    shutil.rmtree(folder)
    assert names(await library.available("ann")) == ["oil"]


async def test_a_folder_that_is_none_stops_the_start(files, tmp_path):
    library = lora_library(files, folder=tmp_path, config=LorasConfig(folder=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match=r"loras\.folder: .*nowhere is not a folder"):
        await library.open()


async def test_nothing_asked_for_asks_nobody(library):
    assert (await library.check("ann", {}), await library.resolve("ann", {}, {})) == ({}, ())
