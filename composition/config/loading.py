"""The configuration: one frozen tree, read once at start-up from config.yaml and the environment.

Order, later wins: the defaults here, the YAML file (`COMPOSITION_CONFIG`, else ./config.yaml), environment variables
`COMPOSITION_<SECTION>__<KEY>` (value in JSON where it is a list or a table). An unknown key or a bad value stops
start-up with its path and what would be allowed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from composition.config.tree import Config

ENV_PREFIX = "COMPOSITION_"
CONFIG_PATH_VARIABLE = "COMPOSITION_CONFIG"


class ConfigError(Exception):
    """The configuration cannot be used; the message names every bad key by its path."""


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration.

    Args:
        path: the YAML file; None takes `COMPOSITION_CONFIG`, else ./config.yaml when it exists.
        environment: the environment variables; None takes the process's.

    Raises:
        ConfigError: with the path of every bad key and what is allowed there.
    """
    env = os.environ if environment is None else environment
    tree = _read_file(path, env)
    _overlay_environment(tree, env)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error


def _read_file(path: Path | None, env: Mapping[str, str]) -> dict[str, Any]:
    explicit = path or (Path(env[CONFIG_PATH_VARIABLE]) if env.get(CONFIG_PATH_VARIABLE) else None)
    named = explicit or Path("config.yaml")
    if explicit is None and not named.exists():
        return {}
    try:
        tree = yaml.safe_load(named.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{named}: cannot be read: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{named}: must be a table of sections, is a {type(tree).__name__}")
    return tree


def _overlay_environment(tree: dict[str, Any], env: Mapping[str, str]) -> None:
    for name in sorted(env):
        if not name.startswith(ENV_PREFIX) or name == CONFIG_PATH_VARIABLE:
            continue
        keys = name[len(ENV_PREFIX) :].lower().split("__")
        node = tree
        for key in keys[:-1]:
            child = node.get(key)
            if child is None:
                child = node[key] = {}
            if not isinstance(child, dict):
                raise ConfigError(f"{name}: {key} is a value, not a section")
            node = child
        node[keys[-1]] = _parse_variable(env[name])


def _parse_variable(text: str) -> Any:
    """JSON where it is JSON other than a bare number (pydantic turns numbers and booleans from text), else the text."""
    if text.strip()[:1] in ("[", "{") or text.strip() in ("null", "true", "false"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _explain(error: ValidationError) -> str:
    lines = ["the configuration cannot be used:"]
    for item in error.errors():
        if not item["loc"]:  # keys that do not fit one another: the message names them; the input is the whole tree
            lines.append(f"  {item['msg'].removeprefix('Value error, ')}")
            continue
        where = ".".join(str(part) for part in item["loc"])
        got = "" if item["type"] in ("missing", "extra_forbidden") else f", got {item['input']!r}"
        message = "is not a known key" if item["type"] == "extra_forbidden" else item["msg"]
        lines.append(f"  {where}: {message}{got}")
    return "\n".join(lines)
