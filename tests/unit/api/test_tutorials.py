"""The bodies of docs/tutorials.md are requests that the service accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.api.conftest import Edge
from tests.unit.api.images import photo

PAGE = (Path(__file__).parents[3] / "docs" / "tutorials.md").read_text(encoding="utf-8")
BODIES = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", BODIES)
async def test_a_tutorial_s_request_is_accepted(edge: Edge, text: str):
    body = {key: photo() if value == "..." else value for key, value in json.loads(text).items()}
    path = "/api/v1/generate/async" if "callback_url" in body else "/api/v1/generate"
    answer = await edge.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert edge.only_job.payload.prompt == body["prompt"]


def test_there_is_one_for_each_use_case():
    assert len(BODIES) == 5
