"""The command line: `python -m models_store list|import|verify|doctor [PROFILE]`; without a name the configured one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from composition.config import Config, ConfigError, load_config
from models_store.manifest import Model, load_manifest, profiles
from models_store.pipelines import FAMILIES

_MEGABYTE, _GIGABYTE = 1_000_000, 1_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0 done, 1 could not be done, 2 for bad arguments or a bad configuration."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # else every entry is reported to BentoML's makers
    if options.command == "list":
        return _list([options.profile] if options.profile else profiles())
    try:
        options.profile = options.profile or load_config().models.profile
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.command == "import":
        return _import(options)
    if options.command == "export":
        return _export(options.profile, options.file)
    if options.command == "doctor":
        return _doctor(options.profile)
    return _verify(options.profile, files_only=options.files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models_store", description="The models in the BentoML model store."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("list", help="show a profile (default: every one) and what of it is imported")
    show.add_argument("profile", nargs="?", choices=profiles())
    load = commands.add_parser("import", help="import a profile's models (does nothing when they are there)")
    load.add_argument("profile", nargs="?", choices=profiles(), help="default: the configured one")
    load.add_argument("--role", help="import just this role's model, which may be optional")
    load.add_argument(
        "--repository", metavar="ORG/NAME", help="for --role, a hub repository that the configuration names"
    )
    load.add_argument("--revision", default="main", help="its commit or branch (default: main)")
    load.add_argument(
        "--from", dest="origin", type=Path, metavar="PATH", help="an archive of `export`, or a folder with org/name/..."
    )
    save = commands.add_parser("export", help="write a profile's models into one file, for a machine without a network")
    save.add_argument("file", type=Path, help="the archive (tar) to write; it must not be there")
    save.add_argument("profile", nargs="?", choices=profiles(), help="default: the configured one")
    verify = commands.add_parser("verify", help="check the imported files and load every model")
    verify.add_argument("profile", nargs="?", choices=profiles(), help="default: the configured one")
    verify.add_argument("--files", action="store_true", help="only compare the files with those that were imported")
    doctor = commands.add_parser("doctor", help="say what this machine can serve, and what is missing")
    doctor.add_argument("profile", nargs="?", choices=profiles(), help="default: the configured one")
    return parser


def _list(names: Sequence[str]) -> int:
    from models_store.entries import is_imported

    for profile in names:
        manifest = load_manifest(profile)
        total = sum(manifest.models[role].size_bytes for role in manifest.required)
        served = "" if manifest.base.pipeline_class in FAMILIES else " (no runner serves it yet)"
        print(f"{profile}  {total / _MEGABYTE:,.0f} MB, {manifest.native_size} px: {manifest.description}{served}")
        for role, model in manifest.models.items():
            state = "imported" if is_imported(manifest.tag(role)) else "optional" if model.optional else "-"
            print(
                f"  {role:17} {state:9} {model.size_bytes / _MEGABYTE:>9,.1f} MB  {model.repository} ({model.licence})"
            )
    return 0


def _import(options: argparse.Namespace) -> int:
    from models_store.entries import StoreLocked
    from models_store.importer import import_profile, import_repository
    from models_store.sources import ImportRefused

    if options.repository and not options.role:
        print("--repository needs the --role that it is for", file=sys.stderr)
        return 2
    try:
        if options.repository:
            print(import_repository(options.profile, options.role, options.repository, options.revision))
            return 0
        report = import_profile(
            options.profile,
            options.role,
            origin=options.origin,
            tell=lambda missing: _tell_plan(options.profile, missing),
        )
    except (ImportRefused, StoreLocked) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.profile}: {len(report.imported)} models imported, {len(report.present)} were there")
    return 0


def _tell_plan(profile: str, missing: Sequence[Model]) -> None:
    """What an import is going to take, and what the profile will take of this machine."""
    from models_store.entries import model_store_folder
    from models_store.plan.probe import room_at

    folder, need = model_store_folder(), sum(model.size_bytes for model in missing)
    free = room_at(folder)
    print(f"{profile}: {len(missing)} models, {need / _GIGABYTE:.2f} GB, into {folder}; {free / _GIGABYTE:.1f} GB free")
    for line in _plan_of(profile):
        print(f"  once served: {line}")
    sys.stdout.flush()


def _plan_of(profile: str) -> list[str]:
    from models_store.plan.decided import wishes_of
    from models_store.plan.needs import needs_of
    from models_store.plan.planner import make_plan
    from models_store.plan.probe import find_gpus
    from models_store.plan.words import summary
    from models_store.store import ModelSet

    config = _configured(profile)
    return summary(make_plan(find_gpus(), needs_of(ModelSet(config.models)), wishes_of(config)))


def _configured(profile: str) -> Config:
    config = load_config()
    return config.model_copy(update={"models": config.models.model_copy(update={"profile": profile})})


def _export(profile: str, file: Path) -> int:
    from models_store.archive import export
    from models_store.entries import is_imported, stored_folder

    manifest = load_manifest(profile)
    tags = {role: manifest.tag(role) for role in manifest.models}
    if missing := [role for role in manifest.required if not is_imported(tags[role])]:
        print(f"error: {profile} lacks {', '.join(missing)}: python -m models_store import {profile}", file=sys.stderr)
        return 1
    if file.exists():
        print(f"error: {file} is there already", file=sys.stderr)
        return 1
    there = {role: (manifest.models[role], stored_folder(tag)) for role, tag in tags.items() if is_imported(tag)}
    try:
        count = export(there, file)
    except OSError as error:
        print(f"error: {file} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{file}: {count} files of {len(there)} models; python -m models_store import {profile} --from {file.name}")
    return 0


def _verify(profile: str, *, files_only: bool) -> int:
    from models_store.verification import verify_profile

    failed = 0
    for finding in verify_profile(profile, files_only=files_only):
        print(finding, flush=True)
        failed += not finding.ok
    return 1 if failed else 0


def _doctor(profile: str) -> int:
    from models_store.doctor import examine

    diagnosis = examine(_configured(profile))
    print("\n".join(diagnosis.lines(profile)))
    return 0 if diagnosis.servable else 1
