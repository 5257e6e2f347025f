"""The models of a configuration, found in the BentoML model store.

manifest -> source -> importer -> **store** -> runners. A `ModelSet` answers where each role's files are; loading them
is the runners' business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from composition.config import ConfigError, ModelsConfig
from composition.controls import CONTROLS
from composition.errors import NotReady
from composition.request import ControlType
from composition.served import ServedModel
from models_store.checkpoints import Checkpoint, UnfitCheckpoint, inspect
from models_store.fitting import CHECKS
from models_store.manifest import HOME, Model, load_manifest, repository_tag
from models_store.pipelines import FAMILIES, family_of, latent_cell_px, pipeline_class

if TYPE_CHECKING:
    from bentoml.models import BentoModel

_TAG = re.compile(r"[a-z0-9][a-z0-9._-]*:[a-z0-9][a-z0-9._-]*")


def _controlnet(control: ControlType) -> Callable[[ModelsConfig], str | None]:
    return lambda models: models.controlnet.model_of(control)


def _require_like(found: Checkpoint, other: Checkpoint, what: str, whose: str) -> None:
    """Raises: UnfitCheckpoint, UnservedPipeline: the two are of different families or widths."""
    families = [family_of(one.pipeline, what=what) for one in (found, other)]
    if families[0] != families[1]:
        raise UnfitCheckpoint(f"{what} is a {found.pipeline}, {whose} is a {other.pipeline}: they do not go together")
    if found.widths != other.widths or found.latent_cell_px != other.latent_cell_px:
        raise UnfitCheckpoint(
            f"{what} has {found.widths}, latent cells of {found.latent_cell_px} px; {whose} has {other.widths}, "
            f"{other.latent_cell_px} px: they do not go together"
        )


_OVERRIDES: Mapping[str, Callable[[ModelsConfig], str | None]] = {
    "sd-inpainting": lambda models: models.base_model,
    "sdxl-inpainting": lambda models: models.base_model,
    "grounding-dino": lambda models: models.detection.grounding_dino,
    "sam": lambda models: models.detection.sam,
    **{control.role: _controlnet(control.name) for control in CONTROLS.values()},
    "ip-adapter": lambda models: models.ip_adapter.model,
    "dwpose": lambda models: models.structure.dwpose,
    "depth-anything": lambda models: models.structure.depth_anything,
    "clip": lambda models: models.clip,
    "yolox": lambda models: models.yolox,
}
"""The configuration key that replaces a role's model. A profile has one of the two that `base_model` replaces."""


class ModelsNotImported(NotReady):
    """The store lacks a model; the message has the command that imports it."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where a role's model is: a store entry, or a folder that the configuration names. `command` imports it."""

    tag: str | None
    folder: Path | None
    command: str


