"""LoRAs and embeddings of users: POST, GET and DELETE under /loras."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from api import openapi
from api.context import Context, Owner
from api.conversion import API_PREFIX
from api.errors import about_field
from api.forms import form_body
from api.loras import NAME_TEXT, TRIGGER_WORDS_TEXT, LoraLabel, described, keep_lora, max_file_bytes, upload_limits
from api.multipart import Form, FormLimits, Upload, is_form, read_form
from api.responses import LoraListResponse, LoraResponse
from composition.config import LorasConfig
from composition.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    QueueFull,
    RateLimited,
    Timeout,
    UnusableLora,
)
from composition.loras.library import MEGABYTE
from composition.ports.lora_store import Incoming

router = APIRouter(prefix=API_PREFIX, tags=["loras"])

LORAS_PATH: Final = f"{API_PREFIX}/loras"
SUFFIX: Final = ".safetensors"
FORM_ROOM_BYTES: Final = MEGABYTE
"""Of a body, for what is not the file."""
FORM_SCHEMA: Final[dict[str, Any]] = {
    "title": "LoraForm",
    "description": "A LoRA (kohya, diffusers or PEFT layout) or a textual inversion, as .safetensors.",
    "type": "object",
    "properties": {
        "file": {"title": "File", "type": "string", "format": "binary", "description": "The .safetensors file."},
        "name": {
            "title": "Name",
            "type": "string",
            "description": f"{NAME_TEXT} Otherwise the file's name without .safetensors.",
            "examples": ["pixel-art"],
        },
        "trigger_words": {
            "title": "Trigger Words",
            "type": "string",
            "description": TRIGGER_WORDS_TEXT,
            "examples": ["pixel art, 8 bit"],
        },
    },
    "required": ["file"],
    "additionalProperties": False,
}

Name = Annotated[str, Path(min_length=1, max_length=100)]


def streamed_paths(config: LorasConfig) -> dict[str, int]:
    """The paths whose bodies go to the disk as they come, with what their bodies may have, for the guards."""
    return {LORAS_PATH: config.max_size_mb * MEGABYTE + FORM_ROOM_BYTES}


@router.post(
    "/loras",
    response_model=LoraResponse,
    responses=openapi.errors(
        *openapi.READING, Forbidden, InvalidInput, PayloadTooLarge, RateLimited, UnusableLora, QueueFull, Timeout
    ),
    summary="Upload a LoRA or an embedding",
    openapi_extra=form_body(FORM_SCHEMA),
)
async def upload(request: Request, context: Context, owner: Owner) -> Any:
    """The file is checked completely, then kept: requests name it in `config.loras`, and nobody else can.

    The header is checked before anything else of the file is looked at, and nothing of it is ever run: .safetensors
    has numbers only.
    """
    limits = FormLimits(
        files=frozenset({"file"}),
        texts=frozenset({"name", "trigger_words"}),
        max_total_bytes=streamed_paths(context.config.loras)[LORAS_PATH],
        max_file_bytes=max_file_bytes(context),
    )

    async def read(incoming: Incoming) -> LoraLabel:
        if not is_form(request):
            raise InvalidInput("body: must be sent as multipart/form-data, with the file in the field file")
        form = await read_form(request, limits, into=incoming)
        return LoraLabel(name=_name(form), trigger_words=_text(form, "trigger_words"))

    return {"success": True, "lora": described(await keep_lora(context, owner, read), context.loras)}


@router.get(
    "/loras",
    response_model=LoraListResponse,
    responses=openapi.errors(*openapi.READING),
    summary="The LoRAs and embeddings that a request may name",
)
async def list_loras(context: Context, owner: Owner) -> dict[str, Any]:
    """The caller's own and the operator's, by name; and how much an upload may bring."""
    return {
        "success": True,
        "loras": [described(lora, context.loras) for lora in await context.loras.available(owner)],
        "uploads": upload_limits(context.config.loras),
    }


@router.delete(
    "/loras/{name}",
    response_model=LoraResponse,
    responses=openapi.errors(*openapi.READING, NotFound, Forbidden, InvalidInput),
    summary="Delete a LoRA or an embedding",
)
async def delete_lora(name: Name, context: Context, owner: Owner) -> dict[str, Any]:
    """Edits that were accepted before and have not started yet fail with NOT_FOUND."""
    lora = await context.loras.remove(owner, name)
    return {"success": True, "lora": described(lora, context.loras)}


def _name(form: Form) -> str:
    files = form.get("file", ())
    file = files[0] if files else None
    if not isinstance(file, Upload):
        raise about_field("file", "Field required" if file is None else "must be a file, with a filename", "missing")
    base = file.filename.replace("\\", "/").rpartition("/")[2]
    if not base.endswith(SUFFIX):
        raise about_field("file", f"is called {base[:100]!r}; only {SUFFIX} files are taken", "filename")
    given = _text(form, "name")
    return given.strip() if given is not None and given.strip() else base.removesuffix(SUFFIX)


def _text(form: Form, name: str) -> str | None:
    values = form.get(name, ())
    if len(values) > 1:
        raise about_field(name, f"is given {len(values)} times", "repeated")
    return str(values[0]) if values else None
