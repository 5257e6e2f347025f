"""What a prompt asks for: prompt -> instructions -> drafts -> **target, generation prompt and flags** -> rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from composition.routing.descriptions import describe
from composition.routing.draft import Draft, Intent, is_pronoun, remove_draft, replace_draft
from composition.routing.frames import FRAMES
from composition.routing.instruction import DESCRIBE, Instruction, instruct, split_clauses, strip_courtesy
from composition.routing.language import looks_english
from composition.routing.lexicon import verbs
from composition.routing.lexicon.garments import CARRIER_OF_ACCESSORY
from composition.routing.lexicon.inflection import is_plural
from composition.routing.lexicon.listing import word_set
from composition.routing.phrases import colours_only, name_of, parse_noun_phrase, text_of
from composition.routing.vocabulary import STRUCTURAL, Kind, Word, normalise, tag, tokenise
from composition.routing.worn import region_of, trigger, wear_draft
from composition.types import BodyRegion, Target

Words = Sequence[Word]

_GONE: Final = word_set("gone removed deleted erased disappear vanish disappeared vanished away")
_TOWARDS_GONE: Final = word_set("to be all should would could must shall can will just totally completely go")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A prompt, understood.

    Attributes:
        words: the prompt's words with their kinds, for the rules.
        intent: what the edit does.
        target: where it does it.
        generation_prompt: what the diffusion model is told.
        negative_terms: what must not come back.
        recolour: only colour changes.
        says_worn: the prompt says that something is worn, tried on or put on.
        structural_target: what is repainted or painted is a vehicle, furniture or a part of them.
        english: the prompt looks English.
        edits: how many separate edits the prompt asks for; the first is read.
    """

    words: tuple[Word, ...]
    intent: Intent
    target: Target
    generation_prompt: str
    negative_terms: tuple[str, ...]
    recolour: bool
    says_worn: bool
    structural_target: bool
    english: bool
    edits: int


def read_prompt(prompt: str, target: str | None = None) -> Reading:
    """Read a prompt; any text gives a reading.

    Args:
        prompt: as the user wrote it.
        target: `config.target`, which overrides what the prompt names.
    """
    tokens = tokenise(normalise(prompt))
    everything = tag(tokens)
    override = tag(tokenise(normalise(target))) if target else []
    drafts = [draft for draft in _drafts(tokens) if draft is not None]
    draft = _merge(drafts) if drafts else Draft(intent=Intent.DESCRIBE)
    draft = _with_override(draft, override)
    return Reading(
        words=(*everything, *override),
        intent=draft.intent,
        target=_target(draft, override),
        generation_prompt=draft.paint or text_of(everything) or prompt.strip(),
        negative_terms=(text_of(draft.removed),) if draft.removed else (),
        recolour=draft.intent is Intent.APPEARANCE and colours_only(draft.looks),
        says_worn=trigger(everything) is not None,
        structural_target=_is_structural(draft.named) or _is_structural(draft.made),
        english=looks_english(tokens, everything),
        edits=max(1, len(drafts)),
    )


def _drafts(tokens: list[str]) -> list[Draft | None]:
    stripped = strip_courtesy(tokens)
    clauses = [stripped] if stripped[:1] in (["instead"], ["rather"]) else split_clauses(stripped)
    return [_swapped(clause) or _draft(instruct(clause)) for clause in clauses]


def _swapped(clause: list[str]) -> Draft | None:
    """Read "b instead of A", "instead of A, B", "B rather than A", "B in place of A"."""
    for phrase in (
        ("instead", "of"),
        ("rather", "than"),
        ("in", "place", "of"),
        ("in", "lieu", "of"),
        ("in", "exchange", "for"),
    ):
        length = len(phrase)
        for index in range(len(clause) - length):
            if tuple(clause[index : index + length]) != phrase:
                continue
            new, old = clause[:index], clause[index + length :]
            if not new:
                comma = next((i for i, token in enumerate(old) if token == ","), None)
                if comma is None:
                    verb = next(
                        (i for i in range(1, len(old)) if old[i] in ("put", "show", "add", "have", "use", "place")),
                        None,
                    )
                    if verb is None:
                        return None
                    comma = verb - 1
                    old, new = old[: comma + 1], old[comma + 1 :]
                else:
                    old, new = old[:comma], old[comma + 1 :]
            return _instead(new, old)
    return None


def _instead(new: list[str], old: list[str]) -> Draft:
    instruction = instruct(new)
    made = tag(instruction.arguments)
    named = tag(old)
    if instruction.frame in (verbs.MAKE, verbs.PAINT, verbs.CHANGE):
        draft = FRAMES[instruction.frame](instruction.verb, made)
        if draft.intent is Intent.APPEARANCE:
            return draft
    worn = wear_draft(made)
    return worn or replace_draft(named, made)


