"""What may not change: prohibitions, statements, exceptions. Tokens -> **a remark that keeps** -> protected."""

from __future__ import annotations

from prompt_reading.grammar.instruction import Tokens, opening, verb_at
from prompt_reading.grammar.named import LONGEST_NAME, Named, all_names, list_names, solid_names
from prompt_reading.grammar.refused import is_edit, refused_look, unwanted_addition
from prompt_reading.grammar.remark import (
    BOUNDARIES,
    CONTRASTS,
    DREADS,
    EXCEPTIONS,
    FINAL_STAYING,
    FORBIDDEN,
    FORBIDDING,
    KEEPING,
    NEGATED_MODALS,
    NEGATORS,
    STAYING,
    UNCHANGED,
    Remark,
    clause_end,
    courtesy,
    starts_something,
)
from prompt_reading.lexicon import frames, function_words, people, remarks, verbs, words
from prompt_reading.lexicon.function_words import AND, BUT, COMMA, TO
from prompt_reading.lexicon.inflection import DOING


def prohibition(tokens: Tokens, index: int) -> Remark | None:
    """Read "don't change the face", "without touching the hat", "no changes to the sofa", "I don't want it changed"."""
    length = opening(tokens, FORBIDDING, index)
    if length:
        return _kept(tokens, index + length)
    dread = opening(tokens, DREADS, index)
    if dread:
        changed = next(
            (at for at in range(index + dread + 1, min(index + dread + 8, len(tokens))) if _changes(tokens, at)), 0
        )
        names, end = list_names(tokens[:changed], index + dread)
        if names and end == changed:
            return Remark(clause_end(tokens, end), kept=solid_names(names), mentioned=all_names(names))
    length = opening(tokens, NEGATORS, index)
    if not length:
        return None
    at = index + length
    verb = opening(tokens, FORBIDDEN, at)
    if not verb:
        return unwanted_addition(tokens, index, at)
    if " ".join(tokens[index:at]) in remarks.BEFORE_GERUNDS and not tokens[at].endswith(DOING):
        return None
    while at + verb + 1 < len(tokens) and tokens[at + verb] in remarks.ALTERNATION | {COMMA}:
        another = opening(tokens, FORBIDDEN, at + verb + 1)
        if not another:
            break
        at, verb = at + verb + 1, another
    at += verb
    while at < len(tokens) and tokens[at] in remarks.BEFORE_OBJECT:
        at += 1
    bare = tokens[at - 1] in verbs.AMBIGUOUS_VERBS
    if at >= len(tokens) or (bare and tokens[at] not in words.DETERMINERS | words.PRONOUNS | people.OBJECT_PRONOUNS):
        return None
    names, end = list_names(tokens, at)
    stop = clause_end(tokens, end)
    if end == at:
        return None
    look = () if any(name.solid for name in names) else refused_look(tokens, end, stop)
    return Remark(stop, kept=solid_names(names), refused=look, mentioned=all_names(names))


def _changes(tokens: Tokens, at: int) -> bool:
    """Whether "change", "to change" or "to be changed" stands at `at`."""
    if tokens[at - 1] in words.DETERMINERS:
        return False
    ahead = (0,) if tokens[at] != TO else (1, 2)
    return any(opening(tokens, FORBIDDEN, at + offset) for offset in ahead)


def keeping(tokens: Tokens, index: int, *, begins: bool) -> Remark | None:
    """Read "keep the windows as they are", "while preserving the face", "leave the wheels alone"."""
    length = opening(tokens, KEEPING, index)
    following = tokens[index + length] if length and index + length < len(tokens) else ""
    pointed = following in remarks.DEFINITE | words.QUANTIFIERS | people.OBJECT_PRONOUNS
    if length and _is_other_verb(tokens, index):
        return None
    sure = begins and pointed if tokens[index] in remarks.AMBIGUOUS_KEEPING else begins or pointed
    if length and following and (sure or tokens[index].endswith(DOING)):
        return _kept(tokens, index + length)
    if tokens[index] not in remarks.LEAVING or index + 1 >= len(tokens):
        return None
    names, end = list_names(tokens, index + 1)
    if end == index + 1:
        return None
    stop = clause_end(tokens, end)
    pointed = tokens[index] in remarks.BARE_LEAVING and tokens[index + 1] in remarks.DEFINITE
    bare = pointed and (end == stop or bool(refused_look(tokens, end, stop)))
    let_be = tokens[end:stop] == [remarks.UNTOUCHED_BE]
    if opening(tokens, UNCHANGED, end) or bare or let_be:
        return Remark(stop, kept=solid_names(names), mentioned=all_names(names))
    return None


def _is_other_verb(tokens: Tokens, index: int) -> bool:
    """Whether a longer verb that keeps nothing stands here ("keep looking")."""
    form = verb_at(tokens, index)
    return form is not None and form.frame == verbs.MAKE and len(form.words) > 1


