"""Remarks beside the edit: tokens -> **what is kept, what is refused, and the rest** -> clauses.

"Make everything except the car blue, no people" keeps the car, refuses people, and leaves "make everything blue".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from prompt_reading.grammar.instruction import OPENINGS, Tokens, opening, phrases_by_first, verb_at
from prompt_reading.grammar.looks import is_look
from prompt_reading.grammar.phrases import Words, name_of, parse_noun_phrase
from prompt_reading.grammar.vocabulary import LOOKS, Kind, Word, tag
from prompt_reading.lexicon import appearance, frames, function_words, people, remarks, verbs, wordings, words
from prompt_reading.lexicon.function_words import AND, BUT, COMMA, IT, OF, POSSESSIVE, STOP, WITH
from prompt_reading.lexicon.inflection import DOING, DONE, verb_forms

Name: TypeAlias = tuple[Word, ...]
_LONGEST_NAME: Final = 14
"""In tokens."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a noun phrase names: as it would be looked for, and whether it has a place of its own in the image."""

    words: Name
    solid: bool = True


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


_NEGATORS: Final = phrases_by_first(remarks.NEGATORS)
_FORBIDDEN: Final = _forbidden_verbs()
_ADDING: Final = phrases_by_first(_forms_of([b for frame in remarks.UNWANTED_FRAMES for b in verbs.VERBS[frame]]))
_FORBIDDING: Final = phrases_by_first(remarks.FORBIDDING)
_KEEPING: Final = phrases_by_first(remarks.KEEPING)
_UNCHANGED: Final = phrases_by_first(remarks.UNCHANGED)
_STAYING: Final = phrases_by_first(remarks.STAYING)
_FINAL_STAYING: Final = phrases_by_first(remarks.FINAL_STAYING)
_NEGATED_MODALS: Final = phrases_by_first(remarks.NEGATED_MODALS)
_DREADS: Final = phrases_by_first(remarks.DREADS)
_EXCEPTIONS: Final = phrases_by_first(remarks.EXCEPTIONS)
_CONTRASTS: Final = phrases_by_first(remarks.CONTRASTS)
_NOBODY: Final = phrases_by_first(remarks.NOBODY)
_DISLIKES: Final = phrases_by_first(remarks.DISLIKES)
_UNWANTED: Final = phrases_by_first(remarks.UNWANTED)
_WHOLE_SCENE: Final = phrases_by_first(remarks.WHOLE_SCENE)
_OPENERS: Final = (_NEGATORS, _FORBIDDING, _KEEPING, _EXCEPTIONS, _UNWANTED, _NOBODY, _DREADS)
_SIGNS: Final = frozenset(
    {first for table in (*_OPENERS, _STAYING, _FINAL_STAYING, _NEGATED_MODALS) for first in table}
    | remarks.LEAVING
    | remarks.EXCEPTIVE_BUT
    | remarks.FOCUS
)
"""A prompt without any of these has no remark."""
_BOUNDARIES: Final = function_words.PUNCTUATION | function_words.CONJUNCTIONS | remarks.SUBORDINATORS
_ONLY_PRONOUNS: Final = remarks.ANAPHORS - words.DETERMINERS
_NO_LOOK: Final = remarks.TOO | words.INDEFINITE | function_words.PROP_WORDS
_NO_NOUN_KINDS: Final = LOOKS | {Kind.ADJECTIVE, Kind.DETERMINER, Kind.PREPOSITION}
_NO_NOUNS: Final = _BOUNDARIES | words.PREPOSITIONS
_STATING: Final = function_words.MODALS | function_words.BEING


def set_apart(tokens: Tokens) -> Remarks:
    """Part a prompt's tokens into the edit and the remarks beside it."""
    if _SIGNS.isdisjoint(tokens):
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
        courtesy = _courtesy(tokens, index) if begins else 0
        if courtesy > 1:
            found.rest += tokens[index : index + courtesy]
            index += courtesy
            continue
        begins = tokens[index] in _BOUNDARIES
        if not _is_focus(tokens, index, alone=not found.rest):
            found.rest.append(tokens[index])
        index += 1
        if taken and all(token in _BOUNDARIES for token in found.rest):
            found.rest.clear()
    if all(token in _BOUNDARIES for token in found.rest):
        if found.refused and not found.kept:
            return Remarks(rest=list(tokens))
        found.rest.clear()
    _name_the_rest(found)
    return found


