"""One record, one line; libraries that tell secrets are silent."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import httpx
import pytest

from composition.logs import TALKATIVE, OneLineRecord, set_up_logging

FORGED = "x\n2026-01-01T00:00:00 [ERROR] forged\r\x1b[2J\u2028\x85\u202e"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process writes; everything is put back afterwards."""
    factory, root = logging.getLogRecordFactory(), logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", *TALKATIVE)}
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root.addHandler(handler)
    set_up_logging("INFO")
    yield written
    root.removeHandler(handler)
    logging.setLogRecordFactory(factory)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("arguments", [("%s", FORGED), (FORGED,), ("%(text)s", {"text": FORGED})])
def test_what_a_caller_sent_cannot_forge_a_line(log: io.StringIO, arguments: tuple):
    logging.getLogger("any").warning(*arguments)
    line = r"x\n2026-01-01T00:00:00 [ERROR] forged\r\x1b[2J\u2028\x85\u202e"
    assert log.getvalue() == line + "\n"


def test_a_traceback_s_lines_have_a_margin(log: io.StringIO):
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("any").exception("failed")
    first, *others = log.getvalue().rstrip("\n").split("\n")
    assert first == "failed"
    assert others[0] == "  | Traceback (most recent call last):"
    assert all(line.startswith("  | ") for line in others)
    assert "\x1b" not in log.getvalue()


async def test_a_url_s_token_is_not_logged(log: io.StringIO):
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get("https://shop.example/x.png?token=secret")
    assert log.getvalue() == ""


@pytest.mark.parametrize("name", ["bentoml.access", "uvicorn.access"])
def test_no_server_writes_access_lines_of_its_own(log: io.StringIO, name: str):
    logging.getLogger(name).info("GET / 200")
    assert log.getvalue() == ""


def test_letters_of_every_script_stay_readable(log: io.StringIO):
    logging.getLogger("any").info("Фото 写真 \u00e9")
    assert log.getvalue() == "Фото 写真 \u00e9\n"


def test_the_level_is_the_configured_one(log: io.StringIO):
    set_up_logging("ERROR")
    logging.getLogger("any").warning("unheard")
    assert log.getvalue() == ""


def test_a_record_without_an_exception_has_no_traceback():
    record = OneLineRecord("any", logging.INFO, __file__, 1, "x", (), (None, None, None))
    assert not record.exc_text
