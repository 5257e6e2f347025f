"""Sentences without an action: "blue car", "car with these sport rims", "texture of marble on the table"."""

from __future__ import annotations

from collections.abc import Sequence

from composition.routing.draft import Draft, Intent, add_draft, appearance_draft, demonstratives_off, replace_draft
from composition.routing.lexicon import appearance, people, words
from composition.routing.lexicon.listing import word_set
from composition.routing.lexicon.structures import ALWAYS_PRESENT_PARTS
from composition.routing.phrases import NounPhrase, bare, is_look, name_of, parse_noun_phrase, quality_owner, text_of
from composition.routing.vocabulary import LOOKS, Kind, Word
from composition.routing.worn import region_of

Words = Sequence[Word]


def describe(items: Words) -> Draft:
    """What a description of the wanted picture asks for."""
    stated = _state(items)
    if stated is not None:
        return stated
    phrase = parse_noun_phrase(items)
    if phrase.head is None:
        return Draft(intent=Intent.DESCRIBE, paint=text_of(items))
    return (
        _look_of_something(phrase)
        or _something_with_look(phrase, items)
        or _thing_with_part(phrase, items)
        or _thing(phrase, items)
    )


_QUESTIONS = word_set("what how would could should can will does do might if let with suppose why not")
_COPULAS = word_set("is are be been becomes become was were look looks looked but being")
_MODALS = word_set("should would could must will to shall might may can need needs , now")
_LEADS = word_set("now in made of out like be become all with look looking completely more from to as")


def _state(items: Words) -> Draft | None:
    """Read "the walls should be grey", "could the sofa be blue", "what would the door look like in red"."""
    rest = list(items)
    while len(rest) > 1 and rest[0].text in _QUESTIONS:
        rest.pop(0)
    copula = next((i for i in range(1, len(rest)) if rest[i].text in _COPULAS), None)
    if copula is None:
        return None
    owner, new = rest[:copula], rest[copula + 1 :]
    while owner and owner[-1].text in _MODALS:
        owner.pop()
    if not owner or not new:
        return None
    added = new[1:] if new[0].text == "like" else new
    while new and new[0].text in _LEADS:
        new = new[1:]
    if is_look(new):
        return appearance_draft(quality_owner(owner) or owner, new)
    if added and added[0].text in ("with", "without"):
        return describe([*owner, *added])
    if new and new[0].text in words.INDEFINITE and rest[copula].text != "but":
        return replace_draft(owner, new)
    return None


_DEPICTIONS = word_set(
    "portrait painting drawing sketch illustration version rendition rendering render picture photo photograph image art"
)
"""Nouns for a picture of a thing: in "anime style portrait of the cat" the cat is the thing."""


def _look_of_something(phrase: NounPhrase) -> Draft | None:
    """Read "wooden texture on the vase", "texture of marble for the table", "leather for the sofa", "cartoon style"."""
    core = phrase.core
    if len(core) > 1 and core[-1].text in _DEPICTIONS and any(word.kinds & LOOKS for word in core):
        core = tuple(word for word in core if word.kinds & LOOKS or word.is_a(Kind.QUALITY))
    if not is_look(core):
        return None
    look: tuple[Word, ...] = core
    owner: tuple[Word, ...] = ()
    for preposition, rest in phrase.posts:
        if preposition in ("on", "for", "to", "over", "onto", "across") or (
            preposition == "of" and not is_look(rest) and core[-1].is_a(Kind.QUALITY)
        ):
            owner = owner or rest
        elif preposition == "of" and is_look(rest):
            look = (*look, Word("of", frozenset({Kind.PREPOSITION})), *rest)
        elif preposition in ("like", "as"):
            look = (*look, *rest)
    owner = owner or phrase.possessor
    if core[-1].text in ("style", "manner") and phrase.possessor and not owner[1:]:
        owner = ()
    if parse_noun_phrase(owner).head is not None and parse_noun_phrase(owner).head.is_a(Kind.PICTURE):  # type: ignore[union-attr]
        owner = ()
    return appearance_draft(owner, look)