def _goes_on(tokens: Tokens, comma: int) -> bool:
    """Whether a clause goes on behind a remark in commas: "replace the sofa, but not the rug, *with a bench*"."""
    if comma + 1 >= len(tokens) or tokens[comma] != COMMA:
        return False
    return tokens[comma + 1] in frames.GOING_ON or is_look(tag(tokens[comma + 1 : _clause_end(tokens, comma + 1)]))


def _take_out(found: Remarks, remark: Remark, tokens: Tokens) -> None:
    whole = _whole_scene_at_end(found.rest) if remark.kept else len(found.rest)
    if whole > 1 and found.rest[whole - 1 : whole] == [COMMA]:
        del found.rest[whole - 1 :]
    elif whole < len(found.rest):
        found.everything_but = True
    kept = [_with_noun(name, found.rest) for name in remark.kept]
    while found.rest and found.rest[-1] in _BOUNDARIES:
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
    return next((start for start in starts if start + opening(rest, _WHOLE_SCENE, start) == end), len(rest))


def _name_the_rest(found: Remarks) -> None:
    """Say "everything" for "everything else" and "the rest", where something is kept."""
    if not found.kept:
        return
    for index in range(len(found.rest)):
        length = opening(found.rest, _WHOLE_SCENE, index)
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
        return bool(following) and following not in _BOUNDARIES and before not in kept
    for offset in range(len(remarks.ONLY_BUT)):
        start = index - offset
        if start >= 0 and tuple(tokens[start : start + len(remarks.ONLY_BUT)]) == remarks.ONLY_BUT:
            return True
    return False


def _remark_at(tokens: Tokens, index: int, rest: list[str], *, begins: bool) -> Remark | None:
    return (
        (_statement(tokens, index, rest) if begins else None)
        or (_statement(tokens, index + 1, rest) if rest and tokens[index] == WITH else None)
        or _prohibition(tokens, index)
        or _keeping(tokens, index, begins=begins)
        or _exception(tokens, index, rest)
        or _contrast(tokens, index, rest)
        or _unwanted(tokens, index, rest, begins=begins)
    )


def _prohibition(tokens: Tokens, index: int) -> Remark | None:
    """Read "don't change the face", "without touching the hat", "no changes to the sofa", "I don't want it changed"."""
    length = opening(tokens, _FORBIDDING, index)
    if length:
        return _kept(tokens, index + length)
    dread = opening(tokens, _DREADS, index)
    if dread:
        names, end = _names(tokens, index + dread)
        stop = _clause_end(tokens, end)
        if names and any(opening(tokens, _FORBIDDEN, at) for at in range(end, min(end + 3, stop))):
            return Remark(stop, kept=_solid(names), mentioned=_all(names))
    length = opening(tokens, _NEGATORS, index)
    if not length:
        return None
    at = index + length
    verb = opening(tokens, _FORBIDDEN, at)
    if not verb:
        return _unwanted_addition(tokens, index, at)
    if " ".join(tokens[index:at]) in remarks.BEFORE_GERUNDS and not tokens[at].endswith(DOING):
        return None
    while at + verb + 1 < len(tokens) and tokens[at + verb] in remarks.ALTERNATION | {COMMA}:
        another = opening(tokens, _FORBIDDEN, at + verb + 1)
        if not another:
            break
        at, verb = at + verb + 1, another
    at += verb
    while at < len(tokens) and tokens[at] in remarks.BEFORE_OBJECT:
        at += 1
    bare = tokens[at - 1] in verbs.AMBIGUOUS_VERBS
    if at >= len(tokens) or (bare and tokens[at] not in words.DETERMINERS | words.PRONOUNS | people.OBJECT_PRONOUNS):
        return None
    names, end = _names(tokens, at)
    stop = _clause_end(tokens, end)
    if end == at:
        return None
    look = () if any(name.solid for name in names) else _refused_look(tokens, end, stop)
    return Remark(stop, kept=_solid(names), refused=look, mentioned=_all(names))


