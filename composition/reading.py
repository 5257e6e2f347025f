"""What a prompt asks for, in the domain's own terms: prompt -> **reading** -> evidence, rules, decision.

Whoever implements `composition.ports.prompt_reader.PromptReader` makes it; nothing here says how a prompt is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from composition.decision import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A prompt, understood: its first edit, and the others that it asks for.

    Attributes:
        target: where the edit is done, and what it may not touch.
        generation_prompt: what the diffusion model is told; not empty unless the prompt is blank.
        asked: the words of the edit alone, without markup, refusals, what is protected and what is left out.
        negative_terms: what must not come back, and what the prompt refuses.
        points: the words point at something that is shown beside the photograph ("with this", "these boots").
        vague: the words name nothing to paint ("use this"); the reference image has to say it.
        appearance_only: colour, style, texture or material changes, nothing is replaced, added or removed.
        recolour: only colour changes.
        inserts: something is added that is not there.
        removes: something is taken away, and nothing comes in its place.
        try_on_words: words for wearing something or trying it on, and words for a human.
        structural_words: words for vehicles, furniture and their parts.
        structural_target: what is repainted or painted is a vehicle, furniture or a part of them.
        keywords: of the keywords that were asked for, those that the prompt has.
        english: the prompt looks English, which the models were trained on.
        others: separate edits behind the first, in order; they have no `others` of their own.
        dropped: markup of other tools that was left out of the prompt, as written.
    """

    target: Target
    generation_prompt: str
    asked: str = ""
    negative_terms: tuple[str, ...] = ()
    points: bool = False
    vague: bool = False
    appearance_only: bool = False
    recolour: bool = False
    inserts: bool = False
    removes: bool = False
    try_on_words: tuple[str, ...] = ()
    structural_words: tuple[str, ...] = ()
    structural_target: bool = False
    keywords: tuple[str, ...] = ()
    english: bool = True
    dropped: tuple[str, ...] = ()
    others: tuple[Reading, ...] = ()
