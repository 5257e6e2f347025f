"""What an edit does not want: "no people", "not red". Tokens -> **a remark that refuses** -> negative prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prompt_reading.grammar.instruction import Tokens, opening, verb_at
from prompt_reading.grammar.looks import is_look
from prompt_reading.grammar.named import all_names, list_names
from prompt_reading.grammar.remark import (
    ADDING,
    BOUNDARIES,
    DISLIKES,
    NOBODY,
    UNWANTED,
    Name,
    Remark,
    clause_end,
    courtesy,
    something_else,
)
from prompt_reading.grammar.vocabulary import LOOKS, Word, tag
from prompt_reading.lexicon import appearance, function_words, remarks, verbs, wordings, words
from prompt_reading.lexicon.function_words import WITH

_NO_LOOK: Final = remarks.TOO | words.INDEFINITE | function_words.PROP_WORDS


def unwanted_addition(tokens: Tokens, index: int, at: int) -> Remark | None:
    """Read "don't add people", where something else is asked for."""
    verb = opening(tokens, ADDING, at)
    if not verb:
        return None
    names, end = list_names(tokens, at + verb)
    stop = clause_end(tokens, end)
    named = end > at + verb and tokens[at + verb] not in remarks.DEFINITE
    if not named or not something_else(tokens, index, stop):
        return None
    return Remark(stop, refused=all_names(names))


def refused_look(tokens: Tokens, start: int, end: int) -> tuple[Name, ...]:
    """The look between two tokens, without its degree ("too bright"); nothing where that is no look."""
    look = tuple(word for word in tag(tokens[start:end]) if word.text not in _NO_LOOK)
    return (look,) if is_look(look) else ()


def unwanted(tokens: Tokens, index: int, rest: list[str], *, begins: bool) -> Remark | None:
    """Read ", no people", "and without any cars"; "the wall without the sign" is an edit of its own."""
    nobody = opening(tokens, NOBODY, index)
    if nobody and something_else(tokens, index, stop := clause_end(tokens, index + nobody)):
        return Remark(stop, refused=((Word(wordings.PEOPLE),),))
    dislike = opening(tokens, DISLIKES, index) if begins else 0
    length = dislike or opening(tokens, UNWANTED, index)
    at = index + length
    if not length or at >= len(tokens) or (dislike and tokens[at] in remarks.DEFINITE | words.PRONOUNS):
        return None
    if rest and not begins and tokens[at] in remarks.DEFINITE:
        return None
    if rest and rest[-1] == WITH:
        return None
    names, end = list_names(tokens, at)
    if begins and end < len(tokens) and tokens[end] in words.PREPOSITIONS:
        end = clause_end(tokens, end)
    if not names or any(name.words[-1].text in remarks.IDLE_NOUNS for name in names):
        return None
    if not something_else(tokens, index, end) or (not rest and end < len(tokens) and tokens[end] not in BOUNDARIES):
        return None
    goes_on = _starts_clause_behind(tokens, end)
    if not rest and not goes_on:
        return None
    if rest and not begins and not is_edit(rest) and not (goes_on and tokens[end] in function_words.LIST_LINKS):
        return None
    return Remark(end, refused=all_names(names), inline=not begins)


def _starts_clause_behind(tokens: Tokens, end: int) -> bool:
    at = end
    while at < len(tokens) and tokens[at] in BOUNDARIES:
        at += 1
    return at < len(tokens)


def is_edit(rest: Sequence[str]) -> bool:
    """Whether the words so far ask for something: by a verb or by a look, unlike "the wall (without the sign)"."""
    start = 0
    while length := courtesy(rest, start):
        start += length
    for at in range(len(rest)):
        if at in (0, start) or rest[at - 1] in BOUNDARIES:
            form = verb_at(rest, at)
            if form is not None and form.frame != verbs.SHOW:
                return True
    return any(word.kinds & LOOKS and word.text not in appearance.WEAK_LOOKS for word in tag(rest))
