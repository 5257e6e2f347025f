"""route: the edits that one prompt asks for ("make the car red and replace the lamp with a tree"), each as its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from composition.masking.find import names_nothing
from composition.reading import Reading
from composition.request import EditRequest

NAMES_NOTHING: Final = "left out, as it names no part of the image: {}"
REFERENCE_FOR_ONE: Final = (
    "of the prompt's edits this one alone is given the reference image; `edits` says which is meant"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """One edit as it was asked for, how its words were read, and what the caller should know of that."""

    request: EditRequest
    reading: Reading
    notes: tuple[str, ...] = ()


def asked_in_one_prompt(request: EditRequest, reading: Reading) -> list[Asked]:
    """The edits of a prompt that names several, in its order.

    What names no part of the image behind the first edit ("... Photorealistic.") is left out: it would be an edit of
    all of it. References are given to one of them: the first whose words only point at something ("replace the mug with
    this"), else the first.

    Args:
        request: with the whole prompt.
        reading: of it; its `others` are the edits behind the first.
    """
    vague = [other for other in reading.others if names_nothing(other.target)]
    if len(vague) == len(reading.others):
        return [Asked(request=request, reading=reading)]
    readings = [replace(reading, others=()), *(other for other in reading.others if other not in vague)]
    left_out = (NAMES_NOTHING.format("; ".join(other.asked for other in vague)),) if vague else ()
    shown = next((number for number, one in enumerate(readings) if one.points or one.vague), 0)
    return [
        Asked(
            request=replace(
                request, prompt=own.asked, references=request.references if number == shown else (), notes=()
            ),
            reading=own,
            notes=(
                *((REFERENCE_FOR_ONE,) if number == shown and request.references else ()),
                *(left_out if number == 0 else ()),
            ),
        )
        for number, own in enumerate(readings)
    ]
