"""Fields of the documented contract that this version does not have: they are validated, then refused.

A name is a field's path ("config.loras": any value but its default is refused) or a path with one value
("config.speed: fast": only that value is).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import BaseModel

from composition.errors import NotAvailableYet

UNAVAILABLE: frozenset[str] = frozenset()


def refuse_unavailable(request: BaseModel, unavailable: frozenset[str]) -> None:
    """Raises: NotAvailableYet: a field of the valid request asks for a feature that is not built."""
    for name in sorted(unavailable):
        path, _, value = name.partition(": ")
        given, default = _lookup(request, path.split("."))
        asked = _plain(given) == value if value else given != default
        if asked:
            raise NotAvailableYet(name)


def _lookup(model: BaseModel, path: list[str]) -> tuple[Any, Any]:
    *parents, leaf = path
    for name in parents:
        model = getattr(model, name)
    return getattr(model, leaf), type(model).model_fields[leaf].get_default(call_default_factory=True)


def _plain(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)
