"""LoRAs and embeddings as tools: arguments -> the same checks, limits and owners as over REST -> **answer**."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from api.context import ApiContext
from api.errors import validated
from api.fetcher import BUSY_RETRY_AFTER_S
from api.images import decode_inline, is_url, naming
from api.loras import (
    NAME_TEXT,
    TRIGGER_WORDS_TEXT,
    UPLOAD_TIMEOUT_S,
    LoraLabel,
    described,
    keep_lora,
    max_file_bytes,
    upload_limits,
)
from api.mcp.tool import Caller, Tool, ToolAnswer
from api.multipart import too_large
from composition.errors import QueueFull
from composition.ports.lora_store import Incoming


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoArguments(_Arguments):
    """The arguments of `loras`."""


class NameArguments(_Arguments):
    """The arguments of `delete_lora`."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="As `loras` lists it.")]


class FileArguments(_Arguments):
    """The arguments of `add_lora`."""

    name: Annotated[str, Field(min_length=1, max_length=100, description=NAME_TEXT)]
    file: Annotated[
        str,
        Field(
            min_length=1,
            description="The .safetensors file: an http(s) URL that the service fetches, base64, or a data URL.",
        ),
    ]
    trigger_words: Annotated[str | None, Field(description=TRIGGER_WORDS_TEXT)] = None


async def available(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """As GET /api/v1/loras."""
    validated(NoArguments, dict(arguments))
    loras = [described(lora, context.loras) for lora in await context.loras.available(caller.owner)]
    return ToolAnswer(facts={"loras": loras, "uploads": upload_limits(context.config.loras)})


async def add(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """As POST /api/v1/loras, with the file in base64 or at a URL."""
    asked = validated(FileArguments, dict(arguments))

    async def read(incoming: Incoming) -> LoraLabel:
        with naming("file"):
            if is_url(asked.file):
                await _download(context, caller, asked.file.strip(), incoming)
            else:
                await _write(context, asked.file, incoming)
        return LoraLabel(name=asked.name, trigger_words=asked.trigger_words)

    return ToolAnswer(facts=described(await keep_lora(context, caller.owner, read), context.loras))


async def delete(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """One of the caller's own."""
    lora = await context.loras.remove(caller.owner, validated(NameArguments, dict(arguments)).name)
    return ToolAnswer(facts=described(lora, context.loras))


async def _download(context: ApiContext, caller: Caller, url: str, incoming: Incoming) -> None:
    slot = context.lora_downloads.part(caller.client)
    if not slot.take(1):
        raise QueueFull("too many downloads at once", retry_after_s=BUSY_RETRY_AFTER_S)
    try:
        await context.fetcher.fetch_into(url, incoming, max_bytes=max_file_bytes(context), timeout_s=UPLOAD_TIMEOUT_S)
    finally:
        slot.release()


async def _write(context: ApiContext, text: str, incoming: Incoming) -> None:
    data = await anyio.to_thread.run_sync(decode_inline, text, limiter=context.decode_slots)
    if len(data) > max_file_bytes(context):
        raise too_large("the file", max_file_bytes(context))
    incoming.write(data)
    await incoming.drain(finish=True)


TOOLS: Final[Mapping[str, Tool]] = {
    "loras": Tool(
        description="The LoRAs (styles, subjects) and embeddings that an edit may name in config.loras with a weight, "
        "with the trigger words to write into the prompt. Take those whose `fits` is not false. `uploads` says how "
        "much add_lora may bring; null: nothing.",
        schema=NoArguments.model_json_schema(),
        reads_only=True,
        run=available,
    ),
    "add_lora": Tool(
        description="Keep a LoRA or an embedding (.safetensors) for the caller's own edits; answers what it was found "
        "to be.",
        schema=FileArguments.model_json_schema(),
        reads_only=False,
        run=add,
    ),
    "delete_lora": Tool(
        description="Delete a LoRA or an embedding of the caller's own, for good.",
        schema=NameArguments.model_json_schema(),
        reads_only=False,
        run=delete,
    ),
}