def _unwanted_addition(tokens: Tokens, index: int, at: int) -> Remark | None:
    """Read "don't add people", where something else is asked for."""
    verb = opening(tokens, _ADDING, at)
    if not verb:
        return None
    names, end = _names(tokens, at + verb)
    stop = _clause_end(tokens, end)
    named = end > at + verb and tokens[at + verb] not in remarks.DEFINITE
    if not named or not _something_else(tokens, index, stop):
        return None
    return Remark(stop, refused=_all(names))


def _something_else(tokens: Tokens, start: int, end: int) -> bool:
    return any(token not in _BOUNDARIES for token in (*tokens[:start], *tokens[end:]))


def _keeping(tokens: Tokens, index: int, *, begins: bool) -> Remark | None:
    """Read "keep the windows as they are", "while preserving the face", "leave the wheels alone"."""
    length = opening(tokens, _KEEPING, index)
    following = tokens[index + length] if length and index + length < len(tokens) else ""
    pointed = following in remarks.DEFINITE | words.QUANTIFIERS | people.OBJECT_PRONOUNS
    if length and _is_other_verb(tokens, index):
        return None
    sure = begins and pointed if tokens[index] in remarks.AMBIGUOUS_KEEPING else begins or pointed
    if length and following and (sure or tokens[index].endswith(DOING)):
        return _kept(tokens, index + length)
    if tokens[index] not in remarks.LEAVING or index + 1 >= len(tokens):
        return None
    names, end = _names(tokens, index + 1)
    if end == index + 1:
        return None
    stop = _clause_end(tokens, end)
    pointed = tokens[index] in remarks.BARE_LEAVING and tokens[index + 1] in remarks.DEFINITE
    bare = pointed and (end == stop or bool(_refused_look(tokens, end, stop)))
    let_be = tokens[end:stop] == [remarks.UNTOUCHED_BE]
    if opening(tokens, _UNCHANGED, end) or bare or let_be:
        return Remark(stop, kept=_solid(names), mentioned=_all(names))
    return None


def _is_other_verb(tokens: Tokens, index: int) -> bool:
    """Whether a longer verb that keeps nothing stands here ("keep looking")."""
    form = verb_at(tokens, index)
    return form is not None and form.frame == verbs.MAKE and len(form.words) > 1


def _kept(tokens: Tokens, at: int) -> Remark | None:
    """The remark that keeps what is named at `at`, to the end of its clause."""
    names, end = _names(tokens, at)
    return Remark(_clause_end(tokens, end), kept=_solid(names), mentioned=_all(names)) if end > at else None


def _statement(tokens: Tokens, index: int, rest: list[str]) -> Remark | None:
    """Read "the table must stay", "her face remains unchanged", "the wheels should not be red"."""
    start = index
    while length := _courtesy(tokens, start):
        start += length
    if start >= len(tokens) or (verb_at(tokens, start) is not None and tokens[start] not in words.DETERMINERS):
        return None
    for at in range(start + 1, min(len(tokens), start + _LONGEST_NAME)):
        if tokens[at] in _BOUNDARIES and tokens[at] not in (AND, *remarks.BEFORE_STAYING):
            return None
        if negated := opening(tokens, _NEGATED_MODALS, at):
            return _forbidden_state(tokens, start, at, at + negated, rest)
        after = at
        while after < len(tokens) and tokens[after] in remarks.BEFORE_STAYING:
            after += 1
        staying = opening(tokens, _STAYING, after)
        final = opening(tokens, _FINAL_STAYING, at)
        ends = at + final
        if staying or (final and (ends == len(tokens) or tokens[ends] in _BOUNDARIES)):
            names = _subjects(tokens, start, at)
            return (
                Remark(_clause_end(tokens, max(after + staying, ends)), _solid(names), mentioned=_all(names))
                if names
                else None
            )
        if tokens[at] == AND and _starts_something(tokens, at + 1):
            return None
    return None


