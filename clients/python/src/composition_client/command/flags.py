"""Flags: those that commands share, and one for each option of the API's `config`, made from its definition."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from composition_client.connection import URL_VARIABLE, Connection
from composition_client.options import Config


def _checked(url: str) -> str:
    try:
        return Connection.to(url, None).url
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Url = Annotated[
    str,
    typer.Option("--url", envvar=URL_VARIABLE, help="Where the service is.", metavar="URL", callback=_checked),
]
Reference = Annotated[
    list[str] | None,
    typer.Option("--reference", "-r", metavar="IMAGE", help="An image whose look is taken over; up to four of them."),
]
ReferenceFor = Annotated[
    list[str] | None,
    typer.Option(
        "--reference-for",
        metavar="PART=IMAGE",
        help="An image whose look is taken over there alone, such as sleeves=sleeves.png; counts as a --reference.",
    ),
]
MaskImage = Annotated[
    str | None, typer.Option("--mask", "-m", metavar="IMAGE", help="Of the photo's size, white = repaint.")
]
NegativePrompt = Annotated[str | None, typer.Option("--negative-prompt", help="What must not be painted.")]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", help="A file, of several photos a folder, or -; else photo.edited.png."),
]
Open = Annotated[bool, typer.Option("--open", help="Show the result.")]
Preview = Annotated[
    Path | None,
    typer.Option(
        "--preview", metavar="FILE", help="What is being painted, written over and over, if the service sends it."
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id and do not wait.")]
CallbackUrl = Annotated[
    str | None, typer.Option("--callback-url", help="With --detach: a webhook that is told the end.")
]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON per result on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Per image, with the queue.")]
ShowProgress = Annotated[
    bool | None, typer.Option("--progress/--no-progress", help="On stderr; else on a terminal only.")
]
DEFAULT_TIMEOUT_S = 600.0

PANEL = "How it is made (config, as in the API)"
SETTINGS = "settings"


def check_detached(detach: bool, callback_url: str | None, *, for_images: Sequence[object]) -> None:
    """Raises: typer.BadParameter: something is asked for that only those who wait, or do not wait, can have."""
    if callback_url is not None and not detach:
        raise typer.BadParameter("--callback-url is for --detach")
    if detach and any(for_images):
        raise typer.BadParameter(
            "--detach waits for no result: -o, --force, --open, --preview and --return-mask need one"
        )


def takes_config(command: Callable[..., None], *, but: Sequence[str] = ()) -> Callable[..., None]:
    """Give a command the flags of `Config`, some left out; what was set is its argument `config`."""
    own = inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(Config, include_extras=True)
    made = {name: _flag(name, hint) for name, hint in hints.items() if name not in but}
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
    spelling = _spelling(type_)
    words = name.replace("_", "-")
    choices = spelling.choices
    option = typer.Option(
        f"--{words}/--no-{words}" if type_ is bool else f"--{words}",
        help=_help(info),
        rich_help_panel=PANEL,
        show_default=False,
        metavar=spelling.metavar,
        autocompletion=(lambda: choices) if choices else None,
    )
    annotation = Annotated[spelling.type | None, option]  # type: ignore[name-defined]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _parts(hint: Any) -> tuple[Any, FieldInfo]:
    type_, info = get_args(hint)
    return type_, info


@dataclass(frozen=True, kw_only=True)
class _Spelling:
    """How a value is given on a command line: its type there, its sign in the help, and how it is read."""

    type: Any
    metavar: str | None = None
    choices: list[str] | None = None
    read: Callable[[Any], Any] = lambda value: value


def _spelling(type_: Any) -> _Spelling:
    """Lists are given by repeating the flag, lists of numbers with commas, and what else there is as JSON."""
    if get_origin(type_) is not list:
        plain = type_ in (bool, int, float, str) or get_origin(type_) is Literal
        return _Spelling(type=type_) if plain else _Spelling(type=str, metavar="JSON", read=json.loads)
    part = get_args(type_)[0]
    if get_origin(part) is Literal:
        choices = list(get_args(part))
        return _Spelling(type=list[str], metavar=f"[{'|'.join(choices)}]", choices=choices)
    if get_origin(get_args(part)[0]) is list:
        return _Spelling(type=list[str], metavar="N,N...", read=lambda texts: [_numbers(text) for text in texts])
    return _Spelling(type=str, metavar="N,N...", read=_numbers)


def _numbers(text: str) -> Any:
    return json.loads(f"[{text.strip().removeprefix('[').removesuffix(']')}]")


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
        try:
            values[name] = _spelling(_parts(hints[name])[0]).read(value)
        except ValueError as error:
            raise typer.BadParameter(f"--{name.replace('_', '-')} {value}: {error}") from None
    return values


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"--set {text}: KEY=VALUE is needed")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
