"""Verbs that change a thing in place: replace, change, make, paint, cover. Instruction -> **draft** -> reading."""

from __future__ import annotations

import dataclasses

from prompt_reading.grammar.descriptions import bestow, describe, insertion
from prompt_reading.grammar.draft import (
    Draft,
    Intent,
    appearance_draft,
    demonstratives_off,
    is_pronoun,
    remove_draft,
    replace_draft,
)
from prompt_reading.grammar.looks import colours_only, is_look, quality_owner
from prompt_reading.grammar.phrases import (
    Words,
    bare,
    find,
    halves,
    is_measure,
    is_named,
    parse_noun_phrase,
    text_of,
    unless_picture,
)
from prompt_reading.grammar.states import state
from prompt_reading.grammar.vocabulary import LOOKS, Kind, Word
from prompt_reading.grammar.worn import wear_draft
from prompt_reading.lexicon import frames, function_words, inflection, verbs, words
from prompt_reading.lexicon.function_words import AND, BE, FOR, FROM, IN, INTO, IT, OF, ON, SO, THE, WITH
from prompt_reading.lexicon.inflection import verb_forms


def replace(verb: str, items: Words) -> Draft:
    """Replace A with B; swap A for B."""
    if items and items[0].text == IN and len(items) > 1:
        return substitute(verb, items[1:])
    if items and items[0].text in frames.EXCHANGE_LINKS:
        return replace_draft((), items[1:])
    split = _with_or_by(items) or find(items, FOR) or find(items, *frames.LATE_EXCHANGE_LINKS)
    if split is None and verb not in verbs.NOT_MUTUAL:
        split = find(items, AND)
    old, new = halves(items, split)
    if split is not None and items[split].text in frames.RESULT_LINKS:
        return change(verb, items)
    owner = quality_owner(old) if not colours_only(bare(old)) or not is_look(old) else ()
    if owner is not None and new:
        on = find(new, *frames.OWNER_LINKS) if not owner else None
        return appearance_draft(new[on + 1 :], new[:on]) if on is not None else appearance_draft(owner, new)
    return replace_draft(old, new)


def _with_or_by(items: Words) -> int | None:
    found = [i for i in range(1, len(items)) if items[i].text in frames.REPLACEMENT_LINKS]
    if len(found) > 1 and found[0] + 1 < len(items) and items[found[0] + 1].text == THE:
        return found[1]
    return found[0] if found else None


def substitute(verb: str, items: Words) -> Draft:
    """Substitute B for A, but: substitute A with B."""
    split = find(items, *frames.SUBSTITUTION_LINKS)
    if split is not None:
        return replace(verb, [*items[split + 1 :], Word(WITH), *items[:split]])
    return replace(verb, items)


def change(_verb: str, items: Words) -> Draft:
    """Change A (from X) to B; turn A into B; turn A B."""
    so = find(items, SO)
    if so is not None:
        rest = [word for word in items[so + 1 :] if word.text not in frames.RESULT_CLAUSE]
        return become(items[:so], rest)
    if items and items[0].text in frames.RESULT_LINKS:
        return become((), items[1:])
    start = find(items, FROM)
    arrow = find(items, *frames.RESULT_LINKS, start=(start or 0) + 1)
    if arrow is None:
        arrow = find(items, *frames.CHANGE_LINKS)
        if arrow is not None and items[arrow].text == IN and not is_look(items[arrow + 1 :]):
            arrow = None
    old, new = halves(items, arrow)
    if start is not None and arrow is not None and start < arrow:
        old = items[:start]
    if new:
        return become(old, new)
    owner = quality_owner(old)
    if owner is not None:
        return appearance_draft(owner, ())
    return complement_of(old) or replace_draft(old, ())


def become(old: Words, new: Words) -> Draft:
    """A ends up as B: a look, or another thing."""
    while new and new[0].text in frames.SEEMING:
        new = new[1:]
    owner = quality_owner(old)
    if owner is not None and new:
        return appearance_draft(owner, new)
    shaped = parse_noun_phrase(old)
    if shaped.head is not None and shaped.head.text in frames.SHAPE_NOUNS and shaped.possessor:
        return replace_draft(shaped.possessor, [*new, *bare(shaped.possessor)])
    renewed = parse_noun_phrase(new)
    if renewed.head is not None and renewed.head == shaped.head and is_look(renewed.core[:-1]):
        return appearance_draft(old, renewed.core[:-1])
    if is_look(new) and not _is_substance(old) and not _is_another(new):
        return appearance_draft(unless_picture(old), new)
    if not unless_picture(old) and any(word.kinds & LOOKS for word in new):
        return appearance_draft((), new)
    return replace_draft(unless_picture(old), new)


def _is_another(items: Words) -> bool:
    """Whether "a leather one" asks for another thing; "a red one" is only a colour."""
    return items[-1].text in function_words.PROP_WORDS and items[0].text in words.INDEFINITE and not colours_only(items)


def _is_substance(items: Words) -> bool:
    """Whether the thing is itself a material ("the grass"): another one replaces it."""
    name = parse_noun_phrase(items).core
    return len(name) == 1 and name[0].is_a(Kind.MATERIAL)


