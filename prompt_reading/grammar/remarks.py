"""Remarks beside the edit: tokens -> **what is kept, what is refused, and the rest** -> clauses.

"Make everything except the car blue, no people" keeps the car, refuses people, and leaves "make everything blue".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from prompt_reading.grammar.instruction import Tokens, opening, verb_at
from prompt_reading.grammar.kept import contrast, exception, keeping, prohibition, statement
from prompt_reading.grammar.looks import is_look
from prompt_reading.grammar.refused import unwanted
from prompt_reading.grammar.remark import BOUNDARIES, SIGNS, WHOLE_SCENE, Name, Remark, clause_end, courtesy
from prompt_reading.grammar.vocabulary import LOOKS, Kind, tag
from prompt_reading.lexicon import frames, function_words, remarks, words
from prompt_reading.lexicon.function_words import BUT, COMMA, IT, OF, STOP, WITH


@dataclass(slots=True)
class Remarks:
    """A prompt's remarks, and what is left to read.

    Attributes:
        rest: the tokens of the edit itself.
        kept: what may not change.
        refused: what must not come.
        mentioned: what a pronoun of the edit may mean, the first of which is the likeliest.
        everything_but: the edit is about everything but what is kept.
    """

    rest: list[str] = field(default_factory=list)
    kept: list[Name] = field(default_factory=list)
    refused: list[Name] = field(default_factory=list)
    mentioned: list[Name] = field(default_factory=list)
    everything_but: bool = False


_NO_NOUN_KINDS: Final = LOOKS | {Kind.ADJECTIVE, Kind.DETERMINER, Kind.PREPOSITION}


def set_apart(tokens: Tokens) -> Remarks:
    """Part a prompt's tokens into the edit and the remarks beside it."""
    if SIGNS.isdisjoint(tokens):
        return Remarks(rest=list(tokens))
    found = Remarks()
    index, taken, begins = 0, False, True
    while index < len(tokens):
        remark = _remark_at(tokens, index, found.rest, begins=begins)
        if remark is not None:
            if found.rest and _goes_on(tokens, remark.end):
                remark = replace(remark, end=remark.end + 1, inline=True)
            _take_out(found, remark, tokens)
            index, taken, begins = remark.end, True, True
            continue
        polite = courtesy(tokens, index) if begins else 0
        if polite > 1:
            found.rest += tokens[index : index + polite]
            index += polite
            continue
        begins = tokens[index] in BOUNDARIES
        if not _is_focus(tokens, index, alone=not found.rest):
            found.rest.append(tokens[index])
        index += 1
        if taken and all(token in BOUNDARIES for token in found.rest):
            found.rest.clear()
    if all(token in BOUNDARIES for token in found.rest):
        if found.refused and not found.kept:
            return Remarks(rest=list(tokens))
        found.rest.clear()
    _name_the_rest(found)
    return found


def _goes_on(tokens: Tokens, comma: int) -> bool:
    """Whether a clause goes on behind a remark in commas: "replace the sofa, but not the rug, *with a bench*"."""
    if comma + 1 >= len(tokens) or tokens[comma] != COMMA:
        return False
    return tokens[comma + 1] in frames.GOING_ON or is_look(tag(tokens[comma + 1 : clause_end(tokens, comma + 1)]))


def _take_out(found: Remarks, remark: Remark, tokens: Tokens) -> None:
    whole = _whole_scene_at_end(found.rest) if remark.kept else len(found.rest)
    if whole > 1 and found.rest[whole - 1 : whole] == [COMMA]:
        del found.rest[whole - 1 :]
    elif whole < len(found.rest):
        found.everything_but = True
    kept = [_with_noun(name, found.rest) for name in remark.kept]
    while found.rest and found.rest[-1] in BOUNDARIES:
        found.rest.pop()
    if found.rest and not remark.inline and remark.end < len(tokens):
        found.rest.append(STOP)
    found.kept += [name for name in kept if name]
    found.refused += [_with_noun(name, found.rest) for name in remark.refused]
    found.mentioned += remark.mentioned


def _with_noun(name: Name, rest: list[str]) -> Name:
    """Name "the blue one" by what the edit is about."""
    if name[-1].text not in function_words.PROP_WORDS:
        return name
    nouns = [word for word in tag(rest) if not word.kinds & _NO_NOUN_KINDS and verb_at([word.text, IT], 0) is None]
    return (*name[:-1], *nouns[:1])


def _whole_scene_at_end(rest: list[str]) -> int:
    """Where a phrase for all of the image begins that ends the words so far; their number for none."""
    end = len(rest)
    while end and rest[end - 1] in (COMMA, BUT):
        end -= 1
    starts = range(max(0, end - 5), end)
    return next((start for start in starts if start + opening(rest, WHOLE_SCENE, start) == end), len(rest))


def _name_the_rest(found: Remarks) -> None:
    """Say "everything" for "everything else" and "the rest", where something is kept."""
    if not found.kept:
        return
    for index in range(len(found.rest)):
        length = opening(found.rest, WHOLE_SCENE, index)
        phrase = " ".join(found.rest[index : index + length])
        if length and phrase not in words.DETERMINERS and found.rest[index + length : index + length + 1] == [OF]:
            del found.rest[index : index + length + 1]
            return
        if length and (found.everything_but or phrase not in words.DETERMINERS):
            found.everything_but = True
            found.rest[index : index + length] = [remarks.EVERYTHING]
            return
    if any(word.is_a(Kind.PICTURE) for word in tag(found.rest)):
        found.everything_but = True


def _is_focus(tokens: Tokens, index: int, *, alone: bool) -> bool:
    """Whether "only" or a word of "nothing but" stands before what alone is to change."""
    following = tokens[index + 1] if index + 1 < len(tokens) else ""
    before = tokens[index - 1] if index else ""
    if tokens[index] in remarks.FOCUS:
        kept = words.DETERMINERS if alone else words.DETERMINERS | {BUT, COMMA}
        return bool(following) and following not in BOUNDARIES and before not in kept
    for offset in range(len(remarks.ONLY_BUT)):
        start = index - offset
        if start >= 0 and tuple(tokens[start : start + len(remarks.ONLY_BUT)]) == remarks.ONLY_BUT:
            return True
    return False


def _remark_at(tokens: Tokens, index: int, rest: list[str], *, begins: bool) -> Remark | None:
    return (
        (statement(tokens, index, rest) if begins else None)
        or (statement(tokens, index + 1, rest) if tokens[index] == WITH and (rest or not index) else None)
        or prohibition(tokens, index)
        or keeping(tokens, index, begins=begins)
        or exception(tokens, index, rest)
        or contrast(tokens, index, rest)
        or unwanted(tokens, index, rest, begins=begins)
    )
