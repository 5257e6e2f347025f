"""deploy/nginx: its limits and times lie just outside of the service's own, so that the service has the word."""

from __future__ import annotations

import json
import re

import pytest

from composition.config import Config
from tests.unit.deploy.documents import DEPLOY, seconds

TEXT = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")


def setting(name: str, text: str = TEXT) -> str:
    """The first value of a directive."""
    return re.search(rf"^\s*{name} ([^;]+);", text, re.MULTILINE)[1]


def location(path: str) -> str:
    return re.search(rf"location {re.escape(path)} \{{([^}}]+)\}}", TEXT)[1]


def test_a_body_that_is_too_large_is_refused_by_the_service():
    limit_mb = int(setting("client_max_body_size").removesuffix("m"))
    assert Config().api.max_request_size_mb < limit_mb <= Config().api.max_request_size_mb + 8


def test_it_waits_longer_for_an_answer_than_the_service_takes():
    assert seconds(setting("proxy_read_timeout")) > Config().limits.request_timeout_seconds + 30  # RESPONSE_MARGIN_S


def test_slow_heads_and_bodies_are_cut_off():
    assert seconds(setting("client_header_timeout")) <= 10
    assert seconds(setting("client_body_timeout")) <= 20
    number, size = setting("large_client_header_buffers").split()
    assert int(number) * int(size.removesuffix("k")) <= 64


@pytest.mark.parametrize("path", ["~ ^/api/v1/jobs/[^/]+/events$", "^~ /v1/images/", "^~ /mcp"])
def test_what_arrives_bit_by_bit_is_not_held_back(path):
    assert setting("proxy_buffering", location(path)) == "off"


def test_an_event_stream_may_be_silent_for_longer_than_an_edit():
    events = location("~ ^/api/v1/jobs/[^/]+/events$")
    assert seconds(setting("proxy_read_timeout", events)) >= 3600


def test_what_was_sent_is_never_sent_to_a_second_node():
    assert setting("proxy_next_upstream") == "error timeout"  # without non_idempotent


def test_figures_are_for_who_runs_the_service():
    assert "deny all;" in location("= /metrics")


@pytest.mark.parametrize(
    ("path", "code"), [("@too_large", "PAYLOAD_TOO_LARGE"), ("@too_many", "RATE_LIMITED"), ("@away", "NOT_READY")]
)
def test_what_the_proxy_says_has_the_shape_of_the_services_errors(path, code):
    body = json.loads(re.search(rf"location {path} \{{[^']*'([^']+)'", TEXT)[1])
    assert body["success"] is False
    assert body["error"].keys() == {"code", "message", "details"}
    assert body["error"]["code"] == code


def test_a_node_that_is_gone_is_no_gateways_error_but_the_services_own_status():
    assert setting("error_page 502 504") == "=503 @away"


def test_the_log_has_no_query():
    assert "$uri" in setting("log_format line")
    assert "$request " not in TEXT
    assert "$args" not in TEXT
