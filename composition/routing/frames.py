"""What each kind of verb does with its words: instruction -> **draft** -> reading.

One function per frame of `lexicon.verbs`; `FRAMES` is the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from composition.routing.descriptions import DEPICTIONS, bestow, describe, part_of
from composition.routing.draft import (
    Draft,
    Intent,
    add_draft,
    appearance_draft,
    demonstratives_off,
    is_pronoun,
    remove_draft,
    replace_draft,
)
from composition.routing.lexicon import verbs, words
from composition.routing.lexicon.inflection import verb_forms
from composition.routing.lexicon.listing import word_set
from composition.routing.phrases import colours_only, is_look, parse_noun_phrase, quality_owner, text_of
from composition.routing.vocabulary import LOOKS, Kind, Word
from composition.routing.worn import is_someone, wear_draft

_BEING: Final = word_set("is are was were stands stood sits sat hangs used to be now currently standing")

_RESULT: Final = word_set("that it they is are becomes become has have looks look will would be should")
_HIDING: Final = word_set("cover line drape encase face overlay wrap")
_FILLING: Final = word_set("fill top garnish stuff load surround adorn populate frost decorate")

Words = Sequence[Word]
Frame = Callable[[str, Words], Draft]


def find(items: Words, *texts: str, start: int = 1) -> int | None:
    """Where the first of these words is, after at least `start` others."""
    return next((i for i in range(start, len(items)) if items[i].text in texts), None)


def _halves(items: Words, index: int | None) -> tuple[Words, Words]:
    return (items, ()) if index is None else (items[:index], items[index + 1 :])


def replace(verb: str, items: Words) -> Draft:
    """Replace A with B; swap A for B."""
    if items and items[0].text == "in" and len(items) > 1:
        return substitute(verb, items[1:])
    split = _with_or_by(items) or find(items, "for") or find(items, "to", "into", "in exchange for")
    if split is None and verb not in ("replace", "upgrade", "update"):
        split = find(items, "and")
    old, new = _halves(items, split)
    if split is not None and items[split].text in ("to", "into"):
        return change(verb, items)
    owner = quality_owner(old)
    if owner is not None and new:
        on = find(new, "on", "of", "in") if not owner else None
        return appearance_draft(new[on + 1 :], new[:on]) if on is not None else appearance_draft(owner, new)
    return replace_draft(old, new)


def _with_or_by(items: Words) -> int | None:
    found = [i for i in range(1, len(items)) if items[i].text in ("with", "by")]
    if len(found) > 1 and found[0] + 1 < len(items) and items[found[0] + 1].text == "the":
        return found[1]
    return found[0] if found else None


def substitute(verb: str, items: Words) -> Draft:
    """Substitute B for A, but: substitute A with B."""
    split = find(items, "for", "in place of")
    if split is not None:
        return replace(verb, [*items[split + 1 :], Word("with"), *items[:split]])
    return replace(verb, items)


def change(_verb: str, items: Words) -> Draft:
    """Change A (from X) to B; turn A into B; turn A B."""
    so = find(items, "so")
    if so is not None:
        rest = [word for word in items[so + 1 :] if word.text not in _RESULT]
        return become(items[:so], rest)
    start = find(items, "from")
    arrow = find(items, "to", "into", start=(start or 0) + 1)
    if arrow is None:
        arrow = find(items, "in", "for", "with", "as")
        if arrow is not None and items[arrow].text == "in" and not is_look(items[arrow + 1 :]):
            arrow = None
    old, new = _halves(items, arrow)
    if start is not None and arrow is not None and start < arrow:
        old = items[:start]
    if not new:
        return _complement(old) or replace_draft(old, ())
    return become(old, new, into=arrow is not None and items[arrow].text in ("to", "into", "as"))


def become(old: Words, new: Words, *, into: bool = True) -> Draft:
    """A ends up as B: a look, or another thing."""
    while new and new[0].text in ("be", "become", "look", "looks", "appear", "seem", "like", "being"):
        new = new[1:]
    owner = quality_owner(old)
    if owner is not None and new:
        return appearance_draft(owner, new)
    if is_look(new) and not _is_substance(old) and not _is_another(new):
        return appearance_draft(_unless_picture(old), new)
    if not _unless_picture(old) and any(word.kinds & LOOKS for word in new):
        return appearance_draft((), new)
    return replace_draft(_unless_picture(old), new)


def _is_another(items: Words) -> bool:
    """Whether "a leather one" asks for another thing; "a red one" is only a colour."""
    return items[-1].text in ("one", "ones") and items[0].text in words.INDEFINITE and not colours_only(items)


def _is_substance(items: Words) -> bool:
    """Whether the thing is itself a material ("the grass"): another one replaces it."""
    name = parse_noun_phrase(items).core
    return len(name) == 1 and name[0].is_a(Kind.MATERIAL)


def _unless_picture(items: Words) -> Words:
    """Nothing is named when the whole picture is."""
    head = parse_noun_phrase(items).head
    return () if head is not None and head.is_a(Kind.PICTURE) else items


def make(verb: str, items: Words) -> Draft:
    """Make A B; make A look like B; make A out of B."""
    worn = wear_draft(items)
    if worn is not None:
        return worn
    if items[0].text in ("there", "it") and len(items) > 2 and items[1].text == "be":
        return describe(items)
    having = find(items, "have", "has", "had", "contain")
    if having is not None and having + 1 < len(items):
        return bestow(items[:having], "on", items[having + 1 :])
    so = find(items, "so")
    if so is not None:
        return change(verb, items)
    gone = find(items, "disappear", "vanish", "invisible", "gone", "go")
    if gone is not None and gone >= len(items) - 2:
        return remove_draft(items[:gone])
    seem = find(items, "look", "looks", "appear", "seem", "be", "become", "resemble")
    if seem is not None:
        return become(items[:seem], items[seem + 1 :])
    source = find(items, "out", "from", "of", "into", "in", "with")
    if source is not None:
        new = items[source + 1 :]
        if new and new[0].text == "of":
            new = new[1:]
        if is_look(new):
            return appearance_draft(items[:source], new)
        if items[source].text == "into":
            return become(items[:source], new)
    return _complement(items) or _made(verb, items)


def _complement(items: Words) -> Draft | None:
    """A B without a preposition between: "the car red", "all the chairs a dark wood", "the table round"."""
    for index in range(1, len(items)):
        left, right = items[:index], items[index:]
        if _is_named(left) and is_look(right) and not right[0].is_a(Kind.QUALITY):
            return appearance_draft(_unless_picture(left), right)
    for index in range(2 if len(items) > 2 else 1, len(items)):
        left, right = items[:index], items[index:]
        if is_look(right) and left[-1].kinds & LOOKS and not left[-1].is_a(Kind.DETERMINER):
            return appearance_draft(left, right)
    for index in range(1, len(items)):
        if items[index].text in words.INDEFINITE and _is_named(items[:index]):
            return replace_draft(items[:index], items[index:])
    last = items[-1] if items else None
    if last is not None and len(items) > 1 and _is_named(items[:-1]):
        if last.is_a(Kind.ADJECTIVE) or last.text.endswith(("er", "ed")):
            left = items[:-1]
            return replace_draft(left, [*_shape_words(items, last), *_name_or_self(left)])
    return None


def _shape_words(items: Words, last: Word) -> list[Word]:
    return [last]


def _name_or_self(items: Words) -> list[Word]:
    return [word for word in items if not word.is_a(Kind.DETERMINER)]


def _is_named(items: Words) -> bool:
    """Whether the phrase is complete: it ends with a noun or a pronoun, not with an article or an adjective."""
    last = items[-1]
    if last.is_a(Kind.DETERMINER) and last.text not in words.PRONOUNS:
        return False
    if last.is_a(Kind.PREPOSITION) or last.text in ("'s", "and", ",") or last.text in words.QUANTIFIERS:
        return False
    if last.is_a(Kind.ADJECTIVE):
        return False
    return not last.kinds & LOOKS or bool(last.kinds & {Kind.QUALITY})


def _made(verb: str, items: Words) -> Draft:
    """Read "make a snowman": something new; "make the sofa": nothing but the name."""
    if verb in ("have", "get"):
        return describe(items)
    if items and items[0].text in words.INDEFINITE:
        return add(verbs.ADD, items)
    return describe(items)


def paint(verb: str, items: Words) -> Draft:
    """Paint A (in) B; paint a B on A."""
    on = find(items, "on", "onto", "over", "across")
    if on is not None:
        look, owner = items[:on], items[on + 1 :]
        return appearance_draft(owner, look) if is_look(look, forced=True) else add(verb, items)
    split = find(items, "in", "with", "to", "into", "using", "like", "as")
    if split is not None:
        left, right = items[:split], items[split + 1 :]
        done = _complement(left)
        return done if done is not None and done.looks else become_painted(left, right)
    for index in range(1, len(items)):
        if _is_named(items[:index]) and is_look(items[index:], forced=True):
            return appearance_draft(items[:index], items[index:])
    return _complement(items) or appearance_draft(items, ())


def become_painted(old: Words, new: Words) -> Draft:
    """Whatever a thing is painted with is its look."""
    while new and new[0].text in ("look", "be", "like"):
        new = new[1:]
    owner = quality_owner(old)
    return appearance_draft(_unless_picture(owner or old), new)


def cover(verb: str, items: Words) -> Draft:
    """Cover A with B: a look when B is a material or a pattern, else something that hides A."""
    split = find(items, "in", "with", "by", "using", "to")
    if split is None:
        return _complement(items) or appearance_draft(items, ())
    old, new = items[:split], items[split + 1 :]
    if is_look(new, forced=verb not in _FILLING) or verb not in _HIDING | _FILLING:
        return appearance_draft(old, new)
    draft = replace_draft(old, new)
    return Draft(
        intent=Intent.REPLACE,
        named=draft.named,
        made=draft.made,
        paint=f"{text_of(demonstratives_off(old))} {_done(verb)} with {draft.paint}",
    )


def _done(verb: str) -> str:
    return next(
        (form for form in verb_forms(verb, None, doubles=verb in verbs.DOUBLING) if form.endswith("ed")), "covered"
    )


def give(_verb: str, items: Words) -> Draft:
    """Give A B; give B to A."""
    split = find(items, "to", "with")
    if split is not None and items[split].text == "to":
        owner, new = items[split + 1 :], items[:split]
    elif split is not None:
        owner, new = items[:split], items[split + 1 :]
    else:
        start = _second_phrase(items)
        owner, new = items[:start], items[start:]
    if not new:
        return describe(items)
    return bestow(owner, "on", new)


def _second_phrase(items: Words) -> int:
    for index in range(1, len(items)):
        if index < len(items) - 1 and is_someone(items[index - 1 : index]) and items[index].text != "'s":
            return index
        if _is_named(items[:index]) and (
            items[index].is_a(Kind.DETERMINER) or items[index].kinds & LOOKS or items[index].is_a(Kind.ADJECTIVE)
        ):
            return index
    return len(items) - 1 if len(items) > 1 else len(items)


def add(verb: str, items: Words) -> Draft:
    """Add B (at place); looks can be added too, and parts that replace those in place."""
    worn = _put_on(verb, items)
    if worn is not None:
        return worn
    taken = _in_the_place_of(items)
    if taken is not None:
        return taken
    split = next((i for i in range(1, len(items)) if _is_place_preposition(verb, items, i)), None)
    if split is None:
        return add_draft(items, "", ())
    new, preposition, place = items[:split], items[split].text, items[split + 1 :]
    if is_look(new) and not new[0].text.isdigit() and not _is_depiction(new):
        return appearance_draft(_unless_picture(place), new)
    if preposition in ("on", "onto", "to", "in") and not _is_one_more(new):
        part = part_of(new, added=True)
        if part is not None:
            return part
    if preposition == "with":
        return add_draft(items, "", ())
    return add_draft(new, "on" if preposition in ("to", "onto") else preposition, place)


def _is_one_more(items: Words) -> bool:
    """Whether a part is added to those in place ("a mirror"), not put in their stead ("a new roof", "these rims")."""
    phrase = parse_noun_phrase(items)
    single = bool(phrase.determiners) and phrase.determiners[0] in words.INDEFINITE
    return single and not any(word.is_a(Kind.ADJECTIVE) for word in phrase.core)


def _is_depiction(items: Words) -> bool:
    """Whether a thing to be added is a picture ("a watercolor painting"), not a look."""
    head = parse_noun_phrase(items).head
    return head is not None and head.text.split(" ")[-1] in DEPICTIONS and items[0].text not in words.DEMONSTRATIVES


def _in_the_place_of(items: Words) -> Draft | None:
    """Read "a globe where the radio is" as the radio's replacement."""
    where = find(items, "where")
    if where is None or items[-1].text not in _BEING:
        return None
    old = list(items[where + 1 :])
    while old and old[-1].text in _BEING:
        old.pop()
    return replace_draft(old, items[:where]) if old else None


