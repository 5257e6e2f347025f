"""Reference images on the wire: what may be said of one, and what of it goes into a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.multipart import Upload
from api.wire_types import BlankIsAbsent, Image, Number, OrModel
from composition.jobs import UseOfReference
from composition.request import OPTIONS


def _with_a_word(text: str) -> str:
    if not any(map(str.isalnum, text)):
        raise ValueError("must have a word that can be looked for")
    return text


PartName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=OPTIONS["target"].bounds["max_length"]),
    Field(description="In words, such as sleeves: looked for in what is repainted.", examples=["sleeves"]),
    AfterValidator(_with_a_word),
]


class DrawnPart(BaseModel):
    """A part of the region, drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mask_image: Annotated[
        Image, Field(description="White = the part (see config.mask_mode), same size as the base image.")
    ]


if TYPE_CHECKING:
    PartOfRegion = str | DrawnPart
else:
    PartOfRegion = Annotated[PartName, OrModel(DrawnPart)]


class ReferenceImage(BaseModel):
    """A reference image with what is said of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Image
    weight: Annotated[Number, Field(ge=0.0, le=1.0, description="Of config.ip_adapter_scale.")] = 1.0
    part: Annotated[
        PartOfRegion | None,
        Field(alias="for", description="The part of the region that it is for; absent: all of it."),
        BlankIsAbsent,
    ] = None


if TYPE_CHECKING:
    Reference = str | Upload | ReferenceImage
else:
    Reference = Annotated[Image, OrModel(ReferenceImage)]


def images_of(references: Sequence[Reference] | None, prefix: str) -> dict[str, str | Upload]:
    """References and the parts that are drawn for them, by name."""
    named: dict[str, str | Upload] = {}
    for place, one in enumerate(references or ()):
        name = f"{prefix}reference_images.{place}"
        named[name] = one.image if isinstance(one, ReferenceImage) else one
        if isinstance(one, ReferenceImage) and isinstance(one.part, DrawnPart):
            named[drawn_part_of(name)] = one.part.mask_image
    return named


def drawn_part_of(reference: str) -> str:
    """The name of the mask of a reference."""
    return f"{reference}.for.mask_image"


def uses_of(references: Sequence[Reference] | None, keys: Mapping[str, str], prefix: str) -> tuple[UseOfReference, ...]:
    """How each reference is used; empty where nothing is said of any. `keys` are the blobs of images, by name."""
    uses = tuple(
        UseOfReference(
            weight=one.weight,
            part=one.part if isinstance(one.part, str) else None,
            mask_key=keys.get(drawn_part_of(f"{prefix}reference_images.{place}")),
        )
        if isinstance(one, ReferenceImage)
        else UseOfReference()
        for place, one in enumerate(references or ())
    )
    return uses if any(use != UseOfReference() for use in uses) else ()
