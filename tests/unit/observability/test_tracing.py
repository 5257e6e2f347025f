"""Where spans go, what is sent along, and how a file of them is read."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from composition.config import Config, ConfigError, TracingConfig
from composition.logs import current_ids
from observability.tracing import continued, current_traceparent, past_span, set_up_tracing, span, stop_tracing
from observability.trees import draw, of_job, read_spans

ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "traces" / "spans.jsonl"
    set_up_tracing(TracingConfig(file=str(path)), "front")
    yield path
    stop_tracing()


def one_edit() -> None:
    with continued("", "request"):
        sent = current_traceparent()
    with continued(sent, "attempt", attributes={"job.id": "j-1"}), span("diffuse"):
        past_span("denoise", parent=current_traceparent(), seconds=0.5, attributes={"steps": 4}, failed=True)


def test_off_by_default_nothing_is_traced_nor_sent_along():
    set_up_tracing(Config().tracing, "front")
    with continued("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "request"), span("route"):
        assert current_traceparent() == ""
        assert "trace_id" not in current_ids()


def test_log_lines_have_the_trace_s_id(file):
    with continued("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "request"):
        assert current_ids()["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in current_ids()


def test_a_file_of_spans_is_drawn_as_a_tree(file):
    one_edit()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    traces = read_spans([*file.read_text().splitlines(), '{"trace": "cut o'])
    (spans,) = of_job(traces, "j-1").values()
    indents = {line.split()[0]: len(line) - len(line.lstrip()) for line in draw(spans).splitlines()[1:]}
    assert indents == {"request": 0, "attempt": 2, "diffuse": 4, "denoise": 6}
    assert "FAILED  steps=4" in draw(spans)
    assert of_job(traces, "j-2") == {}


def test_the_command_draws_it(file):
    one_edit()
    command = [sys.executable, "-m", "observability", str(file), "--job", "j-1"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "    diffuse" in ran.stdout) == (0, True), ran.stderr
    ran = subprocess.run([*command[:-1], "j-2"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (1, "no such trace\n")


def test_a_fraction_of_the_requests_is_traced_and_a_caller_s_decision_kept(tmp_path):
    path = tmp_path / "spans.jsonl"
    set_up_tracing(TracingConfig(file=str(path), sample=0.0), "front")
    try:
        with continued("", "request"):
            assert int(current_traceparent()[-2:], 16) & 1 == 0
        with continued("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "request"):
            pass
    finally:
        stop_tracing()
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["parent"] == "b7ad6b7169203331"


def test_what_cannot_work_is_said_at_the_start(tmp_path):
    (tmp_path / "there").touch()
    with pytest.raises(ConfigError, match=r"tracing\.file: .*there/spans cannot be written"):
        set_up_tracing(TracingConfig(file=str(tmp_path / "there" / "spans")), "front")
    with pytest.raises(ValueError, match="not both"):
        TracingConfig(endpoint="http://collector:4318/v1/traces", file="spans")