def _is_place_preposition(verb: str, items: Words, index: int) -> bool:
    word = items[index]
    if word.text == "from" and verb in ("hang", "hang up"):
        return True
    if word.text == "from" and items[index - 1].text.endswith("ing"):
        return True
    return word.is_a(Kind.PREPOSITION) and word.text not in ("of", "with", "from", "without", "for", "like", "as")


def _put_on(verb: str, items: Words) -> Draft | None:
    """Read "put this jacket on", "put the hat on the man" and "put him in a suit" as wearing."""
    if verb not in ("put", "place", "fit", "put in", "add"):
        return None
    into = find(items, "in", "into")
    if into is not None and is_someone(items[:into]) and items[into + 1 :]:
        return wear_draft([Word("wearing"), *items[into + 1 :]])
    return wear_draft([Word("put"), *items])


def apply(verb: str, items: Words) -> Draft:
    """Apply B to A; use B for A."""
    split = find(items, "to", "on", "onto", "over", "across", "for", "upon", "into", "as")
    if split is None:
        return describe(items)
    new, old = items[:split], items[split + 1 :]
    if items[split].text == "as":
        return replace_draft(old, new)
    if is_look(new) or is_pronoun(new):
        return appearance_draft(_unless_picture(old), new)
    return bestow(old, items[split].text, new) if verb in ("use", "apply") else add(verb, items)


