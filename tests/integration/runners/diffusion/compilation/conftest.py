from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.integration.runners.diffusion.compilation.networks import CountingBackend


@pytest.fixture
def backend() -> Iterator[CountingBackend]:
    yield CountingBackend()
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    """As the threads of the engine have it."""
    with torch.inference_mode():
        yield
