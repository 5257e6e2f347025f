"""One remark beside an edit: tokens -> **where it begins and ends** -> what it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from prompt_reading.grammar.instruction import OPENINGS, Tokens, opening, phrases_by_first, verb_at
from prompt_reading.grammar.vocabulary import Word
from prompt_reading.lexicon import function_words, remarks, verbs
from prompt_reading.lexicon.function_words import AND, COMMA
from prompt_reading.lexicon.inflection import verb_forms

Name: TypeAlias = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark.

    Attributes:
        end: the index behind it.
        kept: what may not change.
        refused: what must not come.
        inline: it stands within a clause, which goes on behind it.
        mentioned: what a pronoun behind it may mean.
    """

    end: int
    kept: tuple[Name, ...] = ()
    refused: tuple[Name, ...] = ()
    inline: bool = False
    mentioned: tuple[Name, ...] = ()


def _forbidden_verbs() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Base, participle and -ing forms of what may be forbidden, by first word."""
    listed = [base for frame in remarks.FORBIDDEN_FRAMES for base in verbs.VERBS[frame]]
    return phrases_by_first(_forms_of((*listed, *remarks.OTHER_CHANGES)))


def _forms_of(bases: Sequence[str]) -> list[str]:
    forms = set[str]()
    for base in bases:
        first = base.split(" ")[0]
        forms |= set(verb_forms(base, verbs.IRREGULAR_FORMS.get(first), doubles=first in verbs.DOUBLING))
    return sorted(forms)


NEGATORS: Final = phrases_by_first(remarks.NEGATORS)
FORBIDDEN: Final = _forbidden_verbs()
ADDING: Final = phrases_by_first(_forms_of([b for frame in remarks.UNWANTED_FRAMES for b in verbs.VERBS[frame]]))
FORBIDDING: Final = phrases_by_first(remarks.FORBIDDING)
KEEPING: Final = phrases_by_first(remarks.KEEPING)
UNCHANGED: Final = phrases_by_first(remarks.UNCHANGED)
STAYING: Final = phrases_by_first(remarks.STAYING)
FINAL_STAYING: Final = phrases_by_first(remarks.FINAL_STAYING)
NEGATED_MODALS: Final = phrases_by_first(f"{remarks.NEGATED_MODALS},{remarks.FACTS}")
DREADS: Final = phrases_by_first(remarks.DREADS)
EXCEPTIONS: Final = phrases_by_first(remarks.EXCEPTIONS)
CONTRASTS: Final = phrases_by_first(remarks.CONTRASTS)
NOBODY: Final = phrases_by_first(remarks.NOBODY)
DISLIKES: Final = phrases_by_first(remarks.DISLIKES)
UNWANTED: Final = phrases_by_first(remarks.UNWANTED)
WHOLE_SCENE: Final = phrases_by_first(remarks.WHOLE_SCENE)
_OPENERS: Final = (NEGATORS, FORBIDDING, KEEPING, EXCEPTIONS, UNWANTED, NOBODY, DREADS)
SIGNS: Final = frozenset(
    {first for table in (*_OPENERS, STAYING, FINAL_STAYING, NEGATED_MODALS) for first in table}
    | remarks.LEAVING
    | remarks.EXCEPTIVE_BUT
    | remarks.FOCUS
)
"""A prompt without any of these has no remark."""
BOUNDARIES: Final = function_words.PUNCTUATION | function_words.CONJUNCTIONS | remarks.SUBORDINATORS
STATING: Final = function_words.MODALS | function_words.BEING


def something_else(tokens: Tokens, start: int, end: int) -> bool:
    """Whether there are words before `start` or behind `end`."""
    return any(token not in BOUNDARIES for token in (*tokens[:start], *tokens[end:]))


def courtesy(tokens: Tokens, at: int) -> int:
    """How many tokens of courtesy stand at `at`; 0 for none."""
    return opening(tokens, OPENINGS, at)


def starts_something(tokens: Tokens, at: int) -> bool:
    """Whether an instruction or another remark begins at `at`."""
    if at >= len(tokens):
        return False
    form = verb_at(tokens, at)
    if form is not None and form.is_base:
        return True
    return bool(courtesy(tokens, at)) or any(opening(tokens, table, at) for table in _OPENERS)


def is_statement(tokens: Tokens, at: int) -> bool:
    """Whether the words up to the next boundary say how something is or should be."""
    for index in range(at + 1, len(tokens)):
        if tokens[index] in BOUNDARIES:
            return False
        if tokens[index] in remarks.COMPARING:
            return False
        if tokens[index] in STATING:
            return True
    return False


def clause_end(tokens: Tokens, at: int) -> int:
    """The index of the boundary at which a remark that is read up to `at` ends."""
    for index in range(at, len(tokens)):
        token = tokens[index]
        if token in function_words.SENTENCE_ENDS or token == COMMA:
            return index
        if token in BOUNDARIES and (starts_something(tokens, index + 1) or token != AND):
            return index
        if token == AND and is_statement(tokens, index + 1):
            return index
    return len(tokens)
