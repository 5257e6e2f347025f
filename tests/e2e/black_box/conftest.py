from __future__ import annotations

import pytest

from tests.e2e.black_box.client import Client
from tests.e2e.images import b64, encoded, photo


@pytest.fixture(scope="module")
def client(service_url):
    opened = Client(service_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def edit():
    """The smallest valid request."""
    return {"base_image": b64(encoded(photo(256, 256), "png")), "prompt": "a red hat"}