def make(verb: str, items: Words) -> Draft:
    """Make A B; make A look like B; make A out of B."""
    worn = wear_draft(items)
    if worn is not None:
        return worn
    if items[0].text in function_words.DUMMY_SUBJECTS and len(items) > 2 and items[1].text == BE:
        return state(items) or describe(items)
    having = find(items, *frames.MADE_TO_HAVE)
    if having is not None and having + 1 < len(items):
        return bestow(items[:having], ON, items[having + 1 :])
    other = find(items, frames.MADE_TO_REPLACE)
    if other is not None:
        return replace_draft(items[other + 1 :], items[:other])
    so = find(items, SO)
    if so is not None:
        return change(verb, items)
    gone = find(items, *frames.MADE_TO_GO)
    if gone is not None and gone >= len(items) - 2:
        return remove_draft(items[:gone])
    seem = find(items, *frames.MADE_TO_SEEM)
    if seem is not None and items[seem - 1].text != THE:
        return become(items[:seem], items[seem + 1 :])
    source = find(items, *frames.MADE_OF_LINKS)
    if source is not None:
        new = items[source + 1 :]
        if new and new[0].text == OF:
            new = new[1:]
        if is_look(new):
            return appearance_draft(items[:source], new)
        if items[source].text == INTO:
            return become(items[:source], new)
    if items[0].text == IT and len(items) > 1:
        return complement_of(items) or become(items[:1], items[1:])
    return complement_of(items) or _made(verb, items)


def _made(verb: str, items: Words) -> Draft:
    """Read "make a snowman": something new; "make the sofa": nothing but the name."""
    if verb in verbs.POSSESSING:
        return state(items) or describe(items)
    if items and items[0].text in words.INDEFINITE:
        return insertion(items)
    return state(items) or describe(items)


def paint(verb: str, items: Words) -> Draft:
    """Paint A (in) B; paint a B on A."""
    on = find(items, *frames.PAINTED_ON_LINKS)
    if on is not None and not (items[0].is_a(Kind.DETERMINER) and is_look(items[-1:])):
        look, owner = items[:on], items[on + 1 :]
        return appearance_draft(owner, look) if is_look(look, forced=True) else insertion(items)
    split = find(items, *frames.PAINT_LINKS)
    if split is not None:
        left, right = items[:split], items[split + 1 :]
        done = complement_of(left)
        return done if done is not None and done.looks else become_painted(left, right)
    for index in range(1, len(items)):
        if is_named(items[:index]) and is_look(items[index:], forced=True):
            return appearance_draft(items[:index], items[index:])
    return complement_of(items) or treated(verb, items)


def treated(verb: str, items: Words) -> Draft:
    """The thing with the verb's own look: "varnish the table" asks for a varnished table."""
    done = Word(participle_of(verb), frozenset({Kind.FINISH}))
    return appearance_draft(unless_picture(items), (done,))


def adjust(verb: str, items: Words) -> Draft:
    """Darken A, open A, enlarge A: the thing stays, in another state."""
    if not items:
        return Draft(intent=Intent.DESCRIBE, paint=verb)
    look = verbs.LOOK_VERBS.get(verb)
    if look is not None:
        return appearance_draft(unless_picture(items), (Word(look, frozenset({Kind.FINISH})),))
    draft = replace_draft(unless_picture(items), ())
    return dataclasses.replace(draft, paint=f"{participle_of(verb)} {draft.paint}".strip()) if draft.paint else draft


def become_painted(old: Words, new: Words) -> Draft:
    """Whatever a thing is painted with is its look."""
    while new and new[0].text in frames.BEFORE_PAINTED_LOOK:
        new = new[1:]
    owner = quality_owner(old)
    return appearance_draft(unless_picture(owner or old), new)


def cover(verb: str, items: Words) -> Draft:
    """Cover A with B: a look when B is a material or a pattern, else something that hides A."""
    split = find(items, *frames.COVER_LINKS)
    if split is None:
        return complement_of(items) or treated(verb, items)
    old, new = items[:split], items[split + 1 :]
    if is_look(new, forced=verb not in verbs.FILLING) or verb not in verbs.HIDING | verbs.FILLING:
        return appearance_draft(old, new)
    draft = replace_draft(old, new)
    return Draft(
        intent=Intent.REPLACE,
        named=draft.named,
        made=draft.made,
        paint=f"{text_of(demonstratives_off(old))} {participle_of(verb)} {WITH} {draft.paint}",
    )


def participle_of(verb: str) -> str:
    """What has been done to the thing: "covered", "blurred", "broken"."""
    first = verb.split(" ")[0]
    forms = verb_forms(first, verbs.IRREGULAR_FORMS.get(first), doubles=first in verbs.DOUBLING)
    return next(form for form in forms[2:] if not form.endswith(inflection.DOING))


def complement_of(items: Words) -> Draft | None:
    """A B without a preposition between: "the car red", "all the chairs a dark wood", "the table round"."""
    amount = next((i for i in range(1, len(items)) if is_measure(items, i)), None)
    if amount is not None and not items[amount].text.endswith(function_words.PERCENT):
        items = [*items[:amount], *items[amount + 2 :]]
        if len(items) == amount:
            return None
    for index in range(1, len(items)):
        left, right = items[:index], items[index:]
        if is_named(left) and is_look(right) and not right[0].is_a(Kind.QUALITY):
            return appearance_draft(unless_picture(left), right)
    for index in range(2 if len(items) > 2 else 1, len(items)):
        left, right = items[:index], items[index:]
        if is_look(right) and left[-1].kinds & LOOKS and not left[-1].is_a(Kind.DETERMINER):
            return appearance_draft(left, right)
    for index in range(1, len(items)):
        if items[index].text in words.INDEFINITE and is_named(items[:index]):
            return replace_draft(items[:index], items[index:])
    left, last = items[:-1], items[-1]
    while left and left[-1].text in function_words.DEGREES:
        left = left[:-1]
    if left and is_named(left) and (last.is_a(Kind.ADJECTIVE) or last.text.endswith(inflection.CHANGED_ENDINGS)):
        name = () if is_pronoun(left) else bare(left)
        return replace_draft(unless_picture(left), [last, *name])
    return None
