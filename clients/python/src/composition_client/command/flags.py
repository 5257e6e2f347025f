"""Flags: those that commands share, and one for each option of the API's `config`, made from its definition."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from composition_client.connection import URL_VARIABLE, Connection
from composition_client.options import Config


def _checked(url: str) -> str:
    try:
        return Connection(url=url).url
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Url = Annotated[
    str,
    typer.Option("--url", envvar=URL_VARIABLE, help="Where the service is.", metavar="URL", callback=_checked),
]
Reference = Annotated[
    str | None, typer.Option("--reference", "-r", metavar="IMAGE", help="An image whose look is taken over.")
]
MaskImage = Annotated[
    str | None, typer.Option("--mask", "-m", metavar="IMAGE", help="Of the photo's size, white = repaint.")
]
NegativePrompt = Annotated[str | None, typer.Option("--negative-prompt", help="What must not be painted.")]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON per result on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Per image, with the queue.")]
ShowProgress = Annotated[
    bool | None, typer.Option("--progress/--no-progress", help="On stderr; else on a terminal only.")
]
DEFAULT_TIMEOUT_S = 600.0

PANEL = "How it is made (config, as in the API)"
SETTINGS = "settings"


def takes_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of `Config`; it is called with what was set, as its argument `config`."""
    own = inspect.signature(command, eval_str=True).parameters
    made = {name: _flag(name, hint) for name, hint in get_type_hints(Config, include_extras=True).items()}
    made[SETTINGS] = inspect.Parameter(SETTINGS, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_SET)

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in made}
        settings = dict(_setting(text) for text in given.pop(SETTINGS) or [])
        command(**arguments, config=cast(Config, _set_ones(given) | settings))

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.values() if p.name != "config"]
    parameters += made.values()
    with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_flags


_SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other key of config; the value is JSON, or text that is none.",
        rich_help_panel=PANEL,
    ),
]


def _flag(name: str, hint: Any) -> inspect.Parameter:
    type_, info = _parts(hint)
    words = name.replace("_", "-")
    spelling = f"--{words}/--no-{words}" if type_ is bool else f"--{words}"
    value, metavar, choices = _on_the_line(type_)
    option = typer.Option(
        spelling,
        help=_help(info),
        rich_help_panel=PANEL,
        show_default=False,
        metavar=metavar,
        autocompletion=(lambda: choices) if choices else None,
    )
    annotation = Annotated[value | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _on_the_line(type_: Any) -> tuple[Any, str | None, list[str]]:
    """How a value is given: its type, what stands for it in the help, and what the shell may complete it to."""
    if not _is_simple(type_):
        return str, "JSON", []
    if get_origin(type_) is list and get_origin(get_args(type_)[0]) is Literal:
        choices = list(get_args(get_args(type_)[0]))
        return list[str], f"[{'|'.join(choices)}]", choices
    return type_, None, []


def _parts(hint: Any) -> tuple[Any, FieldInfo]:
    type_, info = get_args(hint)
    return type_, info


def _is_simple(type_: Any) -> bool:
    """Whether it has a spelling on a command line of its own; lists are given by repeating the flag."""
    if get_origin(type_) is list:
        return _is_simple(get_args(type_)[0])
    return type_ in (bool, int, float, str) or get_origin(type_) is Literal


def _help(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    usual = extra.get("default") if isinstance(extra, dict) else None
    bounds = {name: getattr(part, name) for part in info.metadata for name in ("ge", "le") if hasattr(part, name)}
    parts = [f"{bounds['ge']}..{bounds['le']}"] if len(bounds) == 2 else []
    parts += [] if usual is None else [f"default {json.dumps(usual).strip(chr(34))}"]
    return f"{info.description}" + (f" [{', '.join(parts)}]" if parts else "")


def _set_ones(given: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(Config, include_extras=True)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == []:
            continue
        values[name] = value if _is_simple(_parts(hints[name])[0]) else _json(name, value)
    return values


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{name.replace('_', '-')} {text}: is not JSON: {error}") from None


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"--set {text}: KEY=VALUE is needed")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
