"""The importer: a profile's models into the BentoML model store, one entry per role.

manifest -> source -> **import** -> store. Safe to run twice, in parallel, and to kill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from models_store.entries import exclusive, is_imported, publish, working_folder
from models_store.manifest import Manifest, Model, Source, load_manifest, repository_tag
from models_store.pipelines import UnservedPipeline, family_of
from models_store.plan.probe import room_at
from models_store.progress import GIGABYTE, bytes_in
from models_store.sources import SHIPPED, Content, ImportRefused, download, obtain


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """Tags that this call imported, and those that were there before."""

    imported: tuple[str, ...]
    present: tuple[str, ...]


def import_profile(
    profile: str,
    role: str | None = None,
    *,
    shipped: Path = SHIPPED,
    origin: Path | None = None,
    tell: Callable[[Sequence[Model]], None] = lambda missing: None,
) -> ImportReport:
    """Import what the store lacks of a profile, showing a progress bar on a terminal.

    Without a role every one is imported that is not optional. `origin` is an archive or a folder to take them from;
    `tell` hears what is going to be imported, before anything is.

    Raises:
        ValueError: there is no such profile.
        ImportRefused: no family serves the profile's base model, the role is unknown, or a model's files cannot be had.
        StoreLocked: another importer did not finish in time.
    """
    manifest = _served_manifest(profile)
    roles = (_known(manifest, role),) if role else manifest.required
    missing, present = _missing_and_present(manifest, roles)
    if not missing:
        return ImportReport(imported=(), present=present)
    tell([manifest.models[lacking] for lacking in missing])
    with exclusive() as staging:
        missing, present = _missing_and_present(manifest, roles)  # again: another importer may have been at work
        downloaded = manifest.source is Source.HUB and origin is None
        if downloaded:
            _require_room(manifest, missing)
        bar = tqdm(missing, unit="model", disable=downloaded or None)  # a download tells its own progress
        for lacking in bar:
            bar.set_description(lacking)
            _import_role(manifest, lacking, staging, shipped, origin)
    return ImportReport(imported=tuple(manifest.tag(lacking) for lacking in missing), present=present)


def _require_room(manifest: Manifest, roles: Sequence[str]) -> None:
    """For all of them, before the first is fetched; what an interrupted import left behind is not fetched again."""
    need = sum(manifest.models[role].size_bytes for role in roles) - bytes_in(working_folder() / "downloads")
    free = room_at(working_folder())
    if need > free:
        raise ImportRefused(
            f"profile {manifest.profile} needs {need / GIGABYTE:.1f} GB in {working_folder()},"
            f" {free / GIGABYTE:.1f} GB are free: free some, or set BENTOML_HOME to a folder on another disk"
        )


def _served_manifest(profile: str) -> Manifest:
    """Nobody downloads gigabytes that no runner can load."""
    manifest = load_manifest(profile)
    try:
        family_of(manifest.base.pipeline_class, what=f"the base model of profile {profile}")
    except UnservedPipeline as error:
        raise ImportRefused(str(error)) from error
    return manifest


def _known(manifest: Manifest, role: str) -> str:
    if role not in manifest.models:
        raise ImportRefused(f"profile {manifest.profile} has no role {role}; it has {', '.join(manifest.models)}")
    return role


def _missing_and_present(manifest: Manifest, roles: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those whose model the store lacks, and the tags of the others."""
    missing = tuple(role for role in roles if not is_imported(manifest.tag(role)))
    present = tuple(manifest.tag(role) for role in roles if role not in missing)
    return missing, present


def _import_role(manifest: Manifest, role: str, staging: Path, shipped: Path, origin: Path | None) -> None:
    folder = staging / role
    folder.mkdir()
    content = obtain(manifest, role, folder, shipped=shipped, origin=origin)
    _publish(manifest.tag(role), manifest.models[role], content, staging, profile=manifest.profile, role=role)


def import_repository(profile: str, role: str, repository: str, revision: str) -> str:
    """Import another hub repository for a role, for a configuration that overrides the profile's; the entry's tag.

    Raises: as `import_profile`.
    """
    manifest = _served_manifest(profile)
    own = manifest.models[_known(manifest, role)]
    model = own.model_copy(update={"repository": repository, "revision": revision, "sha256": {}})
    tag = repository_tag(role, repository)
    with exclusive() as staging:
        if not is_imported(tag):
            _publish(tag, model, download(model), staging, profile=profile, role=role)
    return tag


def _publish(tag: str, model: Model, content: Content, staging: Path, *, profile: str, role: str) -> None:
    facts = {
        "profile": profile,
        "role": role,
        "repository": model.repository,
        "revision": content.revision,
        "licence": model.licence,
    }
    publish(tag, content.folder, staging, facts)
