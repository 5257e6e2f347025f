"""The served OpenAPI documents keep to their standard, their examples work, and so does a client made from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

DOCUMENTS = ("/openapi.json", "/docs.json")


@pytest.fixture(params=DOCUMENTS)
def document(request, service_url) -> dict[str, Any]:
    return httpx.get(service_url + request.param, timeout=600).json()


def request_examples(document: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Method, path and body of everything that a document shows as a request."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for shown in examples_of(content, document):
                    yield method, path, shown


def examples_of(node: dict[str, Any], document: dict[str, Any]) -> Iterator[Any]:
    if "example" in node:
        yield node["example"]
    listed = node.get("examples", [])
    yield from (example["value"] for example in listed.values()) if isinstance(listed, dict) else listed
    if "$ref" in node:
        yield from examples_of(document["components"]["schemas"][node["$ref"].rpartition("/")[2]], document)
    if "schema" in node:
        yield from examples_of(node["schema"], document)


def test_the_documents_keep_to_the_version_that_they_name(document):
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_request_that_is_shown_is_accepted(document, service_url):
    shown = list(request_examples(document))
    paths = {path for _, path, _ in shown}
    assert paths >= {"/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze"}
    for method, path, body in shown:
        answer = httpx.request(method, service_url + path, json=body, timeout=600)
        assert answer.status_code == 200, (path, answer.text)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_generated_client_compiles_without_a_warning_and_edits(path, service_url, tmp_path):
    document = httpx.get(service_url + path, timeout=600).json()
    (tmp_path / "document.json").write_text(json.dumps(document))
    tools = Path(sys.executable).parent
    variables = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}  # it formats with the ruff that it finds
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 600, "check": False}
    generator = [str(tools / "openapi-python-client"), "generate", "--fail-on-warning"]
    made = subprocess.run(
        [*generator, "--path", "document.json", "--output-path", "edits", "--meta", "none"], env=variables, **run
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    strict = [sys.executable, "-W", "error"]
    compiled = subprocess.run([*strict, "-m", "compileall", "-q", "edits"], **run)
    assert (compiled.returncode, compiled.stdout + compiled.stderr) == (0, "")
    example = document["components"]["schemas"]["GenerateRequest"]["example"]
    program = Path(__file__).with_name("generated_client_run.py")
    used = subprocess.run(
        [*strict, str(program), service_url, json.dumps(example)],
        **run, env={**variables, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (used.returncode, used.stdout) == (0, "done\n"), used.stderr