def _something_with_look(phrase: NounPhrase, items: Words) -> Draft | None:
    """Read "blue car", "car in red", "table with marble texture", "house in the style of Monet"."""
    name = name_of(phrase, described=True)
    own = [word for word in phrase.core[: len(phrase.core) - len(name)] if word.kinds & LOOKS]
    if all(word.text in appearance.WEAK_LOOKS for word in own):
        own = []
    extra: list[Word] = []
    for preposition, rest in phrase.posts:
        if (
            preposition in ("in", "with", "of", "out", "from", "as", "like", "to", "but", "using")
            or preposition in _DONE
        ):
            stripped = rest[1:] if rest and rest[0].text in ("in", "with", "of", "from", "to", "but") else rest
            if is_look(stripped):
                extra += stripped
                continue
        if preposition in ("with", "that", "which", "who") and not own:
            return None
    if not own and not extra:
        return None
    if phrase.core[-1].is_a(Kind.PICTURE):
        return appearance_draft((), [*own, *extra])
    draft = appearance_draft(_described_name(phrase, items), [*own, *extra], described=True)
    return Draft(
        intent=draft.intent,
        named=draft.named,
        described=True,
        looks=draft.looks,
        paint=text_of(bare(demonstratives_off(items))),
    )


_DONE = word_set(
    """
    made painted covered dyed finished wrapped upholstered decorated rendered drawn coloured colored coated clad
    printed textured tiled crafted built
    """
)


def _described_name(phrase: NounPhrase, items: Words) -> Words:
    side = [Word(phrase.position.value)] if phrase.position else []
    determiners = [Word(text, frozenset({Kind.DETERMINER})) for text in phrase.determiners]
    return [*determiners, *side, *phrase.core]


def _thing_with_part(phrase: NounPhrase, items: Words) -> Draft | None:
    """Read "car with these sport rims": the part is repainted, the whole is context."""
    rest = phrase.post("with", "featuring", "having")
    if not rest:
        return None
    part = parse_noun_phrase(rest)
    head = part.head
    if head is None:
        return None
    paint = text_of(bare(demonstratives_off(items)))
    if head.kinds & {Kind.GARMENT} and region_of(rest) is not None and _is_someone(phrase.core):
        return Draft(intent=Intent.WEAR, made=tuple(rest), paint=paint)
    known = head.text in ALWAYS_PRESENT_PARTS or head.is_a(Kind.VEHICLE_PART) or head.is_a(Kind.FURNITURE_PART)
    pointed = bool(part.determiners) and part.determiners[0] in words.DEMONSTRATIVES
    if known or pointed or head.is_a(Kind.BODY_PART):
        looks = [word for word in part.core[:-1] if word.kinds & LOOKS]
        own = any(word.is_a(Kind.ADJECTIVE) for word in part.core) or pointed
        intent = Intent.APPEARANCE if looks and not own else Intent.REPLACE
        return Draft(
            intent=intent, named=tuple(rest), described=True, looks=tuple(looks), made=tuple(rest), paint=paint
        )
    return Draft(intent=Intent.ADD, made=tuple(rest), place=phrase.core, paint=paint)


def _is_someone(items: Words) -> bool:
    return any(word.is_a(Kind.PERSON) or word.text in people.WEAK_PERSON_WORDS for word in items)


def part_of(items: Words) -> Draft | None:
    """A part that the thing in the photo has already, to be repainted in place."""
    phrase = parse_noun_phrase(items)
    head = phrase.head
    if head is None or not (
        head.text in ALWAYS_PRESENT_PARTS
        or head.is_a(Kind.BODY_PART)
        or head.text.split(" ")[-1] in ALWAYS_PRESENT_PARTS
    ):
        return None
    return Draft(
        intent=Intent.REPLACE,
        named=tuple(items),
        described=True,
        made=tuple(items),
        paint=text_of(bare(demonstratives_off(items))),
    )


def _thing(phrase: NounPhrase, items: Words) -> Draft:
    """A thing as it should be: whatever of that name is in the picture is repainted."""
    paint = text_of(bare(demonstratives_off(items)))
    pronoun = phrase.head is None or phrase.head.text in words.PRONOUNS
    if pronoun or (phrase.head is not None and phrase.head.is_a(Kind.PICTURE)):
        return Draft(intent=Intent.DESCRIBE, paint=paint)
    if _is_someone(phrase.core):
        return Draft(intent=Intent.ADD, made=tuple(items), place=phrase.core, paint=paint)
    held = [word for word in items if word.text in people.HOLD_VERBS]
    if held:
        return add_draft(items, "", ())
    return Draft(intent=Intent.DESCRIBE, named=tuple(items), described=True, made=phrase.core, paint=paint)
