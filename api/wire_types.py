"""Types of what a caller may send: what the schemas of `schemas` and `references` are made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import SchemaValidator, core_schema

from api.multipart import Upload


def _none_if_blank(value: object) -> object:
    """Forms and client libraries send "" for what was left out."""
    return None if isinstance(value, str) and not value.strip() else value


def _upload_or(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    """A file of a form is there already; JSON cannot say one."""
    return value if isinstance(value, Upload) else handler(value)


def _digest_of_upload(value: Any) -> Any:
    return f"sha256:{hashlib.sha256(value.data).hexdigest()}" if isinstance(value, Upload) else value


@dataclass(frozen=True)
class OrModel:
    """An annotation: a value as it is annotated, or an object as a model has it.

    A plain union would name its members in the paths of errors.
    """

    model: type[BaseModel]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        plain = handler(source)
        validator = SchemaValidator(plain)

        def read(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
            return self.model.model_validate(value) if isinstance(value, dict) else validator.validate_python(value)

        either = core_schema.union_schema([plain, handler.generate_schema(self.model)])
        return core_schema.no_info_wrap_validator_function(read, either)


def _file(what: str) -> Any:
    return Annotated[
        str,
        StringConstraints(min_length=1),
        Field(description=f"{what}: base64, a data URL, or an http(s) URL that the service fetches."),
        WrapValidator(_upload_or),
        PlainSerializer(_digest_of_upload, return_type=str),
    ]


if TYPE_CHECKING:
    Image = str | Upload
    Video = str | Upload
else:
    Image = _file("A JPEG, PNG or WebP image")
    Video = _file("A GIF, animated WebP, MP4 or WebM file")
BlankIsAbsent = BeforeValidator(_none_if_blank)
Flag = Annotated[bool, Field(strict=True)]
Integer = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
