"""Which models a runner brings into the Bento."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models_store.store import ModelSet

if TYPE_CHECKING:
    from bentoml.models import BentoModel


def packed(models: ModelSet, role: str) -> BentoModel | None:
    """A runner's class attribute for `role`; None when the configuration names a folder, which no Bento can hold."""
    try:
        return models.bento_model(role)
    except ValueError:
        return None