def _kept(tokens: Tokens, at: int) -> Remark | None:
    """The remark that keeps what is named at `at`, to the end of its clause."""
    names, end = list_names(tokens, at)
    return Remark(clause_end(tokens, end), kept=solid_names(names), mentioned=all_names(names)) if end > at else None


def statement(tokens: Tokens, index: int, rest: list[str]) -> Remark | None:
    """Read "the table must stay", "her face remains unchanged", "the wheels should not be red"."""
    start = index
    while length := courtesy(tokens, start):
        start += length
    if start >= len(tokens) or (verb_at(tokens, start) is not None and tokens[start] not in words.DETERMINERS):
        return None
    for at in range(start + 1, min(len(tokens), start + LONGEST_NAME)):
        if tokens[at] in BOUNDARIES and tokens[at] not in (AND, *remarks.BEFORE_STAYING):
            return None
        if negated := opening(tokens, NEGATED_MODALS, at):
            return _forbidden_state(tokens, start, at, at + negated, rest)
        after = at
        while after < len(tokens) and tokens[after] in remarks.BEFORE_STAYING:
            after += 1
        staying = opening(tokens, STAYING, after)
        final = opening(tokens, FINAL_STAYING, at)
        ends = at + final
        if staying or (final and (ends == len(tokens) or tokens[ends] in BOUNDARIES)):
            names = _subjects(tokens, start, at)
            return (
                Remark(clause_end(tokens, max(after + staying, ends)), solid_names(names), mentioned=all_names(names))
                if names
                else None
            )
        if tokens[at] == AND and starts_something(tokens, at + 1):
            return None
    return None


def forbids_appearing(tokens: Tokens) -> int | None:
    """Where "should not be visible" begins, which ends the clause: what is named before is to go."""
    for index in range(1, len(tokens)):
        length = opening(tokens, NEGATED_MODALS, index)
        if length and tokens[-1] in remarks.APPEARING and len(tokens) <= index + length + 2:
            return index
    return None


def _subjects(tokens: Tokens, start: int, end: int) -> tuple[Named, ...]:
    """What is named in a statement; nothing where an action is."""
    if tokens[start] in words.PRONOUNS - remarks.DEFINITE:
        return ()
    names, stop = list_names(tokens[:end], start)
    placed = stop < end and tokens[stop] in words.PREPOSITIONS and tokens[stop] not in frames.COMPANY
    return names if stop == end or placed else ()


def _forbidden_state(tokens: Tokens, start: int, at: int, after: int, rest: list[str]) -> Remark | None:
    """A thing that must not change, or must not become something."""
    be = after
    while be < len(tokens) and tokens[be] in remarks.BEFORE_REFUSED:
        be += 1
    stop = clause_end(tokens, be)
    if be >= len(tokens) or tokens[be] in remarks.APPEARING or tokens[start] in function_words.DUMMY_SUBJECTS:
        return None
    changes = any(opening(tokens, FORBIDDEN, index) for index in (be, after))
    if not changes and " ".join(tokens[at:after]) in remarks.ONLY_WITH_CHANGES:
        return None
    names = _subjects(tokens, start, at)
    if not names:
        return None
    look = refused_look(tokens, be, stop)
    if changes or rest or not look:
        return Remark(stop, kept=solid_names(names), mentioned=all_names(names))
    return Remark(stop, kept=solid_names(names), refused=look, mentioned=all_names(names))


def exception(tokens: Tokens, index: int, rest: list[str]) -> Remark | None:
    """Read "everything except the car", "all the chairs but the left one", "apart from the sofa"."""
    length = opening(tokens, EXCEPTIONS, index)
    if not length and tokens[index] == BUT and remarks.EXCEPTIVE_BUT & set(rest[-4:]):
        length = 1
    if not length or index + length >= len(tokens) or starts_something(tokens, index + length):
        return None
    names, end = list_names(tokens, index + length)
    return Remark(end, kept=solid_names(names), inline=bool(rest)) if names else None


def contrast(tokens: Tokens, index: int, rest: list[str]) -> Remark | None:
    """Read "but not the wheels", ", not red", "and not the one on the left"."""
    length = opening(tokens, CONTRASTS, index)
    at = index + length
    if not length or not rest or at >= len(tokens):
        return None
    end = clause_end(tokens, at + 1)
    look = () if tokens[at] in remarks.DEFINITE else refused_look(tokens, at, end)
    apart = length > 1 or rest[-1] == COMMA or tokens[at] in remarks.DEFINITE
    if tokens[at] in words.PREPOSITIONS and at + 1 < len(tokens):
        at += 1
    if look and (apart or is_edit(rest)):
        return Remark(end, refused=look)
    if not apart or not is_edit(rest):
        return None
    names, end = list_names(tokens, at)
    if not names:
        return None
    kept = tokens[at] in remarks.DEFINITE or tokens[at] not in words.INDEFINITE
    return Remark(end, kept=solid_names(names)) if kept else Remark(end, refused=all_names(names))
