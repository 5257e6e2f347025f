"""What an edit takes when there was one of its photo just before: calls counted at the models, for docs/real-time.md.

The whole way from the editor through caches and runners, in this process, on the tiny models. Only the analyzer is made
up, as theirs sees no people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from benchmarks.demo_world import LocalEditor, local_editor
from composition.caching.cached_ports import CachedAnalyzer
from composition.caching.content_cache import ContentCache
from composition.caching.frozen import size_bytes
from composition.caching.single_flight import SingleFlight
from composition.config import load_config
from composition.editor import Editor
from composition.images import Box, Detection, Image, Mask
from composition.request import Crop, EditOptions, EditRequest, Reference
from composition.result import EditResult
from demo_models.world.edits import REFERENCE, EditPair, sample_edit
from models_store.store import ModelSet
from prompt_reading.reader import GrammarPromptReader
from tests.fakes.fake_analyzer import FakeAnalyzer

pytestmark = pytest.mark.integration

PERSON_SEED = 0
LOOKS = ("detect", "segment", "estimate_pose", "estimate_depth")
PERSON = Detection(label="person", score=0.9, box=Box(x0=60, y0=20, x1=200, y1=250))
ENCODINGS = ("reference_encodes", "vae_encodes", "text_encodes")


class Counted:
    """An editor, and what the models did for each of its edits."""

    def __init__(self, local: LocalEditor, pair: EditPair) -> None:
        self._runners, self._pair = local.runners, pair
        self._analyzer = FakeAnalyzer(objects=(PERSON,))
        cache = SingleFlight(ContentCache(ttl_s=300, max_bytes=2**28, size_of=size_bytes))
        self._editor = Editor(
            config=load_config(),
            models=replace(local.models, analyzer=CachedAnalyzer(self._analyzer, cache)),
            native_size=local.native_size,
            reader=GrammarPromptReader(),
        )

    async def edit(self, prompt: str, *, mask: Mask | None = None, **options: Any) -> tuple[EditResult, dict[str, int]]:
        """An edit of the photo with pose, depth and a reference, and the calls that it took, without those of none."""
        asked = {"seed": 1, "num_inference_steps": 2, "control_types": ("pose", "depth"), **options}
        request = EditRequest(
            base=self._pair.before.image,
            prompt=prompt,
            references=(Reference(image=self._reference),),
            mask=mask,
            options=EditOptions(**asked),
        )
        before = await self._done()
        result = await self._editor.edit(request, request_id=uuid4().hex, listener=lambda _: None)
        after = await self._done()
        return result, {name: count - before[name] for name, count in after.items() if count > before[name]}

    @property
    def _reference(self) -> Image:
        assert self._pair.reference is not None
        return self._pair.reference

    async def _done(self) -> dict[str, int]:
        done = {"analyzer": len(self._analyzer.calls)} | dict.fromkeys((*LOOKS, *ENCODINGS), 0)
        for runner in self._runners:
            state = await runner.state()
            counted = {name: batches["items"] for name, batches in state.get("batches", {}).items()}
            counted |= state.get("counters", {})
            done |= {name: count for name, count in counted.items() if name in done}
        return done


@pytest.fixture
def local(configured_models: ModelSet) -> AsyncIterator[LocalEditor]:
    """Anew for each test: what one leaves in the caches, the next one would not compute."""
    with local_editor() as editor:
        yield editor


@pytest.fixture
def counted(local: LocalEditor) -> Counted:
    return Counted(local, sample_edit(PERSON_SEED, REFERENCE))


async def test_what_a_second_edit_of_a_photo_computes_again(counted: Counted) -> None:
    first, calls = await counted.edit("person wearing this jacket")
    assert calls == {
        "analyzer": 1, "detect": 1, "segment": 1, "estimate_pose": 1, "estimate_depth": 1,
        "reference_encodes": 1, "vae_encodes": 1, "text_encodes": 2,
    }  # fmt: skip
    again, calls = await counted.edit("person wearing this jacket")
    assert calls == {}
    assert np.array_equal(again.images[0], first.images[0])
    _, calls = await counted.edit("person wearing this jacket", seed=2, num_inference_steps=3, guidance_scale=4.0)
    assert calls == {}
    _, calls = await counted.edit("person wearing this red jacket")
    assert calls == {"text_encodes": 1}


async def test_what_a_moved_mask_computes_again(counted: Counted) -> None:
    asked = {"prompt": "a green jacket", "crop": Crop.OFF}
    mask = np.zeros((256, 256), np.uint8)
    mask[100:180, 90:160] = 255
    first, _ = await counted.edit(**asked, mask=mask)
    _, calls = await counted.edit(**asked, mask=np.roll(mask, 24, axis=1))
    assert calls == {"vae_encodes": 1}
    back, calls = await counted.edit(**asked, mask=mask)
    assert calls == {}
    assert np.array_equal(back.images[0], first.images[0])
