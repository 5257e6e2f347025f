"""A request's body: what was asked for -> JSON, or a form where its images are large; a LoRA is always one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import httpx

from composition_client.images import ImageLike, to_base64, to_bytes_or_url
from composition_client.options import OneEdit, OneReference

FORM_FROM_BYTES = 2**20
"""Images of together so many bytes go as the files of a form: base64 in JSON would be a third more."""

LISTS = ("base_images", "reference_images")
"""The fields that are several images."""

LORA_SUFFIX = ".safetensors"

References: TypeAlias = ImageLike | OneReference | Sequence[ImageLike | OneReference]


@dataclass(frozen=True, kw_only=True)
class Body:
    """Complete, since it may be sent several times; `path` is where an edit is submitted."""

    content: bytes
    content_type: str
    path: str = "generate/async"


def body_of(
    image: ImageLike,
    prompt: str | Sequence[OneEdit],
    *,
    reference: References | None = None,
    mask: ImageLike | None = None,
    negative_prompt: str | None = None,
    callback_url: str | None = None,
    session: str | None = None,
    n: int | None = None,
    config: Mapping[str, Any] | None = None,
) -> Body:
    """The request without what was not asked for; several edits in the place of a prompt. Raises: NotAnImage."""
    several = isinstance(reference, list | tuple | dict)
    images: dict[str, Any] = {"base_image": image, "reference_images" if several else "reference_image": reference}
    images["mask_image"] = mask
    plain: dict[str, Any] = {
        "prompt": prompt if isinstance(prompt, str) else None,
        "negative_prompt": negative_prompt,
        "callback_url": callback_url,
        "session": session,
        "edits": None if isinstance(prompt, str) else [_edit(one) for one in prompt],
        "n": n,
        "config": dict(config) if config else None,
    }
    return _body(images, plain)


def views_body_of(
    images: Sequence[ImageLike],
    prompt: str,
    *,
    reference: References | None = None,
    negative_prompt: str | None = None,
    callback_url: str | None = None,
    session: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Body:
    """One edit of several photographs, without what was not asked for. Raises: NotAnImage."""
    plain: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "callback_url": callback_url,
        "session": session,
        "config": dict(config) if config else None,
    }
    return replace(_body({"base_images": images, "reference_images": reference}, plain), path="views/async")


def video_body_of(
    video: bytes | str | os.PathLike[str],
    prompt: str,
    *,
    reference: References | None = None,
    negative_prompt: str | None = None,
    callback_url: str | None = None,
    output: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Body:
    """One edit of a clip, without what was not asked for. Raises: NotAnImage: it cannot be read."""
    plain: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "callback_url": callback_url,
        "output": output,
        "config": dict(config) if config else None,
    }
    return replace(_body({"video": video, "reference_images": reference}, plain), path="video")


def _body(images: Mapping[str, Any], plain: Mapping[str, Any]) -> Body:
    """Fields that are None are left out."""
    read = {name: _read(given) for name, given in images.items() if given is not None}
    said = {name: value for name, value in plain.items() if value is not None}
    size_bytes = sum(len(part) for parts in read.values() for part in parts if isinstance(part, bytes))
    if size_bytes >= FORM_FROM_BYTES:
        return _form(read, said)
    wired = {name: [_wired(part) for part in parts] for name, parts in read.items()}
    body = {name: parts if name in LISTS else parts[0] for name, parts in wired.items()}
    return Body(content=_json(body | said), content_type="application/json")


def _edit(one: OneEdit) -> dict[str, Any]:
    """One of several edits with its images as text, which they are in a form too."""
    edit: dict[str, Any] = {name: value for name, value in one.items() if value is not None}
    if "mask_image" in edit:
        edit["mask_image"] = to_base64(to_bytes_or_url(edit["mask_image"]))
    if "reference_images" in edit:
        edit["reference_images"] = [_wired(part) for part in _read(edit["reference_images"])]
    return edit


def _said(reference: OneReference) -> dict[str, Any]:
    """A reference with its images as text."""
    said: dict[str, Any] = {name: value for name, value in reference.items() if value is not None}
    if "image" in said:
        said["image"] = to_base64(to_bytes_or_url(said["image"]))
    part = said.get("for")
    if isinstance(part, dict) and "mask_image" in part:
        said["for"] = {**part, "mask_image": to_base64(to_bytes_or_url(part["mask_image"]))}
    return said


def _wired(part: bytes | str | dict[str, Any]) -> str | dict[str, Any]:
    return part if isinstance(part, dict) else to_base64(part)


@dataclass(frozen=True, kw_only=True)
class LoraUpload:
    """A form with a LoRA, and what it will be known by."""

    body: Body
    name: str
    sha256: str
    trigger_words: Sequence[str]


def lora_upload(
    file: bytes | str | os.PathLike[str], *, name: str | None, trigger_words: Sequence[str] = ()
) -> LoraUpload:
    """The file is read whole.

    Raises:
        OSError: it cannot be read.
        ValueError: bytes without a name.
    """
    if isinstance(file, bytes):
        if name is None:
            raise ValueError("bytes have no name that the LoRA could be called by: give one")
        filename, content = f"{name}{LORA_SUFFIX}", file
    else:
        filename, content = Path(file).name, Path(file).read_bytes()
    parts: list[tuple[str, Any]] = [("file", (filename, content))]
    if name is not None:
        parts.append(("name", (None, name)))
    if trigger_words:
        parts.append(("trigger_words", (None, ",".join(trigger_words))))
    return LoraUpload(
        body=_encoded(parts),
        name=name or filename.removesuffix(LORA_SUFFIX),
        sha256=hashlib.sha256(content).hexdigest(),
        trigger_words=trigger_words,
    )


def _read(given: Any) -> list[bytes | str | dict[str, Any]]:
    several = given if isinstance(given, list | tuple) else [given]
    return [_said(cast(OneReference, one)) if isinstance(one, dict) else to_bytes_or_url(one) for one in several]


def _form(images: Mapping[str, list[bytes | str | dict[str, Any]]], plain: Mapping[str, Any]) -> Body:
    parts: list[tuple[str, Any]] = [
        (name, (name, part) if isinstance(part, bytes) else (None, part if isinstance(part, str) else _json(part)))
        for name, parts in images.items()
        for part in parts
    ]
    parts += [(name, (None, value if isinstance(value, str) else _json(value))) for name, value in plain.items()]
    return _encoded(parts)


def _encoded(parts: Sequence[tuple[str, Any]]) -> Body:
    request = httpx.Request("POST", "http://service", files=parts)
    return Body(content=request.read(), content_type=request.headers["Content-Type"])


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
