"""Which reading each kind of verb gets: a row per frame of `lexicon.verbs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from prompt_reading.grammar import changes, placements
from prompt_reading.grammar.draft import Draft
from prompt_reading.grammar.phrases import Words
from prompt_reading.lexicon import verbs

Frame: TypeAlias = Callable[[str, Words], Draft]
"""Takes the verb and the words after it."""

FRAMES: Final[Mapping[str, Frame]] = {
    verbs.REPLACE: changes.replace,
    verbs.SUBSTITUTE: changes.substitute,
    verbs.CHANGE: changes.change,
    verbs.MAKE: changes.make,
    verbs.PAINT: changes.paint,
    verbs.COVER: changes.cover,
    verbs.GIVE: placements.give,
    verbs.ADD: placements.add,
    verbs.APPLY: placements.apply,
    verbs.REMOVE: placements.remove,
    verbs.DRESS: placements.dress,
    verbs.SHOW: placements.show,
    verbs.ADJUST: changes.adjust,
}
