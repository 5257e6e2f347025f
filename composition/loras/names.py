"""What a LoRA may be called: a name is also a file's name, and stands in answers and logs."""

from __future__ import annotations

import re
from typing import Final

from composition.errors import UnusableLora
from composition.few_steps import FEW_STEPS

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
NAME_RULE: Final = "1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or a digit"
RESERVED: Final = frozenset(few.role for few in FEW_STEPS.values())
"""What responses call models of the service."""


def check_name(name: str) -> None:
    """Raises: UnusableLora."""
    if not NAME.fullmatch(name):
        raise UnusableLora("name: must be " + NAME_RULE, details={"field": "name"})
    if name.casefold() in RESERVED:
        raise UnusableLora(f"name: {name} is a model of the service", details={"field": "name"})