class ModelSet:
    """The models that a configuration asks for, by role; another role than the profile's is a KeyError.

    Attributes:
        profile: the profile's name.
        base_role: sd-inpainting or sdxl-inpainting: the role whose pipeline edits.
        native_size: the side in pixels that the base model was made for.
        ip_adapter_variant: which weights of the IP-Adapter repository fit the base model.
        checkpoints: folder or file of those that a request may name beside the base model, by name.
    """

    def __init__(self, models: ModelsConfig) -> None:
        self._manifest = load_manifest(models.profile)
        self.profile = models.profile
        self.base_role: str = self._manifest.base_role
        self.native_size: int = self._manifest.native_size
        named = models.base_model
        self._base_named = f"models.base_model: {named}" if named else f"models.profile: {self.profile}"
        self.ip_adapter_variant: str = models.ip_adapter.variant or self._manifest.ip_adapter_variant
        overrides = {role: self._override(role, models) for role in self._manifest.models}
        self._named = {role: named for role, named in overrides.items() if named is not None}
        self._overridden = frozenset(role for role, named in overrides.items() if named is not None)
        self._origins = {role: self._origin(role, named) for role, named in overrides.items()}
        self._switched_off = frozenset({"ip-adapter"} if not models.ip_adapter.enabled else ())
        self.checkpoints = {name: Path(path).expanduser() for name, path in models.checkpoints.items()}

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that there is a model for: those of the profile that go with the base, and optional ones there."""
        return tuple(role for role in self._origins if not self._is_left_out(role) and role not in self._without)

    @property
    def misfits(self) -> Mapping[str, str]:
        """Why the profile's own model of a role is left out beside the configured base model, in words."""
        return {role: reason for role, reason in self._without.items() if role not in self._switched_off}

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles whose model is not in the store (or whose configured folder does not exist)."""
        return tuple(role for role in self.roles if not self._is_present(role))

    def reason_for_absence(self, role: str) -> str | None:
        """Why nothing can be done with a role, and what to do about it; None for one of `roles`."""
        if role not in self._origins:
            return f"model profile {self.profile} has no {role}"
        if role in self._without:
            return self._without[role]
        if self._is_left_out(role):
            return f"{role} is optional in model profile {self.profile} and not imported; run: {self._command(role)}"
        return None

    @property
    def served(self) -> tuple[ServedModel, ...]:
        """What there is a model for, or could be, for GET /models."""
        return tuple(self._served(role) for role in self._origins)

    def _served(self, role: str) -> ServedModel:
        own, origin = self._manifest.models[role], self._origins[role]
        replaced = self.is_replaced(role)
        # Of a folder the name alone: callers need not know where this machine keeps things.
        other = origin.folder.name if origin.folder is not None else self._named.get(role, "")
        return ServedModel(
            name=role,
            repository=other if replaced else own.repository,
            revision=None if replaced else own.revision,
            licence=None if replaced else own.licence,
            optional=own.optional,
            present=self._is_present(role),
        )

    def reason_untrained(self, role: str, ability: str) -> str | None:
        """What the profile's model was not trained for, in words; None where it was, or another model is configured."""
        return None if role in self._overridden else self._manifest.models[role].untrained.get(ability)

    def tag(self, role: str) -> str:
        """The BentoML tag of a role's model, imported or not.

        Raises: ValueError when the configuration names a folder, which has no tag.
        """
        tag = self._origins[role].tag
        if tag is None:
            raise ValueError(f"the model of {role} is the folder {self._origins[role].folder}, not a store entry")
        return tag

    def path(self, role: str) -> Path:
        """The folder of a role's files, laid out as in its hub repository.

        Raises: ModelsNotImported, whose message has the command that imports it.
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
        from models_store.entries import stored_folder

        return stored_folder(self.tag(role))

    def part(self, role: str, name: str) -> Path:
        """A named file or folder of a role (`parts` of the manifest), e.g. `part("yolox", "model")`.

        Raises: as `path`, and KeyError when the role has no such part.
        """
        return self.path(role) / self._manifest.models[role].parts[name]

    def is_replaced(self, role: str) -> bool:
        """Whether the configuration names another model than the profile's."""
        return self._origins[role].tag != self._manifest.tag(role)

    @property
    def is_of_one_kind(self) -> bool:
        """Whether what paints was made for one kind of image, and a network tells that kind from all others."""
        return self.has_part("yolox", HOME) and not self.is_replaced(self.base_role)

    def has_part(self, role: str, name: str) -> bool:
        """Whether there is such a part: some have only some models of a role, and none has a model in its place."""
        return name in self._manifest.models[role].parts and not self.is_replaced(role)

    @property
    def family(self) -> str:
        """The diffusion runner's family that serves the base model, by the class that its files say they are.

        Raises: as `path`, and UnservedPipeline, UnfitCheckpoint.
        """
        path = self.path(self.base_role)
        pipeline = self.inspect_base().pipeline if path.is_file() else pipeline_class(path)
        return family_of(pipeline, what=self._base_named)

    @property
    def configs(self) -> Path | None:
        """The folder of the profile's own base model, for what a checkpoint leaves out; None: not imported."""
        from models_store.entries import is_imported, stored_folder

        tag = self._manifest.tag(self.base_role)
        return stored_folder(tag) if is_imported(tag) else None

    def _inspect_configs(self) -> Checkpoint:
        """The profile's own base model, which one file of a checkpoint needs. Raises: ModelsNotImported."""
        folder = self.configs
        if folder is None:
            command = self._command(self.base_role)
            raise ModelsNotImported(
                f"a checkpoint in one file needs the configuration of model profile {self.profile}; run: {command}",
                details={"role": self.base_role, "profile": self.profile},
            )
        return inspect(folder, what=f"models.profile: {self.profile}")

    def inspect_base(self) -> Checkpoint:
        """What the base model is. Raises: as `path`, and UnservedPipeline, UnfitCheckpoint."""
        return inspect(self.path(self.base_role), what=self._base_named)

    def inspect_checkpoint(self, name: str) -> Checkpoint:
        """What a checkpoint of the allow-list is, if it can take the base model's place.

        Raises: UnfitCheckpoint, UnservedPipeline.
        """
        path, what = self.checkpoints[name], f"models.checkpoints.{name}: {self.checkpoints[name]}"
        if not path.exists():
            raise UnfitCheckpoint(f"{what} does not exist")
        found, base = inspect(path, what=what), self.inspect_base()
        _require_like(found, base, what, "the base model")
        if path.is_file():
            _require_like(found, self._inspect_configs(), what, f"model profile {self.profile}")
        return found

    @property
    def latent_cell_px(self) -> int:
        """Pixels per latent cell and side of the base model: 8 for the published ones.

        Raises: as `path`, and UnservedPipeline when the base model has no autoencoder.
        """
        path = self.path(self.base_role)
        return self.inspect_base().latent_cell_px if path.is_file() else latent_cell_px(path, what=self._base_named)

    def require_served(self) -> None:
        """Refuse, before anything is loaded, what no family serves and what does not go together.

        A base model that is not there is judged by the manifest, or let pass when the configuration names another.
        Raises: UnservedPipeline, UnfitCheckpoint.
        """
        if self._is_present(self.base_role):
            _ = self.family
            self._require_fit()
            for name in self.checkpoints:
                self.inspect_checkpoint(name)
        elif self._origins[self.base_role].tag == self._manifest.tag(self.base_role):
            family_of(self._manifest.base.pipeline_class, what=self._base_named)

    def model(self, role: str) -> Model:
        """The manifest's entry for a role: what would be imported."""
        return self._manifest.models[role]

    def variant(self, role: str) -> str | None:
        """The weight variant to load (diffusers' and transformers' `variant=`), None for the plain files."""
        return self._manifest.models[role].variant

    def bento_model(self, role: str) -> BentoModel:
        """For a class attribute of a BentoML service: packs the role's model in the Bento. Raises: as `tag`."""
        from models_store.packing import ImportableModel

        return ImportableModel(self.tag(role), command=self._origins[role].command)

    def bento_models(self) -> list[BentoModel]:
        """Those of every role; a role whose model is a folder is left out, as it cannot be packed."""
        return [self.bento_model(role) for role in self.roles if self._origins[role].tag is not None]

    def _override(self, role: str, models: ModelsConfig) -> str | None:
        read = _OVERRIDES.get(role)
        return read(models) if read else None

    @cached_property
    def _without(self) -> Mapping[str, str]:
        """Roles that are switched off, and the profile's own that do not go with the base model, with the reason."""
        reasons = {role: f"models.{role.replace('-', '_')}.enabled is false" for role in self._switched_off}
        own = self._misfits() if self.base_role in self._overridden else {}
        return reasons | {
            role: f"{role} of model profile {self.profile} {reason}"
            for role, reason in own.items()
            if role not in self._overridden
        }

    def _misfits(self) -> dict[str, str]:
        """Per role that is there and does not go with the base model, why."""
        if not self._is_present(self.base_role):
            return {}
        try:
            base = self.inspect_base().widths
        except ConfigError:
            return {}  # `require_served` refuses it
        reasons = {}
        for role, check in CHECKS.items():
            if role in self._origins and role not in self._switched_off and self._is_present(role):
                judged = self._judged(role)
                reasons[role] = None if judged is None else check(judged, base)
        return {role: reason for role, reason in reasons.items() if reason is not None}

    def _judged(self, role: str) -> Path | None:
        """What of a role tells its widths: the folder, of an IP-Adapter the weights, where the manifest names them."""
        if role != "ip-adapter":
            return self.path(role)
        part = self._manifest.models[role].parts.get(self.ip_adapter_variant)
        return None if part is None else self.path(role) / part

    def _require_fit(self) -> None:
        """Raises: UnfitCheckpoint: what the configuration names does not go with the profile or the base model."""
        own = FAMILIES.get(self._manifest.base.pipeline_class or "")
        if self.family != own:
            raise UnfitCheckpoint(
                f"{self._base_named} is of the family {self.family}, model profile {self.profile} is not: "
                "name a profile of that family in models.profile"
            )
        if self.path(self.base_role).is_file():
            _require_like(
                self.inspect_base(),
                self._inspect_configs(),
                self._base_named,
                f"model profile {self.profile}",
            )
        for role, reason in self._misfits().items() if self._overridden else ():
            if role in self._overridden:
                raise UnfitCheckpoint(f"the configured {role} {reason} ({self._base_named})")

    def _origin(self, role: str, override: str | None) -> _Origin:
        """A null override and the profile's own repository mean the profile's entry."""
        own = self._manifest.models[role]
        if override is None or own.is_called(override):
            return _Origin(tag=self._manifest.tag(role), folder=None, command=self._command(role))
        if _TAG.fullmatch(override):
            return _Origin(tag=override, folder=None, command=f"bentoml models import (a file that has {override})")
        if Path(override).exists() or override.startswith((".", "/", "~")) or override.count("/") != 1:
            folder = Path(override).expanduser()
            return _Origin(tag=None, folder=folder, command=f"put the model's files into {folder}")
        command = f"python -m models_store import {self.profile} --role {role} --repository {override}"
        return _Origin(tag=repository_tag(role, override), folder=None, command=command)

    def _command(self, role: str) -> str:
        command = f"python -m models_store import {self.profile}"
        return f"{command} --role {role}" if self._manifest.models[role].optional else command

    def _is_left_out(self, role: str) -> bool:
        """An optional model that was not imported and that the configuration replaces by no other."""
        origin, own = self._origins[role], self._manifest.models[role]
        return own.optional and origin.tag == self._manifest.tag(role) and not self._is_present(role)

    def _is_present(self, role: str) -> bool:
        origin = self._origins[role]
        if origin.tag is None:
            folder = origin.folder
            return folder is not None and (folder.is_dir() or (role == self.base_role and folder.is_file()))
        from models_store.entries import is_imported

        return is_imported(origin.tag)
