"""The models of a configuration, found in the BentoML model store.

manifest -> source -> importer -> **store** -> runners. A `ModelSet` answers where each role's files are; loading them
is the runners' business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from composition.config import ModelsConfig
from composition.errors import NotReady
from models_store.manifest import load_manifest, repository_tag

if TYPE_CHECKING:
    from bentoml.models import BentoModel

_TAG = re.compile(r"[a-z0-9][a-z0-9._-]*:[a-z0-9][a-z0-9._-]*")

_OVERRIDES: Mapping[str, Callable[[ModelsConfig], str | None]] = {
    "sd-inpainting": lambda models: models.base_model,
    "sdxl-inpainting": lambda models: models.base_model,
    "grounding-dino": lambda models: models.detection.grounding_dino,
    "sam": lambda models: models.detection.sam,
    "controlnet-pose": lambda models: models.controlnet.pose,
    "controlnet-depth": lambda models: models.controlnet.depth,
    "ip-adapter": lambda models: models.ip_adapter.model,
    "dwpose": lambda models: models.structure.dwpose,
    "depth-anything": lambda models: models.structure.depth_anything,
    "clip": lambda models: models.clip,
    "yolox": lambda models: models.yolox,
}
"""The configuration key that replaces a role's model. `base_model` replaces the profile's base role only."""


class ModelsNotImported(NotReady):
    """The store lacks a model; the message has the command that imports it."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where a role's model is: a store entry, or a folder that the configuration names. `command` imports it."""

    tag: str | None
    folder: Path | None
    command: str


class ModelSet:
    """The models that a configuration asks for, by role.

    Attributes:
        profile: the profile's name.
        base_role: sd-inpainting or sdxl-inpainting: the role whose pipeline edits.
        native_size: the side in pixels that the base model was made for.
        ip_adapter_variant: which weights of the IP-Adapter repository fit the base model.
    """

    def __init__(self, models: ModelsConfig) -> None:
        self._manifest = load_manifest(models.profile)
        self.profile = models.profile
        self.base_role: str = self._manifest.base_role
        self.native_size: int = self._manifest.native_size
        self.ip_adapter_variant: str = models.ip_adapter.variant or self._manifest.ip_adapter_variant
        self._origins = {role: self._origin(role, self._override(role, models)) for role in self._manifest.models}

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that the profile has a model for."""
        return tuple(self._origins)

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles whose model is not in the store (or whose configured folder does not exist)."""
        return tuple(role for role in self._origins if not self._is_present(role))

    def tag(self, role: str) -> str:
        """The BentoML tag of a role's model, imported or not.

        Raises:
            KeyError: the profile has no such role.
            ValueError: the configuration names a folder, which has no tag.
        """
        tag = self._origins[role].tag
        if tag is None:
            raise ValueError(f"the model of {role} is the folder {self._origins[role].folder}, not a store entry")
        return tag

    def path(self, role: str) -> Path:
        """The folder of a role's files, laid out as in its hub repository.

        Raises:
            KeyError: the profile has no such role.
            ModelsNotImported: it is not there; the message has the command that imports it.
        """
        origin = self._origins[role]
        if not self._is_present(role):
            where = f"folder {origin.folder}" if origin.folder else f"model store entry {origin.tag}"
            raise ModelsNotImported(
                f"{role} of model profile {self.profile} is missing ({where}); run: {origin.command}",
                details={"role": role, "profile": self.profile},
            )
        if origin.folder is not None:
            return origin.folder
        import bentoml

        return Path(bentoml.models.get(self.tag(role)).path)

    def part(self, role: str, name: str) -> Path:
        """A named file or folder of a role (`parts` of the manifest), e.g. `part("yolox", "model")`.

        Raises:
            KeyError: the profile has no such role, or the role no such part.
            ModelsNotImported: as for `path`.
        """
        return self.path(role) / self._manifest.models[role].parts[name]

    @property
    def safety_checker_path(self) -> Path:
        """The folder with `safety_checker/` and `feature_extractor/`: the base model's own, or a model beside it.

        Raises: ModelsNotImported.
        """
        return self.path("safety-checker" if "safety-checker" in self._origins else self.base_role)

    def variant(self, role: str) -> str | None:
        """The weight variant to load (diffusers' and transformers' `variant=`), None for the plain files."""
        return self._manifest.models[role].variant

    def bento_model(self, role: str) -> BentoModel:
        """For a class attribute of a BentoML service: packs the role's model in the Bento.

        Raises:
            KeyError, ValueError: as for `tag`.
        """
        from models_store.packing import ImportableModel

        return ImportableModel(self.tag(role), command=self._origins[role].command)

    def bento_models(self) -> list[BentoModel]:
        """Those of every role; a role whose model is a folder is left out, as it cannot be packed."""
        return [self.bento_model(role) for role, origin in self._origins.items() if origin.tag is not None]

    def _override(self, role: str, models: ModelsConfig) -> str | None:
        if role in ("sd-inpainting", "sdxl-inpainting") and role != self.base_role:
            return None
        read = _OVERRIDES.get(role)
        return read(models) if read else None

    def _origin(self, role: str, override: str | None) -> _Origin:
        """A null override and the profile's own repository mean the profile's entry."""
        own = self._manifest.models[role]
        if override is None or own.is_called(override):
            command = f"python -m models_store import {self.profile}"
            return _Origin(tag=self._manifest.tag(role), folder=None, command=command)
        if _TAG.fullmatch(override):
            return _Origin(tag=override, folder=None, command=f"bentoml models import (a file that has {override})")
        if Path(override).is_dir() or override.startswith((".", "/", "~")) or override.count("/") != 1:
            folder = Path(override).expanduser()
            return _Origin(tag=None, folder=folder, command=f"put the model's files into {folder}")
        command = f"python -m models_store import {self.profile} --role {role} --repository {override}"
        return _Origin(tag=repository_tag(role, override), folder=None, command=command)

    def _is_present(self, role: str) -> bool:
        origin = self._origins[role]
        if origin.tag is None:
            return origin.folder is not None and origin.folder.is_dir()
        from models_store.entries import is_imported

        return is_imported(origin.tag)
