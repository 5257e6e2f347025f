"""One record, one line; libraries that tell secrets are silent."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest

from composition.logs import TALKATIVE, OneLineRecord, format_logs, logged_with, set_up_logging

FORGED = "x\n2026-01-01T00:00:00 [ERROR] forged\r\x1b[2J\u2028\x85\u202e"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process writes; everything is put back afterwards."""
    factory, root = logging.getLogRecordFactory(), logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", *TALKATIVE)}
    loggers = [root, *(item for item in logging.Logger.manager.loggerDict.values())]
    formatters = {handler: handler.formatter for item in loggers for handler in getattr(item, "handlers", ())}
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root.addHandler(handler)
    set_up_logging("INFO")
    yield written
    root.removeHandler(handler)
    for other, formatter in formatters.items():  # pytest's own stay for the whole session
        other.setFormatter(formatter)
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


async def test_a_json_line_has_the_ids_of_what_it_is_about_in_every_task_of_it(log: io.StringIO):
    format_logs("json", "front")

    async def work() -> None:
        logging.getLogger("jobs").info("job %s ended", "j-1")

    with logged_with(request_id="r-1"), logged_with(job_id="j-1", trace_id=""):
        await asyncio.gather(asyncio.create_task(work()), asyncio.to_thread(logging.getLogger("t").info, FORGED))
    logging.getLogger("jobs").info("nobody's")
    first, second, third = (json.loads(line) for line in log.getvalue().splitlines())
    assert {name: first[name] for name in first.keys() - {"time", "pid"}} == {
        "level": "INFO",
        "logger": "jobs",
        "process": "front",
        "message": "job j-1 ended",
        "request_id": "r-1",
        "job_id": "j-1",
    }
    assert second["job_id"] == "j-1"
    assert not {"request_id", "job_id"} & third.keys()


def test_a_json_line_has_the_traceback_in_it(log: io.StringIO):
    format_logs("json", "front")
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("any").exception("failed")
    (line,) = log.getvalue().splitlines()
    assert "ValueError" in json.loads(line)["exception"]
