"""A pytest plugin: the last test first, which shows the tests that lean on those before them.

python -m pytest -p tests.reversed_order tests/unit
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.reverse()
