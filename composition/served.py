"""Which models a configuration serves: what they are, from where, under which licence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One model behind a name of `models_used`.

    Attributes:
        name: as in `models_used`.
        repository: `org/name` on the hub, or what the configuration names in its place.
        revision: a commit, or the number of shipped weights; None where the configuration names another model.
        licence: of the weights; None where the configuration names another model: whoever named it knows.
        optional: the profile does without it.
        present: it has been imported.
    """

    name: str
    repository: str
    revision: str | None
    licence: str | None
    optional: bool
    present: bool