def forbids_appearing(tokens: Tokens) -> int | None:
    """Where "should not be visible" begins, which ends the clause: what is named before is to go."""
    for index in range(1, len(tokens)):
        length = opening(tokens, _NEGATED_MODALS, index)
        if length and tokens[-1] in remarks.APPEARING and len(tokens) <= index + length + 2:
            return index
    return None


def _courtesy(tokens: Tokens, at: int) -> int:
    return opening(tokens, OPENINGS, at)


def _subjects(tokens: Tokens, start: int, end: int) -> tuple[Named, ...]:
    """What is named in a statement; nothing where an action is."""
    if tokens[start] in words.PRONOUNS - remarks.DEFINITE:
        return ()
    names, stop = _names(tokens[:end], start)
    placed = stop < end and tokens[stop] in words.PREPOSITIONS and tokens[stop] not in frames.COMPANY
    return names if stop == end or placed else ()


def _forbidden_state(tokens: Tokens, start: int, at: int, after: int, rest: list[str]) -> Remark | None:
    """A thing that must not change, or must not become something."""
    be = after
    while be < len(tokens) and tokens[be] in remarks.BEFORE_REFUSED:
        be += 1
    stop = _clause_end(tokens, be)
    if be >= len(tokens) or tokens[be] in remarks.APPEARING or tokens[start] in function_words.DUMMY_SUBJECTS:
        return None
    changes = any(opening(tokens, _FORBIDDEN, index) for index in (be, after))
    if not changes and " ".join(tokens[at:after]) in remarks.ONLY_WITH_CHANGES:
        return None
    names = _subjects(tokens, start, at)
    if not names:
        return None
    look = _refused_look(tokens, be, stop)
    if changes or rest or not look:
        return Remark(stop, kept=_solid(names), mentioned=_all(names))
    return Remark(stop, kept=_solid(names), refused=look, mentioned=_all(names))


def _refused_look(tokens: Tokens, start: int, end: int) -> tuple[Name, ...]:
    look = tuple(word for word in tag(tokens[start:end]) if word.text not in _NO_LOOK)
    return (look,) if is_look(look) else ()


def _exception(tokens: Tokens, index: int, rest: list[str]) -> Remark | None:
    """Read "everything except the car", "all the chairs but the left one", "apart from the sofa"."""
    length = opening(tokens, _EXCEPTIONS, index)
    if not length and tokens[index] == BUT and remarks.EXCEPTIVE_BUT & set(rest[-4:]):
        length = 1
    if not length or index + length >= len(tokens) or _starts_something(tokens, index + length):
        return None
    names, end = _names(tokens, index + length)
    return Remark(end, kept=_solid(names), inline=bool(rest)) if names else None


def _contrast(tokens: Tokens, index: int, rest: list[str]) -> Remark | None:
    """Read "but not the wheels", ", not red", "and not the one on the left"."""
    length = opening(tokens, _CONTRASTS, index)
    at = index + length
    if not length or not rest or at >= len(tokens):
        return None
    end = _clause_end(tokens, at + 1)
    look = () if tokens[at] in remarks.DEFINITE else _refused_look(tokens, at, end)
    apart = length > 1 or rest[-1] == COMMA or tokens[at] in remarks.DEFINITE
    if tokens[at] in words.PREPOSITIONS and at + 1 < len(tokens):
        at += 1
    if look and (apart or _is_edit(rest)):
        return Remark(end, refused=look)
    if not apart or not _is_edit(rest):
        return None
    names, end = _names(tokens, at)
    if not names:
        return None
    kept = tokens[at] in remarks.DEFINITE or tokens[at] not in words.INDEFINITE
    return Remark(end, kept=_solid(names)) if kept else Remark(end, refused=_all(names))


