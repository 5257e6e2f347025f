"""What a prompt asks for: prompt -> instructions -> drafts -> **reading** -> rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from composition.decision import BodyRegion, Target
from composition.reading import Reading
from prompt_reading.grammar.clauses import Edit, read_clauses
from prompt_reading.grammar.draft import Draft, Intent
from prompt_reading.grammar.instruction import split_quality_tags
from prompt_reading.grammar.language import looks_english
from prompt_reading.grammar.looks import colours_only
from prompt_reading.grammar.markup import PlainText, strip_markup
from prompt_reading.grammar.phrases import Words, bare, name_of, parse_noun_phrase, text_of, written
from prompt_reading.grammar.remarks import Remarks, set_apart
from prompt_reading.grammar.triggers import structural_words, try_on_words
from prompt_reading.grammar.vocabulary import STRUCTURAL, Kind, Word, normalise, tag, tokenise
from prompt_reading.grammar.worn import region_of
from prompt_reading.keywords import find_keywords, is_built_in
from prompt_reading.lexicon import function_words, wordings, words
from prompt_reading.lexicon.function_words import AND, COMMA, POINTERS
from prompt_reading.lexicon.garments import CARRIER_OF_ACCESSORY
from prompt_reading.lexicon.inflection import is_plural
from prompt_reading.lexicon.remarks import ANAPHORS
from prompt_reading.lexicon.words import ENGLISH_WORDS, PRONOUNS


class GrammarPromptReader:
    """A `PromptReader` of English: a grammar over a lexicon, about 0.2 ms a prompt."""

    def read(self, prompt: str, *, target: str | None = None, keywords: Sequence[str] = ()) -> Reading:
        plain = strip_markup(prompt)
        tokens = tokenise(normalise(plain.text))
        override = tag(tokenise(normalise(target))) if target else []
        instruction, tags = split_quality_tags(tokens)
        remarks = set_apart(instruction)
        sentence = read_clauses(remarks.rest)
        first = replace(sentence.first, draft=_with_antecedent(sentence.first.draft, remarks))
        whole = _Prompt(
            plain=plain,
            prompt=prompt,
            tags=tags,
            remarks=remarks,
            keywords=keywords,
            english=looks_english(tokens, tag(tokens)),
        )
        reading = _reading(first, whole, override, said=remarks.rest)
        others = tuple(_reading(other, whole, [], said=other.tokens) for other in sentence.others)
        return replace(reading, others=others)

    def knows(self, keyword: str) -> bool:
        """Whether the lexicon has the keyword for the try-on or the structural rule already."""
        return is_built_in(keyword)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prompt:
    """What holds for every edit of a prompt."""

    prompt: str
    plain: PlainText
    tags: Sequence[str]
    remarks: Remarks
    keywords: Sequence[str]
    english: bool


def _reading(edit: Edit, whole: _Prompt, override: list[Word], *, said: Sequence[str]) -> Reading:
    """One edit of a prompt, whose words are `said`."""
    draft, asked = _with_override(edit.draft, override), tag(edit.tokens)
    everything = tag([*said, *(word for tag_ in whole.tags for word in (COMMA, *tag_.split()))])
    paint = _with_tags(draft.paint, whole.tags)
    return Reading(
        target=_target(draft, override, whole.remarks),
        generation_prompt=paint or text_of(everything) or whole.plain.text.strip() or whole.prompt,
        asked=written(edit.tokens),
        negative_terms=_negative_terms(draft, whole.remarks, whole.plain.refused),
        points=not POINTERS.isdisjoint(edit.tokens),
        vague=is_vague(tag(tokenise(draft.paint))),
        appearance_only=draft.intent is Intent.APPEARANCE,
        recolour=draft.intent is Intent.APPEARANCE and colours_only(draft.looks),
        inserts=draft.intent is Intent.ADD,
        removes=draft.intent is Intent.REMOVE,
        try_on_words=try_on_words(asked, target=override),
        structural_words=structural_words((*asked, *override)),
        structural_target=_is_structural(draft.named) or _is_structural(draft.made),
        keywords=find_keywords(written(edit.tokens), whole.keywords),
        english=whole.english,
        dropped=whole.plain.dropped,
    )


def is_vague(items: Words) -> bool:
    """Whether a generation prompt has no word in it that a picture could be made from."""
    return all(
        word.text in PRONOUNS | ENGLISH_WORDS or word.is_a(Kind.DETERMINER) or word.is_a(Kind.PREPOSITION)
        for word in items
    )


def _with_tags(paint: str, tags: Sequence[str]) -> str:
    return ", ".join((paint, *tags)) if paint else ""


def _with_override(draft: Draft, override: list[Word]) -> Draft:
    """`config.target` names the thing that "it" and "one" stand for."""
    if not override or draft.named:
        return draft
    paint = draft.paint
    name = text_of(bare(override))
    if draft.intent is Intent.APPEARANCE and name not in paint:
        paint = f"{paint} {name}"
    if draft.intent is Intent.REMOVE and not draft.removed:
        return Draft(intent=draft.intent, named=tuple(override), paint=paint, removed=tuple(override))
    if draft.intent is Intent.DESCRIBE and " " in paint and paint.rpartition(" ")[2] in function_words.PROP_WORDS:
        paint = f"{paint.rpartition(' ')[0]} {name}"
    return Draft(
        intent=draft.intent, named=tuple(override), looks=draft.looks, made=draft.made, place=draft.place, paint=paint
    )


def _with_antecedent(draft: Draft, remarks: Remarks) -> Draft:
    """Where the edit only says "it", that is what the remarks are about ("the car should not be red, make it blue")."""
    if draft.named or draft.made or not remarks.mentioned or ANAPHORS.isdisjoint(remarks.rest):
        return draft
    return _with_override(draft, list(remarks.mentioned[0]))


def _negative_terms(draft: Draft, remarks: Remarks, refused: Sequence[str]) -> tuple[str, ...]:
    removed = [text_of(draft.removed)] if draft.removed else []
    return tuple(dict.fromkeys([*removed, *(text_of(name) for name in remarks.refused), *refused]))


def _target(draft: Draft, override: list[Word], remarks: Remarks) -> Target:
    """Where the edit is done; what it is about itself is not protected from it."""
    target = _repainted(draft, override)
    about = {target.phrase, target.place}
    kept = tuple(dict.fromkeys(name for words_ in remarks.kept if (name := text_of(words_)) not in about))
    nothing_named = target.phrase is None and target.region is None and target.place is None
    if kept and nothing_named and remarks.everything_but:
        return Target(phrase=wordings.BACKGROUND, complement=True, protected=kept, rest=True)
    return replace(target, protected=kept)


def _repainted(draft: Draft, override: list[Word]) -> Target:
    named = override or list(draft.named)
    if draft.intent is Intent.WEAR and not override:
        return _worn_target(draft)
    if not named:
        place = parse_noun_phrase(draft.place)
        return Target(
            place=text_of([word for word in name_of(place) if word.text not in words.VERTICAL_POSITIONS]) or None,
            position=place.position or parse_noun_phrase(draft.made).position,
        )
    phrase = parse_noun_phrase(named)
    name = name_of(phrase, described=draft.described and not override)
    if any(word.is_a(Kind.BACKGROUND) for word in name):
        return Target(phrase=wordings.BACKGROUND, complement=True)
    region = region_of(name)
    new_region = region_of(draft.made)
    if region is not None and new_region is BodyRegion.FULL:
        region = new_region
    several = phrase.plural or any(word.text == AND for word in name)
    return Target(phrase=text_of(name) or None, region=region, plural=several, position=phrase.position)


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
    return Target(
        phrase=carrier, place=None if carrier else wordings.PERSON, plural=is_plural(accessory), position=position
    )


def _is_structural(items: Words) -> bool:
    phrase = parse_noun_phrase(items)
    return any(word.kinds & STRUCTURAL for word in name_of(phrase)[-1:])
