"""`compose loras`: the LoRAs and embeddings that edits may name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composition_client.answers import Lora, LoraUploads
from composition_client.client import Client
from composition_client.command import flags
from composition_client.command.exits import exits
from composition_client.command.report import print_json, print_table, say, table_of
from composition_client.connection import DEFAULT_URL
from composition_client.errors import ComposeError

loras = typer.Typer(no_args_is_help=True, help="LoRAs and embeddings: list, upload, delete.")
SHORT_S = 30.0
MEGABYTE = 2**20
"""As the service counts."""
_FITS = {True: "yes", False: "no", None: "?"}


def _own_names(incomplete: str) -> list[str]:
    """For the shell's completion."""
    try:
        with Client(timeout_s=2, retries=0) as client:
            listed = client.loras().loras
            return [one.name for one in listed if one.source == "upload" and one.name.startswith(incomplete)]
    except ComposeError:
        return []


@loras.command("list")
@exits
def list_loras(*, json_: flags.Json = False, url: flags.Url = DEFAULT_URL) -> None:
    """Your own and the operator's, by name; on stderr how much an upload may bring."""
    with Client(url, timeout_s=SHORT_S) as client:
        found = client.loras()
    say(_limits(found.uploads))
    if json_:
        for lora in found.loras:
            print_json(lora.model_dump(mode="json"))
        return
    table = table_of("name", "kind", "whose", "for", "fits", "MB", "trigger words")
    for lora in found.loras:
        whose = "yours" if lora.source == "upload" else "the operator's"
        size, words = f"{lora.size_bytes / MEGABYTE:.1f}", ", ".join(lora.trigger_words)
        table.add_row(lora.name, lora.kind, whose, lora.family or "", _FITS[lora.fits], size, words)
    print_table(table)


@loras.command()
@exits
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A .safetensors file.")],
    *,
    name: Annotated[str | None, typer.Option(help="What edits call it; else the file's name.")] = None,
    trigger_words: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Separated by commas; else what the file says of itself.")
    ] = None,
    json_: flags.Json = False,
    url: flags.Url = DEFAULT_URL,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="For all of it.")] = 1800.0,
) -> None:
    """Have one checked and kept: `compose edit ... --loras '{"NAME": 0.8}'` paints with it."""
    words = [word.strip() for word in (trigger_words or "").split(",") if word.strip()]
    with Client(url, timeout_s=timeout) as client:
        _show(client.upload_lora(file, name=name, trigger_words=words), json_=json_)


@loras.command()
@exits
def delete(
    name: Annotated[str, typer.Argument(autocompletion=_own_names)],
    *,
    json_: flags.Json = False,
    url: flags.Url = DEFAULT_URL,
) -> None:
    """Forget one of your own. Edits that wait with it fail."""
    with Client(url, timeout_s=SHORT_S) as client:
        lora = client.delete_lora(name)
    if json_:
        print_json(lora.model_dump(mode="json"))
    else:
        print(f"{lora.name} is deleted")


def _limits(uploads: LoraUploads | None) -> str:
    if uploads is None:
        return "the service takes no uploads"
    one, all_ = (size / MEGABYTE for size in (uploads.max_size_bytes, uploads.max_bytes_per_owner))
    return f"an upload may have {one:,.0f} MB, yours {all_:,.0f} MB together; {uploads.max_per_owner} of them at most"


def _show(lora: Lora, *, json_: bool) -> None:
    if json_:
        print_json(lora.model_dump(mode="json"))
        return
    made_for = lora.family or "models of another width"
    print(f"{lora.name}: {lora.kind} for {made_for}, {lora.size_bytes / MEGABYTE:.1f} MB")
    if lora.fits is False:
        print("the models that are served cannot use it")
    if lora.trigger_words:
        print(f"trigger words: {', '.join(lora.trigger_words)}")
