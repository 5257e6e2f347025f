"""Requests that schemathesis makes up from the service's own OpenAPI document: `make schemathesis`.

Every documented route, BentoML's own ones too: no 5xx, no status, header or content type that is not documented, every
body as described. tests/e2e/test_schema_attack.py is the short form.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks.server import ROOT, Server, free_port

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
)
ADMIN_KEY = "the-key-of-who-attacks"
PATIENCE_S = 900
"""A machine that is busy otherwise is no fault of the service: this long an edit may take, and its client waits."""
ENVIRONMENT = {
    "COMPOSITION_MODELS__PROFILE": "tiny",
    "COMPOSITION_QUEUE__MAX_PENDING": "100000",
    "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": str(PATIENCE_S),
}
"""The tests' own service has the same patience, and room enough for what half a minute makes up."""
OWN_ENVIRONMENT = {
    **ENVIRONMENT,
    "COMPOSITION_API__ADMIN_KEY": ADMIN_KEY,
    "COMPOSITION_GENERATION__DEFAULT_STEPS": "2",
    "COMPOSITION_GENERATION__PREVIEWS": "true",
}
"""Of a service that nobody else uses: it may be drained."""


def is_installed() -> bool:
    return find_spec("schemathesis") is not None


def attack(url: str, *, seconds: int, seed: int | None, folder: Path) -> int:
    """Schemathesis's exit status, 0 when everything held; its account goes to standard output."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--max-time", str(seconds), "--checks", ",".join(CHECKS)),
        *("--request-timeout", str(PATIENCE_S), "--continue-on-failure"),
        *("--header", f"X-API-Key: {ADMIN_KEY}"),
        *(("--seed", str(seed)) if seed is not None else ()),
    ]
    # What it keeps between runs (its examples' database, reports) stays out of the checkout.
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    hooks = {"SCHEMATHESIS_HOOKS": "benchmarks.attack_schema_hooks", "PYTHONPATH": path}
    return subprocess.run(command, check=False, cwd=folder, env={**os.environ, **hooks}).returncode


def main() -> int:
    """Exit status 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(port=free_port(), log=Path(folder) / "serve.log", environment=OWN_ENVIRONMENT) as server,
    ):
        server.wait_until_healthy()
        return attack(server.url, seconds=options.seconds, seed=options.seed, folder=Path(folder))


if __name__ == "__main__":
    sys.exit(main())
