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
    role: str
    ok: bool
    message: str

    def __str__(self) -> str:
        return f"{'ok    ' if self.ok else 'FAILED'} {self.role:17} {self.message}"


def verify_profile(profile: str, *, files_only: bool = False) -> Iterator[Finding]:
    """Check every model of a profile, one finding each; nothing is raised for a broken model.

    The models of a built or shipped profile also run once; downloaded ones are only loaded, as they may need a GPU.
    With `files_only` the files are compared and nothing is loaded.

    Raises: ValueError when there is no such profile.
    """
    models = ModelSet(ModelsConfig.model_validate({"profile": profile}))
    run = load_manifest(profile).source is not Source.HUB
    for role in models.roles:
        finding = _verify_files(models, role)
        yield finding if files_only or not finding.ok else _verify_model(models, role, run=run)


def _verify_files(models: ModelSet, role: str) -> Finding:
    if role in models.missing:
        return Finding(role=role, ok=False, message="is not imported")
    recorded = recorded_files(models.tag(role))
    problems = compare_files(models.path(role), recorded)
    return Finding(role=role, ok=not problems, message="; ".join(problems) or f"{len(recorded)} files as imported")


def compare_files(folder: Path, recorded: dict[str, FileRecord]) -> list[str]:
    """What differs between a folder and the record of its import, in words; empty when nothing does."""
    present = set(files_of(folder))
    problems = [f"{path} is missing" for path in sorted(set(recorded) - present)]
    problems += [f"{path} was not imported" for path in sorted(present - set(recorded))]
    for path in sorted(present & set(recorded)):
        if record(folder / path) != recorded[path]:
            problems.append(f"{path} is not what was imported")
    return problems


def _verify_model(models: ModelSet, role: str, *, run: bool) -> Finding:
    from models_store.smoke_test import smoke_test

    try:
        return Finding(role=role, ok=True, message=smoke_test(models, role, run=run))
    except Exception as error:  # whatever a loader raises is the finding
        return Finding(role=role, ok=False, message=f"does not load: {type(error).__name__}: {error}")
