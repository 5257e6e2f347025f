"""Types of what a caller may send: what the schemas of `schemas` are made of."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from api.multipart import Upload


def _none_if_blank(value: object) -> object:
    """Forms and client libraries send "" for what was left out."""
    return None if isinstance(value, str) and not value.strip() else value


def _upload_or(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    """A file of a form is there already; JSON cannot say one."""
    return value if isinstance(value, Upload) else handler(value)


def _digest_of_upload(value: Any) -> Any:
    return f"sha256:{hashlib.sha256(value.data).hexdigest()}" if isinstance(value, Upload) else value


if TYPE_CHECKING:
    Image = str | Upload
else:
    Image = Annotated[
        str,
        StringConstraints(min_length=1),
        Field(description="A JPEG, PNG or WebP image: base64, a data URL, or an http(s) URL that the service fetches."),
        WrapValidator(_upload_or),
        PlainSerializer(_digest_of_upload, return_type=str),
    ]
BlankIsAbsent = BeforeValidator(_none_if_blank)
Flag = Annotated[bool, Field(strict=True)]
Integer = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
