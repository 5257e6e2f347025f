"""Verification of an imported profile: the files are those that were imported, and every model loads and runs.

manifest -> source -> importer -> store -> **verify**.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from composition.config import ModelsConfig
from models_store.entries import FileRecord, files_of, record, recorded_files
from models_store.manifest import Source, load_manifest
from models_store.store import ModelSet


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found out about one role."""

    role: str
    ok: bool
    message: str

    def __str__(self) -> str:
        return f"{'ok    ' if self.ok else 'FAILED'} {self.role:17} {self.message}"


def verify_profile(profile: str) -> Iterator[Finding]:
    """Check every model of a profile, one finding each; nothing is raised for a broken model.

    The models of a built profile also run once; downloaded ones are only loaded, as a forward may need a GPU.

    Raises:
        ValueError: there is no such profile.
    """
    models = ModelSet(ModelsConfig.model_validate({"profile": profile}))
    run = load_manifest(profile).source is not Source.HUB
    for role in models.roles:
        if role in models.missing:
            yield Finding(role=role, ok=False, message="is not imported")
            continue
        try:
            problems = compare_files(models.path(role), recorded_files(models.tag(role)))
            message = "; ".join(problems) if problems else _try_model(models, role, run=run)
        except Exception as error:  # whatever a loader raises is the finding
            problems = [repr(error)]
            message = f"does not load: {type(error).__name__}: {error}"
        yield Finding(role=role, ok=not problems, message=message)


def compare_files(folder: Path, recorded: dict[str, FileRecord]) -> list[str]:
    """What differs between a folder and the record of its import, in words; empty when nothing does."""
    present = set(files_of(folder))
    problems = [f"{path} is missing" for path in sorted(set(recorded) - present)]
    problems += [f"{path} was not imported" for path in sorted(present - set(recorded))]
    for path in sorted(present & set(recorded)):
        if record(folder / path) != recorded[path]:
            problems.append(f"{path} is not what was imported")
    return problems


def _try_model(models: ModelSet, role: str, *, run: bool) -> str:
    from models_store.trial import try_model

    return try_model(models, role, run=run)
