"""Whether the API node of this machine can take requests: `python -m api.probe`, a container's health check."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

from composition.config import load_config
from composition.startup import config_errors_end_the_process

LIMIT_S = 8.0


def why_not(url: str) -> str | None:
    """None when `url` answers with 2xx, else what happened instead."""
    try:
        with urllib.request.urlopen(url, timeout=LIMIT_S):  # noqa: S310  our own address
            return None
    except urllib.error.HTTPError as error:
        return f"{url}: {error.code} {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    with config_errors_end_the_process():
        port = load_config().api.port
    sys.exit(why_not(f"http://127.0.0.1:{port}/readyz"))
