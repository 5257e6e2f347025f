"""A store entry as a class attribute of a BentoML service: packed in the Bento, looked for when the server starts."""

from __future__ import annotations

from typing import Any

from bentoml.exceptions import NotFound
from bentoml.models import BentoModel


class ImportableModel(BentoModel):  # type: ignore[misc]
    """When it is not in the store, says which command puts it there; BentoML would ask for a login to its cloud."""

    def __init__(self, tag: str, *, command: str) -> None:
        super().__init__(tag)
        object.__setattr__(self, "_command", command)  # BentoML's class is frozen

    def resolve(self, *arguments: Any, **options: Any) -> Any:
        self._require_import()
        return super().resolve(*arguments, **options)

    def to_info(self, *arguments: Any, **options: Any) -> Any:
        self._require_import()
        return super().to_info(*arguments, **options)

    def _require_import(self) -> None:
        if self.stored is None:
            raise NotFound(f"{self.tag} is not in the model store; run: {self._command}")
