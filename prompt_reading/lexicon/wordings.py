"""What the grammar itself says: words that it puts into a generation prompt or a target."""

from __future__ import annotations

from typing import Final

SURROUNDINGS: Final = "empty background, seamless continuation of the surroundings"
PLAIN_BACKDROP: Final = "plain neutral studio backdrop"
BACKGROUND: Final = "background"
PERSON: Final = "person"
PEOPLE: Final = "people"
CLOTHING: Final = "clothing"
IN_THE: Final = "in the"
