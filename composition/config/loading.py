"""Reading the configuration: file and environment are laid over the defaults, and checked as one tree.

Order, later wins: the defaults, the YAML file (`COMPOSITION_CONFIG`, else ./config.yaml), environment variables
`COMPOSITION_<SECTION>__<KEY>` (value in JSON where it is a list or a table). A file of that name in the folder that
`COMPOSITION_SECRETS` names is as good as a variable, and seen by nobody who can list a process's environment. An
unknown key or a bad value stops start-up with its path and what would be allowed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.sources.utils import parse_env_vars

from composition.config.bento import PROFILE_VARIABLE, packed_profile
from composition.config.tree import Config

ENV_PREFIX = "COMPOSITION_"
ENV_DELIMITER = "__"
CONFIG_PATH_VARIABLE = "COMPOSITION_CONFIG"
SECRETS_VARIABLE = "COMPOSITION_SECRETS"
_OF_THE_LOADER = (CONFIG_PATH_VARIABLE, SECRETS_VARIABLE)


class ConfigError(Exception):
    """The configuration cannot be used; the message names every bad key by its path."""


def load_config(
    path: Path | None = None, environment: Mapping[str, str] | None = None, *, packed: str | None = packed_profile()
) -> Config:
    """Read the configuration, from another file or other variables than the process's where they are given.

    Args:
        path: of the YAML file.
        environment: the variables.
        packed: the profile of the Bento that this code runs from, whose models are the ones that are there; it takes
            the place of what ./config.yaml says.

    Raises:
        ConfigError: with the path of every bad key and what is allowed there.
    """
    env = os.environ if environment is None else environment
    variables = _variables(env)
    tree = _overlay(_read_file(path, env), _EnvironmentSource(variables)(), Config, ())
    if packed is not None and (tree.get("models") is None or isinstance(tree["models"], dict)):
        named = path or env.get(CONFIG_PATH_VARIABLE) or PROFILE_VARIABLE in variables
        tree = _with_packed_profile(tree, packed, named=bool(named))
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, variables)) from None


def _variables(env: Mapping[str, str]) -> dict[str, str]:
    """Those of the environment and of the folder of secrets. Raises: ConfigError: one is in both."""
    variables = {name: env[name] for name in env if name.startswith(ENV_PREFIX) and name not in _OF_THE_LOADER}
    if not env.get(SECRETS_VARIABLE):
        return variables
    folder = Path(env[SECRETS_VARIABLE])
    try:
        files = [path for path in folder.iterdir() if path.name.startswith(ENV_PREFIX)]
        secrets = {path.name: path.read_text(encoding="utf-8").rstrip("\r\n") for path in files}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{SECRETS_VARIABLE}: {folder} cannot be read: {_without_the_text(error)}") from None
    if twice := sorted(secrets.keys() & variables.keys()):
        raise ConfigError(f"{twice[0]}: is a variable and a file of {folder}; which one is meant?")
    return variables | secrets


class _Settings(Config, BaseSettings):
    """The tree as pydantic-settings sees it: from here it takes the variables' names and which values are JSON."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, env_parse_none_str="null"
    )


