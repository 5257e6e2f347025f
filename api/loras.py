"""LoRAs over HTTP, whoever brings one and however: **read** onto the disk -> checked -> kept -> told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from api.context import ApiContext
from composition.config import LorasConfig
from composition.errors import Forbidden, Timeout
from composition.lora import Lora
from composition.loras.library import MEGABYTE, LoraLibrary
from composition.ports.lora_store import Incoming

UPLOAD_TIMEOUT_S: Final = 1800.0
"""For all of a file: 512 MB at 2.4 Mbit/s. A sender that stalls is given up long before."""
NAME_TEXT: Final = "What requests call it; letters, digits, dots, dashes and underscores."
TRIGGER_WORDS_TEXT: Final = "Separated by commas; otherwise what the file says of itself."


@dataclass(frozen=True, kw_only=True)
class LoraLabel:
    """What is said of a file beside its content. `trigger_words` are separated by commas; None: as the file says."""

    name: str
    trigger_words: str | None = None


def max_file_bytes(context: ApiContext) -> int:
    """Of one LoRA."""
    return context.config.loras.max_size_mb * MEGABYTE


def upload_limits(config: LorasConfig) -> dict[str, int] | None:
    """As the list tells them; None where uploads are closed."""
    if not config.uploads:
        return None
    return {
        "max_size_bytes": config.max_size_mb * MEGABYTE,
        "max_per_owner": config.max_per_owner,
        "max_bytes_per_owner": config.max_mb_per_owner * MEGABYTE,
    }


async def keep_lora(context: ApiContext, owner: str, read: Callable[[Incoming], Awaitable[LoraLabel]]) -> Lora:
    """Have a file read to the disk, check it completely, and keep it: nobody but its owner can name it.

    Raises:
        Forbidden, UnusableLora, PayloadTooLarge: before anything is read: none is taken, or the owner has enough.
        Timeout: reading took too long.
        CompositionError: as `LoraLibrary.add`, and as `read`, of which nothing is left.
    """
    if not context.config.loras.uploads:
        raise Forbidden("this service takes no uploads of LoRAs; GET /api/v1/loras lists those that there are")
    await context.loras.check_room(owner)
    async with context.loras.receive() as incoming:
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_S):
                label = await read(incoming)
        except TimeoutError as error:
            raise Timeout(f"the upload took longer than {UPLOAD_TIMEOUT_S:g} s") from error
        words = label.trigger_words.split(",") if label.trigger_words is not None else ()
        return await context.loras.add(owner, label.name, incoming, trigger_words=words)


def described(lora: Lora, library: LoraLibrary) -> dict[str, Any]:
    """A LoRA as answers have it."""
    facts = lora.facts
    return {
        "name": lora.name,
        "kind": facts.kind.value,
        "source": "operator" if lora.owner is None else "upload",
        "family": facts.family,
        "fits": library.fits(lora),
        "layout": facts.layout.value,
        "ranks": list(facts.ranks),
        "parts": list(facts.parts),
        "trigger_words": list(facts.trigger_words),
        "size_bytes": lora.size_bytes,
        "sha256": lora.sha256,
        "created_at": lora.created_at,
    }
