"""Manifests: which models a profile has, where they come from and what must be in them.

manifest -> source -> importer -> store. A manifest is a YAML file in `manifests/`, one per profile; importing this
module costs no model framework.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

MANIFESTS = Path(__file__).parent / "manifests"
TAG_PREFIX = "composition"
HOME, ELSEWHERE = "home", "elsewhere"
"""Parts of a role that has a network for the images that its `model` was not trained on; see `Model.parts`."""
_DIGEST_LENGTH = 12

Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(StrEnum):
    """Where a profile's files come from."""

    BUILD = "build"
    """Built on this machine with seeded random weights."""
    SHIPPED = "shipped"
    """Copied from the folder that is shipped with the source code."""
    HUB = "hub"
    """Downloaded from the model hub."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Entry):
    """One model of a profile.

    Attributes:
        repository: `org/name` on the hub; the on-disk layout is that repository's.
        revision: a commit or a branch; for shipped models a number that rises with every change of the weights.
        aliases: other repository ids that a configuration may name it by.
        files: glob patterns of what is imported.
        required: paths that must exist after the import.
        parts: names for single files or folders inside it, for loaders that need a path. A role of an object detector
            may have `elsewhere`, a second network for the images that `model` was not trained on, and `home`, which
            tells them apart; a pose network's may have `elsewhere`, for people that `model` is unsure of.
        variant: the weight variant to load (diffusers' `variant=`), None for the plain files.
        pipeline_class: `_class_name` of its model_index.json, where it is a diffusion pipeline.
        size_bytes: how much is imported, roughly: shown before a download.
        pickles: files that are pickles, each with the safetensors file that it becomes at the import.
        parameters: how many numbers each of its networks has, by name: what memory is planned with before the import.
        sha256: digests of files whose content is known beforehand.
        optional: the profile does without it; it is imported only when asked for by its role.
        untrained: what models of this kind can do and this one was not trained for, with the reason in words.
    """

    repository: Repository
    revision: str = "main"
    aliases: tuple[Repository, ...] = ()
    licence: str
    files: tuple[str, ...] = ("*",)
    required: Annotated[tuple[str, ...], Field(min_length=1)]
    parts: Mapping[str, str] = {}
    variant: str | None = None
    pipeline_class: str | None = None
    size_bytes: Annotated[int, Field(gt=0)]
    pickles: Mapping[str, str] = {}
    sha256: Mapping[str, Sha256] = {}
    parameters: Mapping[str, Annotated[int, Field(gt=0)]] = {}
    optional: bool = False
    untrained: Mapping[str, str] = {}

    @property
    def digest(self) -> str:
        """Changes with what an import would fetch."""
        identity: list[object] = [self.repository, self.revision, sorted(self.files), dict(self.sha256)]
        identity += [dict(self.pickles)] if self.pickles else []
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]

    def is_called(self, repository: str) -> bool:
        """Whether a configuration that says `repository` means this model."""
        return repository == self.repository or repository in self.aliases


class Manifest(_Entry):
    """The models of one profile by role; roles are the names that the API reports in `models_used`."""

    profile: str
    description: str
    source: Source
    native_size: Literal[256, 512, 768, 1024]
    base_role: Literal["sd-inpainting", "sdxl-inpainting"]
    ip_adapter_variant: Literal["sd15", "sd15-plus", "sdxl", "sdxl-plus"]
    models: Mapping[str, Model]

    @property
    def required(self) -> tuple[str, ...]:
        """The roles that an import of the profile brings."""
        return tuple(role for role, model in self.models.items() if not model.optional)

    @model_validator(mode="after")
    def _base_is_a_model(self) -> Manifest:
        if self.base_role not in self.models:
            raise ValueError(f"base_role {self.base_role} is not among the models")
        if self.base.pipeline_class is None:
            raise ValueError(f"the base model {self.base_role} has no pipeline_class")
        return self

    @property
    def base(self) -> Model:
        """The model whose pipeline edits."""
        return self.models[self.base_role]

    def tag(self, role: str) -> str:
        """The BentoML tag of the role's store entry. Raises: KeyError for a role that the profile lacks."""
        model = self.models[role]
        version = _recipe_digest() if self.source is Source.BUILD else model.digest
        return f"{TAG_PREFIX}-{self.profile}-{role}:{version}"


def profiles() -> tuple[str, ...]:
    """Every profile that has a manifest, in alphabetical order."""
    return tuple(sorted(path.stem for path in MANIFESTS.glob("*.yaml")))


def repository_tag(role: str, repository: str) -> str:
    """The BentoML tag of a hub repository that is in no manifest; the latest import of it counts."""
    slug = re.sub(r"[^a-z0-9]+", "-", repository.lower()).strip("-")
    digest = hashlib.sha256(repository.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{TAG_PREFIX}-{role}:{slug[:40]}-{digest}"


@cache
def load_manifest(profile: str) -> Manifest:
    """Read a profile's manifest.

    Raises:
        ValueError: there is no such profile, or its manifest is malformed.
    """
    if profile not in profiles():
        raise ValueError(f"there is no model profile {profile!r}; there are {', '.join(profiles())}")
    tree = yaml.safe_load((MANIFESTS / f"{profile}.yaml").read_text(encoding="utf-8"))
    return Manifest.model_validate(tree)


@cache
def _recipe_digest() -> str:
    """Of the builder's source code: a changed recipe is another version, so no stale weights are ever served."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "tiny").glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGEST_LENGTH]
