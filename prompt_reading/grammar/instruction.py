"""From a sentence to an instruction: tokens -> **politeness off, clauses split, verb found** -> frames.

"Could you please have the mug replaced with a teapot?" becomes (replace; "the mug with a teapot").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prompt_reading.grammar.vocabulary import tokenise
from prompt_reading.lexicon import frames, function_words, inflection, people, spelling, verbs, words
from prompt_reading.lexicon.function_words import COMMA, FROM, LIKE, MADE, NO, NOT, OF, POSSESSIVE
from prompt_reading.lexicon.inflection import verb_forms

Tokens = Sequence[str]

DESCRIBE: Final = "describe"
"""The frame of a clause without an action: it says how things are to be."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One clause: what is done (a frame of `lexicon.verbs`, or DESCRIBE), by which verb, with which words."""

    frame: str
    verb: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Form:
    frame: str
    base: str
    words: tuple[str, ...]
    is_base: bool
    is_participle: bool


def phrases_by_first(listed: str | Iterable[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Phrases by first word, the longest first."""
    items = listed.split(",") if isinstance(listed, str) else listed
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for item in items:
        tokens = tuple(tokenise(item.strip()))
        by_first.setdefault(tokens[0], []).append(tokens)
    return {first: tuple(sorted(group, key=len, reverse=True)) for first, group in by_first.items()}


def _verb_forms() -> dict[str, tuple[_Form, ...]]:
    by_first: dict[str, list[_Form]] = {}
    for frame, bases in verbs.VERBS.items():
        for base in bases:
            first = base.split(" ")[0]
            forms = verb_forms(base, verbs.IRREGULAR_FORMS.get(first), doubles=first in verbs.DOUBLING)
            for index, form in enumerate(forms):
                tokens = tuple(form.split(" "))
                participle = index >= 2 and not tokens[0].endswith(inflection.DOING)
                by_first.setdefault(tokens[0], []).append(_Form(frame, base, tokens, index == 0, participle))
    return {first: tuple(sorted(group, key=lambda f: -len(f.words))) for first, group in by_first.items()}


OPENINGS: Final = phrases_by_first(words.POLITE_OPENINGS)
_WISHES: Final = phrases_by_first(words.WISHES)
_REFUSALS: Final = phrases_by_first(words.REFUSALS)
_ENDINGS: Final = phrases_by_first(words.POLITE_ENDINGS)
_ENDING_LASTS: Final = frozenset(p[-1] for group in _ENDINGS.values() for p in group)
_KEEPING: Final = phrases_by_first(words.KEEPING)
_FORMS: Final = _verb_forms()
_OBJECT_STARTS: Final = (
    words.DETERMINERS | words.QUANTIFIERS | people.OBJECT_PRONOUNS | words.PRONOUNS | frames.QUESTION_OBJECTS
) - {NO}
_PASSIVE_FRAMES: Final = frozenset(
    {verbs.REPLACE, verbs.SUBSTITUTE, verbs.CHANGE, verbs.PAINT, verbs.COVER, verbs.REMOVE, verbs.ADD, verbs.APPLY}
)


def opening(tokens: Tokens, phrases: dict[str, tuple[tuple[str, ...], ...]], at: int = 0) -> int:
    """How many tokens at `at` are one of the phrases; 0 for none."""
    if at >= len(tokens):
        return 0
    for phrase in phrases.get(tokens[at], ()):
        if tuple(tokens[at : at + len(phrase)]) == phrase:
            return len(phrase)
    return 0


def split_quality_tags(tokens: Tokens) -> tuple[list[str], list[str]]:
    """A prompt's instruction, and the tags for quality before and behind it ("..., highly detailed, f/1.8, 8k")."""
    rest, tags = list(tokens), list[str]()
    while COMMA in rest[1:]:
        comma = len(rest) - 1 - rest[::-1].index(COMMA)
        segment = " ".join(rest[comma + 1 :])
        if segment and not is_quality_tag(segment):
            break
        rest, tags = rest[:comma], [segment, *tags] if segment else tags
    opening_tags = list[str]()
    while COMMA in rest:
        comma = rest.index(COMMA)
        segment = " ".join(rest[:comma])
        if comma + 1 == len(rest) or (segment and not is_quality_tag(segment)):
            break
        rest, opening_tags = rest[comma + 1 :], [*opening_tags, segment] if segment else opening_tags
    return rest, [*opening_tags, *tags]


def is_quality_tag(segment: str) -> bool:
    """Whether people append this, in lower case, to any prompt: "8k", "sharp focus", "f/1.8"."""
    return segment in words.QUALITY_TAGS or spelling.CAMERA_SETTING.fullmatch(segment) is not None


def strip_courtesy(tokens: Tokens) -> list[str]:
    """Without greetings, requests, thanks and remarks about what is to stay as it is."""
    rest = list(tokens)
    for index in range(2, len(rest)):
        if opening(rest, _KEEPING, index) and not (index >= 2 and rest[index - 1] == NOT):
            rest = rest[:index]
            break
    changed = True
    while changed and rest:
        changed = False
        if rest[0] in function_words.PUNCTUATION:
            rest, changed = rest[1:], True
        elif len(rest) > 2 and rest[0] in function_words.FIRST_PERSONS and rest[1] in words.INTENSIFIERS:
            rest, changed = [rest[0], *rest[2:]], True
        elif rest[-1] in function_words.PUNCTUATION or (len(rest) > 2 and rest[-1] in function_words.CONJUNCTIONS):
            rest, changed = rest[:-1], True
        elif (
            (length := opening(rest, OPENINGS))
            and max(opening(rest, _WISHES), opening(rest, _REFUSALS)) < length < len(rest)
        ) and rest[length] != OF:
            rest, changed = rest[length:], True
        elif (length := _ending(rest)) and length < len(rest):
            rest, changed = rest[:-length], True
    return rest


def _ending(tokens: Tokens) -> int:
    if tokens[-1] not in _ENDING_LASTS:
        return 0
    for start in range(max(1, len(tokens) - 6), len(tokens)):
        if opening(tokens, _ENDINGS, start) == len(tokens) - start:
            return len(tokens) - start
    return 0


def strip_wish(tokens: list[str]) -> list[str]:
    """Without "I'd like" and "show me": what remains describes the wanted state."""
    length = opening(tokens, _WISHES)
    return tokens[length:] if length and length < len(tokens) else tokens


def verb_at(tokens: Tokens, index: int) -> _Form | None:
    """The verb that starts at `index`, where it can be one there."""
    for form in _FORMS.get(tokens[index], ()):
        end = index + len(form.words)
        if tuple(tokens[index:end]) != form.words or (form.is_participle and not form.is_base):
            continue
        if len(form.words) > 1 or form.words[0] not in verbs.AMBIGUOUS_VERBS:
            return form
        if end < len(tokens) and (tokens[end] in _OBJECT_STARTS or _verb_like(tokens, end, form)):
            return form
        if _has_bare_object(tokens, end, form):
            return form
    return None


def _has_bare_object(tokens: Tokens, end: int, form: _Form) -> bool:
    """Whether the thing is left to be understood: "change to red", "paint"."""
    if form.frame not in (verbs.REPLACE, verbs.CHANGE, verbs.PAINT):
        return False
    return end == len(tokens) or tokens[end] in frames.UNDERSTOOD_OBJECT_LINKS


def _verb_like(tokens: Tokens, end: int, form: _Form) -> bool:
    """An ambiguous verb before a bare noun: a verb when its own preposition follows ("paint walls in blue")."""
    if tokens[end] in words.PREPOSITIONS or tokens[end] in function_words.PUNCTUATION or tokens[end] == POSSESSIVE:
        return form.frame == verbs.ADD and form.base in verbs.PLACING_ON and tokens[end] in frames.PUT_ON_LINKS
    later = tokens[end + 1 :]
    if form.frame in (verbs.REPLACE, verbs.CHANGE):
        return any(t in frames.AMBIGUOUS_VERB_LINKS for t in later)
    if form.base in verbs.TRANSITIVE_VERBS:
        return bool(later)
    return False


def split_clauses(tokens: Tokens) -> list[list[str]]:
    """The sentence's instructions: cut where a new verb follows a comma, a full stop, "and" or "then"."""
    clauses: list[list[str]] = [[]]
    index = 0
    while index < len(tokens):
        after = index
        while after < len(tokens) and tokens[after] in (
            function_words.SEPARATORS if after == index else function_words.FILLERS
        ):
            after += 1
        if index < after < len(tokens) and clauses[-1] and _starts_clause(tokens, index, after):
            clauses.append([])
            index = after
        clauses[-1].append(tokens[index])
        index += 1
    return [clause for clause in clauses if clause]


def _starts_clause(tokens: Tokens, index: int, after: int) -> bool:
    """Whether the words at `after`, behind punctuation or a conjunction at `index`, are an instruction of their own."""
    if tokens[index] in function_words.SENTENCE_ENDS:
        return True
    form = verb_at(tokens, after)
    return (form is not None and form.is_base) or (
        tokens[index] in function_words.CONTRAST_MARKS and opening(tokens, _WISHES, after) > 1
    )


def instruct(tokens: list[str]) -> Instruction:
    """What one clause asks for."""
    clause = strip_courtesy(tokens)
    if not clause:
        return Instruction(DESCRIBE, "", ())
    refused = opening(clause, _REFUSALS)
    if 0 < refused < len(clause):
        return Instruction(verbs.REMOVE, verbs.REMOVE, tuple(clause[refused:]))
    found = _separable(clause) or _leading(clause)
    if found is not None:
        return found
    wished = strip_courtesy(strip_wish(clause))
    if wished != clause and wished:
        return _leading(wished) or _passive(wished) or Instruction(DESCRIBE, "", tuple(wished))
    return _passive(clause) or Instruction(DESCRIBE, "", tuple(clause))


def _leading(clause: Tokens) -> Instruction | None:
    form = verb_at(clause, 0)
    if form is None or opening(clause, _WISHES) > len(form.words):
        return None
    arguments = clause[len(form.words) :]
    caused = _passive(arguments) if form.base in verbs.CAUSING and arguments else None
    return caused or Instruction(form.frame, form.base, tuple(arguments))


def _separable(clause: Tokens) -> Instruction | None:
    """Read "take the bin out" and "swap the chair out for a stool": the particle stands after the object."""
    for form in _FORMS.get(clause[0], ()):
        if len(form.words) != 2 or form.words[1] not in verbs.SEPARABLE_PARTICLES:
            continue
        particle = form.words[1]
        for index in range(2, len(clause)):
            if clause[index] == particle and (rest := _behind_particle(form, clause[index + 1 :])) is not None:
                return Instruction(form.frame, form.base, (*clause[1:index], *rest))
    return None


def _behind_particle(form: _Form, rest: Tokens) -> list[str] | None:
    """What follows the particle, "off the wall" as "from the wall"; None where it is a plain preposition."""
    following = rest[0] if rest else ""
    if following == OF:
        return [FROM, *rest[1:]]
    if following in frames.BEHIND_PARTICLE:
        return list(rest)
    if form.frame == verbs.REMOVE and form.words[1] in frames.FROM_PARTICLES:
        return [FROM, *rest]
    return None


def _passive(clause: Tokens) -> Instruction | None:
    """Read "the mug replaced by a teapot" and "the walls should be painted grey" as done to their subject."""
    start = 1 if clause[0] in function_words.PASSIVE_OPENINGS and len(clause) > 2 else 0
    for index in range(start + 1, len(clause)):
        form = next((form for form in _FORMS.get(clause[index], ()) if _is_done_to(form, clause, index)), None)
        if form is None or LIKE in clause[:index]:
            continue
        subject = list(clause[start:index])
        while subject and subject[-1] in function_words.BEFORE_PARTICIPLE:
            subject.pop()
        if subject:
            return Instruction(form.frame, form.base, (*subject, *clause[index + len(form.words) :]))
    return None


def _is_done_to(form: _Form, clause: Tokens, index: int) -> bool:
    """Whether the participle at `index` says what is done to the words before it."""
    end = index + len(form.words)
    if not form.is_participle or tuple(clause[index:end]) != form.words:
        return False
    before, after = clause[index - 1], clause[end] if end < len(clause) else ""
    if before in words.DETERMINERS:
        return False
    if before in function_words.PASSIVE_AUXILIARIES:
        return form.frame in _PASSIVE_FRAMES or form.words == (MADE,)
    if (
        form.frame not in _PASSIVE_FRAMES
        or form.words[0] in verbs.NOT_PASSIVE
        or before in words.PREPOSITIONS | function_words.LIST_LINKS
    ):
        return False
    return not after or after in words.PREPOSITIONS or form.frame in (verbs.PAINT, verbs.COVER)
