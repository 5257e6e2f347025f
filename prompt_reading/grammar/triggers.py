"""Words that speak for structure control, wherever they stand: words -> **try-on and structural words** -> rules."""

from __future__ import annotations

from itertools import zip_longest

from prompt_reading.grammar.phrases import Words, text_of
from prompt_reading.grammar.vocabulary import STRUCTURAL, Kind
from prompt_reading.grammar.worn import qualifies, trigger
from prompt_reading.lexicon import people

_THINGS = STRUCTURAL | {Kind.NEUTRAL}


def try_on_words(items: Words, *, target: Words = ()) -> tuple[str, ...]:
    """The words that say that something is worn, tried on or put on, and the words for humans; each once.

    Args:
        items: the prompt's words.
        target: those of `config.target`, where a human counts too.
    """
    found = trigger(items)
    worn = [text_of(items[found[0] : found[1]])] if found is not None else []
    return tuple(dict.fromkeys([*worn, *_people((*items, *target))]))


def structural_words(items: Words) -> tuple[str, ...]:
    """The words for vehicles, furniture and their parts; each once."""
    return tuple(dict.fromkeys(word.text for word in items if word.kinds & STRUCTURAL))


def _people(items: Words) -> list[str]:
    """Words for a human; one that only qualifies another noun ("baby crib", "child seat") is none."""
    found: list[str] = []
    for word, following in zip_longest(items, items[1:]):
        if word.text in people.WEAK_PERSON_WORDS:
            is_human = not qualifies(following)
        else:
            is_human = word.is_a(Kind.PERSON) and not (following is not None and following.kinds & _THINGS)
        if is_human:
            found.append(word.text)
    return found