def _unwanted(tokens: Tokens, index: int, rest: list[str], *, begins: bool) -> Remark | None:
    """Read ", no people", "and without any cars"; "the wall without the sign" is an edit of its own."""
    nobody = opening(tokens, _NOBODY, index)
    if nobody and _something_else(tokens, index, stop := _clause_end(tokens, index + nobody)):
        return Remark(stop, refused=((Word(wordings.PEOPLE),),))
    dislike = opening(tokens, _DISLIKES, index) if begins else 0
    length = dislike or opening(tokens, _UNWANTED, index)
    at = index + length
    if not length or at >= len(tokens) or (dislike and tokens[at] in remarks.DEFINITE | words.PRONOUNS):
        return None
    if rest and not begins and (tokens[at] in remarks.DEFINITE or not _is_edit(rest)):
        return None
    if rest and rest[-1] == WITH:
        return None
    names, end = _names(tokens, at)
    if begins and end < len(tokens) and tokens[end] in words.PREPOSITIONS:
        end = _clause_end(tokens, end)
    if not names or any(name.words[-1].text in remarks.IDLE_NOUNS for name in names):
        return None
    if not _something_else(tokens, index, end) or (not rest and end < len(tokens) and tokens[end] not in _BOUNDARIES):
        return None
    if not rest and not _starts_clause_behind(tokens, end):
        return None
    return Remark(end, refused=_all(names), inline=not begins)


def _starts_clause_behind(tokens: Tokens, end: int) -> bool:
    at = end
    while at < len(tokens) and tokens[at] in _BOUNDARIES:
        at += 1
    return at < len(tokens)


def _is_edit(rest: Sequence[str]) -> bool:
    """Whether the words so far ask for something: by a verb or by a look, unlike "the wall (without the sign)"."""
    start = 0
    while length := _courtesy(rest, start):
        start += length
    for at in range(len(rest)):
        if at in (0, start) or rest[at - 1] in _BOUNDARIES:
            form = verb_at(rest, at)
            if form is not None and form.frame != verbs.SHOW:
                return True
    return any(word.kinds & LOOKS and word.text not in appearance.WEAK_LOOKS for word in tag(rest))


def _starts_something(tokens: Tokens, at: int) -> bool:
    """Whether an instruction or another remark begins at `at`."""
    if at >= len(tokens):
        return False
    form = verb_at(tokens, at)
    if form is not None and form.is_base:
        return True
    return bool(_courtesy(tokens, at)) or any(opening(tokens, table, at) for table in _OPENERS)


def _is_statement(tokens: Tokens, at: int) -> bool:
    """Whether the words up to the next boundary say how something is or should be."""
    for index in range(at + 1, len(tokens)):
        if tokens[index] in _BOUNDARIES:
            return False
        if tokens[index] in remarks.COMPARING:
            return False
        if tokens[index] in _STATING:
            return True
    return False


def _clause_end(tokens: Tokens, at: int) -> int:
    """The index of the boundary at which a remark that is read up to `at` ends."""
    for index in range(at, len(tokens)):
        token = tokens[index]
        if token in function_words.SENTENCE_ENDS or token == COMMA:
            return index
        if token in _BOUNDARIES and (_starts_something(tokens, index + 1) or token != AND):
            return index
        if token == AND and _is_statement(tokens, index + 1):
            return index
    return len(tokens)


def _names(tokens: Tokens, at: int) -> tuple[tuple[Named, ...], int]:
    """The things that are listed at `at`, and the index behind the last."""
    names: list[Named] = []
    while True:
        item, end = _item(tokens, at)
        if not item:
            return tuple(names), at if not names else _before_link(tokens, at)
        name = _name(item)
        if name is not None:
            names.append(name)
        at = end
        following = at + 1
        if at < len(tokens) and tokens[at] == COMMA and following < len(tokens):
            if tokens[following] in remarks.ALTERNATION:
                following += 1
            elif tokens[following] not in remarks.DEFINITE and not _is_listed(tokens, following):
                return tuple(names), at
        elif at >= len(tokens) or tokens[at] not in remarks.ALTERNATION:
            return tuple(names), at
        if following >= len(tokens) or _starts_something(tokens, following) or _is_statement(tokens, following):
            return tuple(names), at
        at = following