class _EnvironmentSource(EnvSettingsSource):
    """Reads the given variables, not the process's, and keeps those of no section for the tree to refuse."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(_Settings)
        self._variables = variables
        self.env_vars = parse_env_vars(variables, parse_none_str=self.env_parse_none_str)

    def __call__(self) -> dict[str, Any]:
        tree = super().__call__()
        for name in self._variables:
            _require_sections(tree, name)
        sections = {_path_of(name)[0] for name in self._variables}
        return tree | dict.fromkeys(sections - Config.model_fields.keys())

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """What is no JSON stays text, for the tree to refuse with the key's path."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _read_file(path: Path | None, env: Mapping[str, str]) -> dict[str, Any]:
    explicit = path or (Path(env[CONFIG_PATH_VARIABLE]) if env.get(CONFIG_PATH_VARIABLE) else None)
    named = explicit or Path("config.yaml")
    if explicit is None and not named.exists():
        return {}
    try:
        tree = yaml.safe_load(named.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{named}: cannot be read: {_without_the_text(error)}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{named}: must be a table of sections, is a {type(tree).__name__}")
    return tree


def _with_packed_profile(tree: dict[str, Any], packed: str, *, named: bool) -> dict[str, Any]:
    models = tree.get("models") or {}
    asked = models.get("profile")
    if named and asked not in (None, packed):
        raise ConfigError(
            f"models.profile: this Bento holds the models of {packed}, got {asked!r};"
            f" build another one with {PROFILE_VARIABLE}={asked}"
        )
    return {**tree, "models": {**models, "profile": packed}}


def _require_sections(tree: Mapping[str, Any], variable: str) -> None:
    """Of X and X__Y pydantic-settings takes one and forgets the other."""
    node: Any = tree
    for key in _path_of(variable)[:-1]:
        node = node.get(key, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{variable}: {key} is a value, not a section")


def _overlay(
    below: Mapping[str, Any], above: Mapping[str, Any], section: type[BaseModel], path: tuple[str, ...]
) -> dict[str, Any]:
    """`above` laid over `below`, section by section.

    The value of a key is replaced, also where it is a table: were tables merged, as pydantic-settings does, the API
    keys of the file would stay valid beside those of the environment.
    """
    tree = dict(below)
    for key, value in above.items():
        inner = _section_at(section, key)
        if inner is not None and isinstance(value, dict) and tree.get(key) is not None:
            if not isinstance(tree[key], dict):
                variable = ENV_PREFIX + ENV_DELIMITER.join((*path, key, *list(value)[:1])).upper()
                raise ConfigError(f"{variable}: {'.'.join((*path, key))} is a value in the file, not a section")
            tree[key] = _overlay(tree[key], value, inner, (*path, key))
        else:
            tree[key] = value
    return tree


def _explain(error: ValidationError, variables: Mapping[str, str]) -> str:
    lines = ["the configuration cannot be used:"]
    for item in error.errors():
        if not item["loc"]:  # keys that do not fit one another: the message names them; the input is the whole tree
            lines.append(f"  {item['msg'].removeprefix('Value error, ')}")
            continue
        path = tuple(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            message = f"is not a known key; there are {', '.join(_keys_beside(path))}"
        else:
            got = f", got {item['input']!r}" if _may_be_shown(path) else ""
            message = f"{item['msg']}{got}"
        lines.append(f"  {'.'.join(path)}: {message}{_set_by(path, variables)}")
    return "\n".join(lines)


def _without_the_text(error: Exception) -> str:
    """YAML's own message quotes the line, which may hold a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        at = error.problem_mark
        return f"line {at.line + 1}, column {at.column + 1}: {error.problem}"
    return type(error).__name__ if isinstance(error, yaml.YAMLError | UnicodeDecodeError) else str(error)


def _may_be_shown(path: Sequence[str]) -> bool:
    """Whether a message may repeat a key's value: not a secret's, nor that of a whole section, which may hold one."""
    section: type[BaseModel] = Config
    for key in path:
        inner = _section_at(section, key)
        if inner is None:
            field = section.model_fields.get(key)
            return field is not None and "SecretStr" not in repr(field.annotation)
        section = inner
    return False


def _set_by(path: Sequence[str], variables: Mapping[str, str]) -> str:
    """The variables that speak of a key, as the end of a message; nothing when it is the file that does."""
    names = [name for name in variables if _path_of(name)[: len(path)] == list(path)]
    return f" (set by {', '.join(sorted(names))})" if names else ""


def _keys_beside(path: Sequence[str]) -> Sequence[str]:
    section: type[BaseModel] = Config
    for key in path[:-1]:
        section = _section_at(section, key) or section
    return tuple(section.model_fields)


def _section_at(section: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = section.model_fields.get(key)
    inner = field.annotation if field else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _path_of(variable: str) -> list[str]:
    return variable.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