def remove(verb: str, items: Words) -> Draft:
    """Remove A (from B)."""
    split = find(items, "from", "off")
    old = items[:split] if split else items
    if split and quality_owner(old) is not None and not parse_noun_phrase(old).possessor:
        return appearance_draft(items[split + 1 :], ())
    return remove_draft(_unless_picture(old))


def dress(verb: str, items: Words) -> Draft:
    """Dress A in B; style the room in B."""
    split = find(items, "in", "with", "as", "like", "up")
    if split is None or (verb == "style" and not is_someone(items[:split])):
        return change(verb, items)
    rest = items[split + 1 :]
    while rest and rest[0].text in ("in", "up", "as"):
        rest = rest[1:]
    return wear_draft([Word("wearing"), *rest]) or change(verb, items)


def show(_verb: str, items: Words) -> Draft:
    """Show A B: the rest is a description."""
    return wear_draft(items) or _complement(items) or describe(items)


FRAMES: Final[Mapping[str, Frame]] = {
    verbs.REPLACE: replace,
    verbs.SUBSTITUTE: substitute,
    verbs.CHANGE: change,
    verbs.MAKE: make,
    verbs.PAINT: paint,
    verbs.COVER: cover,
    verbs.GIVE: give,
    verbs.ADD: add,
    verbs.APPLY: apply,
    verbs.REMOVE: remove,
    verbs.DRESS: dress,
    verbs.SHOW: show,
}