def _is_listed(tokens: Tokens, at: int) -> bool:
    """Whether the bare noun at `at` is one of a list that "and" or "or" ends: "her face, *hair*, or hands"."""
    for index in range(at + 1, min(at + 5, len(tokens) - 1)):
        if tokens[index] in remarks.ALTERNATION:
            return not _starts_something(tokens, index + 1) and not _starts_something(tokens, at)
        if tokens[index] in function_words.SENTENCE_ENDS:
            return False
    return False


def _before_link(tokens: Tokens, at: int) -> int:
    while at > 0 and tokens[at - 1] in remarks.ALTERNATION | {COMMA}:
        at -= 1
    return at


def _item(tokens: Tokens, at: int) -> tuple[list[Word], int]:
    """One noun phrase, without what is said about it, and the index behind it."""
    item: list[Word] = []
    has_noun = False
    tagged = tag(tokens[at : at + _LONGEST_NAME])
    for position, word in enumerate(tagged):
        following = tagged[position + 1] if position + 1 < len(tagged) else None
        if word.text in _BOUNDARIES | remarks.ALTERNATION | _STATING | function_words.RELATIVES | frames.COMPANY:
            break
        if (word.is_a(Kind.PREPOSITION) or word.text in words.PREPOSITIONS) and not (item and word.text == OF):
            break
        if item and has_noun and (opening(tokens, _UNCHANGED, at) or opening(tokens, _STAYING, at)):
            break
        if has_noun and item[-1].text not in (OF, POSSESSIVE) and _is_predicate(word, following):
            break
        if item and (item[0].text in _ONLY_PRONOUNS or (has_noun and _is_participle(word))):
            break
        item.append(word)
        at += word.text.count(" ") + 1
        has_noun = has_noun or not (word.is_a(Kind.DETERMINER) or word.kinds & (LOOKS | {Kind.ADJECTIVE}))
        if word.text in (OF, POSSESSIVE):
            has_noun = False
        has_noun = has_noun or word.text in people.OBJECT_PRONOUNS
    return item, at


def _is_participle(word: Word) -> bool:
    """Whether a word behind a noun says what was done to it: "the curtains *changed*"."""
    return not word.kinds and word.text.endswith(DONE) and word.text not in words.NOT_ADJECTIVES


def _is_predicate(word: Word, following: Word | None) -> bool:
    """Whether a word behind a noun says how that is to be: "the car *red*", "the car *a dark blue*"."""
    if word.is_a(Kind.DETERMINER):
        return True
    if not word.kinds & (LOOKS | {Kind.ADJECTIVE}):
        return False
    return (
        following is None
        or following.text in _BOUNDARIES
        or bool(following.kinds)
        or following.text in words.PREPOSITIONS
    )


def _name(item: Words) -> Named | None:
    """What a noun phrase names; of a quality ("the car's shape") its owner, which has the place; None for "it"."""
    if all(word.text in people.OBJECT_PRONOUNS for word in item):
        return Named((Word(wordings.PERSON, frozenset({Kind.PERSON})),))
    phrase = parse_noun_phrase(item)
    if phrase.head is not None and phrase.head.text in remarks.PARTS_OF_SOMETHING and phrase.possessor:
        phrase = parse_noun_phrase(phrase.possessor)
    name = list(name_of(phrase))
    while len(name) > 1 and name[0].text in remarks.REDUNDANT:
        name.pop(0)
    if item[-1].text in function_words.PROP_WORDS:
        return Named((*name, item[-1]))
    if not name:
        return None
    if _has_no_place(name[-1]):
        owner = _name(phrase.possessor) if phrase.possessor else None
        return Named(owner.words if owner else tuple(name), solid=False)
    return Named(tuple(name))


def _solid(names: tuple[Named, ...]) -> tuple[Name, ...]:
    return tuple(name.words for name in names if name.solid)


def _all(names: tuple[Named, ...]) -> tuple[Name, ...]:
    return tuple(name.words for name in names)


def _has_no_place(word: Word) -> bool:
    return (
        word.text in remarks.UNPROTECTABLE | words.PRONOUNS
        or (word.text in appearance.PURE_QUALITY_NOUNS and not word.is_a(Kind.MATERIAL))
        or word.is_a(Kind.PICTURE)
    )
