"""The way in which the comparison with other servers asks this one; the comparison itself is in tests/integration."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from benchmarks.peers.adapters import Ours, PeerFailed
from benchmarks.peers.edit import changed_outside, make_edit
from tests.e2e.black_box.client import eventually

OURS = Ours(model=Path("unused"), side_px=256, dtype="float32")


@pytest.fixture(scope="module")
def client(service_url):
    with httpx.Client(base_url=service_url, timeout=600) as client:
        yield client


def test_an_edit_is_painted_in_the_mask_and_nowhere_else(client):
    assert client.get(OURS.health_path).is_success
    edit = make_edit(1, side_px=256, steps=2)
    painted = OURS.paint(client, edit)
    assert changed_outside(edit, painted) == (0.0, 0.0)
    assert (painted[edit.mask == 255] != edit.photo[edit.mask == 255]).mean() > 0.5


def test_an_edit_can_be_left_and_asked_for(client):
    ticket = OURS.submit(client, make_edit(2, side_px=256, steps=2))
    assert ticket is not None
    images = []
    eventually(lambda: images.append(OURS.fetch(client, ticket)) or images[-1] is not None)
    assert images[-1].shape == (256, 256, 3)


def test_what_was_never_left_is_told_as_such(client):
    with pytest.raises(PeerFailed, match="answered 404"):
        OURS.fetch(client, "00000000-0000-0000-0000-000000000000")
