"""`python -m composition.config.reference`: docs/configuration.md, from the tree itself.

Every key with its type, default and what is allowed; the words are those of config.yaml's comments and the sections'
docstrings, so that each is written once.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from composition.config.loading import ENV_DELIMITER, ENV_PREFIX
from composition.config.tree import Config

HEAD = """# Configuration

Every key of `config.yaml`, made from the code by `make docs`. An environment variable overrides a key; a list or a
table is given in JSON, `null` as the word. `COMPOSITION_CONFIG` names another file. A key or a variable that there is
none of, and a value that is not allowed, stop the start with the key's path and what would be allowed.
"""
_COMMENTED = re.compile(r"^( *)(\w+):(.*?)(?: # (.*))?$")
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most"}


def reference(yaml_text: str) -> str:
    """The page; `yaml_text` is the shipped config.yaml, for its comments."""
    return HEAD + "".join(_section(name, field, comments_of(yaml_text)) for name, field in Config.model_fields.items())


def comments_of(yaml_text: str) -> Mapping[str, str]:
    """The comment behind each key, by its dotted path."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in yaml_text.splitlines():
        match = _COMMENTED.match(line)
        if match is None:
            continue
        del path[len(match[1]) // 2 :]
        path.append(match[2])
        if match[4]:
            found[".".join(path)] = match[4].strip()
    return found


def _section(name: str, field: FieldInfo, comments: Mapping[str, str]) -> str:
    section = field.annotation
    assert isinstance(section, type)
    lines = [f"\n## {name}\n"]
    lines += [_doc(section), ""] if _doc(section) else []
    lines += ["| key | values | default | what |", "| --- | --- | --- | --- |"]
    lines += [_row(path, leaf, comments) for path, leaf in _leaves(name, section)]
    notes = [f"\n`{path}`: {_doc(inner)}" for path, inner in _inner_sections(name, section) if _doc(inner)]
    return "\n".join([*lines, *notes]) + "\n"


def _doc(section: type[BaseModel]) -> str:
    return inspect.cleandoc(section.__doc__) if section.__doc__ and "__doc__" in vars(section) else ""


def _leaves(prefix: str, section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        path = f"{prefix}.{name}"
        if _is_section(field.annotation):
            yield from _leaves(path, field.annotation)
        else:
            yield path, field


def _inner_sections(prefix: str, section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in section.model_fields.items():
        if _is_section(field.annotation):
            yield f"{prefix}.{name}", field.annotation
            yield from _inner_sections(f"{prefix}.{name}", field.annotation)


def _is_section(annotation: object) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def variable_of(path: str) -> str:
    """The environment variable of a key."""
    return ENV_PREFIX + path.upper().replace(".", ENV_DELIMITER)


def _row(path: str, field: FieldInfo, comments: Mapping[str, str]) -> str:
    what = comments.get(path, "").replace("|", "\\|")
    values = _values(field.annotation, field.metadata).replace("|", "\\|")
    return f"| `{path}`<br>`{variable_of(path)}` | {values} | {_default(field.default)} | {what} |"


def _values(annotation: object, metadata: typing.Sequence[object] = ()) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(arguments[0], [*arguments[1:], *metadata])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_values(one) for one in arguments) + _bounds(metadata)
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin is tuple:
        return f"list of {_values(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_values(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    names = {int: "whole number", float: "number", bool: "true, false", str: "text", SecretStr: "secret text"}
    names[types.NoneType] = "null"
    assert annotation in names, annotation
    return names[annotation] + _bounds(metadata)


def _bounds(metadata: typing.Sequence[object]) -> str:
    flat = [one for item in metadata for one in (getattr(item, "metadata", None) or [item])]
    said = [f"{words} {getattr(one, name):g}" for one in flat for name, words in _BOUNDS.items() if hasattr(one, name)]
    return ", " + ", ".join(said) if said else ""


def _default(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, SecretStr):
        return f"`{value.get_secret_value()}`"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, tuple | Mapping):
        return "empty"
    return f"`{value}`" if isinstance(value, str) and value else "empty" if value == "" else f"{value:g}"


if __name__ == "__main__":
    sys.stdout.write(reference(Path("config.yaml").read_text(encoding="utf-8")))
