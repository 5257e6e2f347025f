"""Where the service is and how it is spoken to; the same for both clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx

from composition_client.calls import Call

DEFAULT_URL = "http://127.0.0.1:8000"
URL_VARIABLE, KEY_VARIABLE = "COMPOSE_URL", "COMPOSE_API_KEY"
CONNECT_S = 10.0


def _version() -> str:
    try:
        return version("image-composition-client")
    except PackageNotFoundError:
        return "0"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A base URL, which may have a path, and a key, which nothing prints.

    Raises:
        ValueError: not an http or https URL, or a key that no header can carry.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if httpx.URL(self.url).scheme not in ("http", "https"):
            raise ValueError(f"not an http or https URL: {self.url!r}")
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("the API key has characters that no header can carry")

    @classmethod
    def to(cls, url: str | None, api_key: str | None) -> Connection:
        """What is not given is taken from COMPOSE_URL and COMPOSE_API_KEY."""
        found = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
        return cls(url=found, api_key=(api_key or os.environ.get(KEY_VARIABLE) or "").strip() or None)

    def settings(self) -> Mapping[str, Any]:
        """For `httpx.Client` and `httpx.AsyncClient`. A redirect is not followed: it could take the key elsewhere."""
        headers = {"User-Agent": f"image-composition-client/{_version()}"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {"base_url": self.url, "headers": headers, "follow_redirects": False}


def arguments(call: Call, timeout_s: float) -> dict[str, Any]:
    """Of httpx's `request` and `stream`. Seconds are for one read or write, not for the whole answer."""
    return {
        "method": call.method,
        "url": call.path,
        "content": None if call.body is None else call.body.content,
        "params": call.params or None,
        "headers": call.all_headers,
        "timeout": httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
    }