def _draft(instruction: Instruction) -> Draft | None:
    items = tag(instruction.arguments)
    if instruction.frame == verbs.KEEP or (not items and not instruction.arguments):
        return None
    if instruction.frame == DESCRIBE:
        if items and items[0].text in ("without", "no"):
            return remove_draft(items[2:] if items[1:2] and items[1].text == "more" else items[1:])
        if len(items) > 1 and items[-1].text in _GONE:
            return remove_draft([word for word in items[:-1] if word.text not in _TOWARDS_GONE])
        without = next((i for i in range(1, len(items)) if _excludes(items, i)), None)
        if without is not None and without + 1 < len(items):
            return remove_draft(items[without + 1 :])
        if items and items[0].text == "not":
            but = next((i for i in range(2, len(items)) if items[i].text == "but"), None)
            if but is not None and but + 1 < len(items):
                return replace_draft(items[1:but], items[but + 1 :])
        return wear_draft(items) or describe(items)
    if not items:
        return None
    return FRAMES[instruction.frame](instruction.verb, items)


def _excludes(items: Words, index: int) -> bool:
    """Whether "without", "minus" or "with no" stands here."""
    text = items[index].text
    return text in ("without", "minus") or (text == "no" and items[index - 1].text == "with")


def _merge(drafts: list[Draft]) -> Draft:
    """One draft of several clauses: "remove the mug and put a teapot there" replaces the mug."""
    first = drafts[0]
    for later in drafts[1:]:
        if first.intent is Intent.REMOVE and later.intent in (Intent.ADD, Intent.REPLACE) and later.made:
            if not later.place or is_pronoun(later.place) or (not later.named and later.intent is Intent.REPLACE):
                made = [word for word in later.made if word.text not in ("there", "instead")]
                return replace_draft(first.named, made)
        if first.intent is Intent.DESCRIBE and not later.named and first.named:
            return Draft(
                intent=later.intent, named=first.named, looks=later.looks, made=later.made,
                paint=f"{later.paint} {text_of(name_of(parse_noun_phrase(first.named)))}" if later.looks else later.paint,
                removed=later.removed or (name_of(parse_noun_phrase(first.named)) if later.intent is Intent.REMOVE else ()),
            )  # fmt: skip
        if first.intent is Intent.DESCRIBE and not first.named:
            return later
    return first


def _with_override(draft: Draft, override: list[Word]) -> Draft:
    """`config.target` names the thing that "it" and "one" stand for."""
    if not override or draft.named:
        return draft
    paint = draft.paint
    name = text_of(override)
    if draft.intent is Intent.APPEARANCE and name not in paint:
        paint = f"{paint} {name}"
    if draft.intent is Intent.REMOVE and not draft.removed:
        return Draft(intent=draft.intent, named=tuple(override), paint=paint, removed=tuple(override))
    if draft.intent is Intent.DESCRIBE and paint.endswith((" one", " ones")):
        paint = f"{paint.rpartition(' ')[0]} {name}"
    return Draft(
        intent=draft.intent, named=tuple(override), looks=draft.looks, made=draft.made, place=draft.place, paint=paint
    )


def _target(draft: Draft, override: list[Word]) -> Target:
    named = override or list(draft.named)
    if draft.intent is Intent.WEAR and not override:
        return _worn_target(draft)
    if not named:
        place = parse_noun_phrase(draft.place)
        return Target(
            place=text_of(name_of(place)) or None, position=place.position or parse_noun_phrase(draft.made).position
        )
    phrase = parse_noun_phrase(named)
    name = name_of(phrase, described=draft.described and not override)
    if any(word.is_a(Kind.BACKGROUND) for word in name):
        return Target(phrase="background", complement=True)
    region = region_of(name)
    new_region = region_of(draft.made)
    if region is not None and new_region is BodyRegion.FULL:
        region = new_region
    return Target(phrase=text_of(name) or None, region=region, plural=phrase.plural, position=phrase.position)


def _worn_target(draft: Draft) -> Target:
    """The part of the body that a garment covers, or what carries an accessory; unnamed things cover the whole body."""
    position = parse_noun_phrase(draft.wearer).position or parse_noun_phrase(draft.made).position
    region = region_of(draft.made)
    if region is not None:
        return Target(region=region, position=position)
    accessory = next((word.text for word in draft.made if word.is_a(Kind.ACCESSORY)), None)
    if accessory is None:
        return Target(region=BodyRegion.FULL, position=position)
    carrier = next((place for name, place in CARRIER_OF_ACCESSORY.items() if accessory.startswith(name)), None)
    return Target(phrase=carrier, place=None if carrier else "person", plural=is_plural(accessory), position=position)


def _is_structural(items: Words) -> bool:
    phrase = parse_noun_phrase(items)
    return any(word.kinds & STRUCTURAL for word in name_of(phrase)[-1:])
