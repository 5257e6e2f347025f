"""The short form of `make schemathesis`."""

from __future__ import annotations

import httpx
import pytest

from benchmarks import attack_schema


@pytest.mark.skipif(not attack_schema.is_installed(), reason="schemathesis is not installed")
def test_no_request_that_the_document_suggests_is_answered_otherwise_than_documented(service_url, tmp_path):
    try:
        assert attack_schema.attack(service_url, seconds=30, seed=1, folder=tmp_path) == 0
    finally:
        cancel_what_waits(service_url)


def cancel_what_waits(url):
    """The others that use this service do not wait for what was made up."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=120) as client:
        for status in ("pending", "processing"):
            while jobs := client.get("/jobs", params={"status": status, "limit": 100}).json()["jobs"]:
                for job in jobs:
                    client.delete(f"/jobs/{job['job_id']}")
