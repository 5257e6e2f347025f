"""Remarks beside an edit: what may not change, what is excepted, and what is not wanted."""

from __future__ import annotations

from typing import Final

from prompt_reading.lexicon import verbs
from prompt_reading.lexicon.listing import phrase_list, word_set

# What may not change
NEGATORS: Final = (
    "under no circumstances, under no circumstance, in no way, by no means, taking care not to, take care not to, "
    "being careful not to, careful not to, "
    "don't, do not, never, not, without, avoid, refrain from, don't you, do not ever, don't ever, you don't, you "
    "must not, you mustn't, you should not, you shouldn't, you can't, you cannot, you may not, must not, mustn't, "
    "should not, shouldn't, can't, cannot, i don't want you to, i do not want you to, i don't want to, i do not "
    "want to, we don't want to, don't want to, be careful not to, make sure not to, be sure not to, try not to, "
    "make sure you don't, make sure to not, not to, there is no need to, no need to, don't try to, without "
    "accidentally, i'd rather not, i would rather not, rather than, instead of"
)
"""Before a verb of `FORBIDDEN_FRAMES` they forbid what it does to its object."""
BEFORE_GERUNDS: Final = frozenset(
    phrase_list("not, without, avoid, refrain from, rather than, instead of, without accidentally")
)
"""Of `NEGATORS`, those that take a verb in -ing."""
FORBIDDEN_FRAMES: Final = (
    verbs.CHANGE,
    verbs.REPLACE,
    verbs.SUBSTITUTE,
    verbs.MAKE,
    verbs.PAINT,
    verbs.COVER,
    verbs.REMOVE,
    verbs.ADJUST,
    verbs.DRESS,
)
UNWANTED_FRAMES: Final = (verbs.ADD,)
"""What these bring in is not wanted where they are forbidden."""
OTHER_CHANGES: Final = phrase_list(
    "touch, affect, disturb, mess with, mess up, tamper with, meddle with, interfere with, impact, influence, ruin, "
    "distort, overwrite, override, do anything to, make changes to, make any changes to, make any change to, make a "
    "change to, fiddle with, play with, hurt, harm, spoil, obscure, deform, warp, redraw, regenerate, re-render, "
    "tweak, go near, redden"
)
"""Verbs of changing that no edit is asked for with."""
FORBIDDING: Final = (
    "no changes to, no change to, no change in, no edits to, no modifications to, with no changes to, without any "
    "changes to, without changes to, without any change to, make no changes to, make no change to, do nothing to, "
    "stay away from, keep away from, keep off, hands off, steer clear of, stay clear of, nothing on, nothing about"
)
"""They forbid any change of what follows."""
KEEPING: Final = (
    "keep, keeping, keeps, preserve, preserving, retain, retaining, maintain, maintaining, protect, protecting, "
    "conserve, spare, sparing, be careful with, respect, hold on to, hang on to, freeze, lock, leave alone, leave "
    "untouched, leave unchanged, leave as is"
)
AMBIGUOUS_KEEPING: Final = word_set("respect freeze lock spare protect keeps")
"""They keep a thing only where a clause begins and the words point at the thing."""
LEAVING: Final = word_set("leave leaving let have")
"""They keep a thing that one of `UNCHANGED` follows."""
BARE_LEAVING: Final = word_set("leave leaving")
"""They keep a thing of the image where nothing follows."""
UNCHANGED: Final = (
    "visible, in view, showing, "
    "alone, untouched, unchanged, unaltered, unmodified, unedited, unaffected, intact, as is, as it is, as they "
    "are, as he is, as she is, as it was, as they were, as-is, the way it is, the way they are, the way she is, the "
    "way he is, how it is, how they are, like it is, like they are, the same, exactly the same, exactly as, just "
    "as, out of it, out of this, identical, in peace, where it is, where they are, as before, like before"
)
UNTOUCHED_BE: Final = "be"
"""The same behind "let", where nothing follows."""
STAYING: Final = (
    "stay, stays, staying, remain, remains, remaining, is to stay, are to stay, is to remain, are to remain, be "
    "kept, be preserved, be left, is off limits, are off limits, off limits, is fine, are fine, is ok, are ok, is "
    "okay, are okay, is perfect, are perfect, is to be kept, are to be kept, be excluded, be protected"
)
"""Behind the name of a thing they say that it does not change."""
FINAL_STAYING: Final = (
    "kept, preserved, untouched, unchanged, intact, left alone, left as is, excluded, excepted, unaltered, "
    "unaffected, as is, exactly as is, not included, the same"
)
"""The same, where the clause ends with them."""
BEFORE_STAYING: Final = word_set(
    "must should shall will can has have had needs need to ought all also would both just simply always definitely"
)
NEGATED_MODALS: Final = (
    "should not, shouldn't, must not, mustn't, may not, can't, cannot, can not, is not to, are not to, isn't to, "
    "aren't to, will not, won't, need not, needn't, doesn't need to, don't need to, does not need to, do not need "
    "to, doesn't have to, don't have to, ought not to, is not supposed to, are not supposed to, isn't supposed to, "
    "aren't supposed to, shall not, should never, must never, is not allowed to, are not allowed to, isn't allowed "
    "to, does not, doesn't, do not, don't, should no longer"
)
"""Behind the name of a thing they forbid what follows."""
FACTS: Final = "does not, doesn't, do not, don't, is not, isn't, are not, aren't"
ONLY_WITH_CHANGES: Final = frozenset(phrase_list(FACTS))
"""They forbid only changes; else they state a fact."""
BEFORE_REFUSED: Final = word_set("be become get look turn appear be have any being")
APPEARING: Final = word_set("there visible seen here shown present appear exist show gone")
"""What is not to do so is to be removed."""
DREADS: Final = "i don't want, i do not want, we don't want, don't let, do not let, i'd hate, i wouldn't want"
"""Before a thing and a change of it."""

# What is excepted
EXCEPTIONS: Final = (
    "except for, except, excepting, excluding, apart from, aside from, other than, besides, with the exception of, "
    "with exception of, barring, not including, save for, not counting, but leave out, leaving out"
)
EXCEPTIVE_BUT: Final = word_set("everything all anything everyone everybody every")
"""Behind them "but" makes an exception."""
CONTRASTS: Final = (
    "but not, and not, but never, never, though not, just not, not, but certainly not, but definitely not"
)
WHOLE_SCENE: Final = (
    "everything else, everything, anything else, all else, all the rest, the rest of the image, the rest of the "
    "photo, the rest of the picture, the rest of the scene, the rest, all of it, the entire scene, the whole scene, "
    "the whole image, the whole photo, the whole picture, the entire image, the entire photo, the entire picture, "
    "everything around, everything around it, all, all things, every thing"
)
"""All of the image, where something is excepted."""
EVERYTHING: Final = "everything"
FOCUS: Final = word_set("only solely merely exclusively")
"""They say that nothing else changes, which holds anyway."""
ONLY_BUT: Final = ("nothing", "but")

# What is not wanted
UNWANTED: Final = (
    "no more, no, without any, without, with no, with zero, zero, there should be no, there shouldn't be any, there "
    "should not be any, there must be no, there must not be any, i don't want any, i do not want any, we don't want "
    "any, i don't want to see any, don't want any, free of, free from, devoid of, avoid, avoid any, absolutely no, "
    "definitely no, not any, nor any, nor, have no, show no, i want no"
)
"""Beside an edit they name what must not appear."""
NOBODY: Final = "no one, no-one, nobody, noone, with no one, with nobody"
"""Beside an edit they refuse people."""
DISLIKES: Final = (
    "i don't want to see, i do not want to see, i don't want, i do not want, we don't want, i don't need, we don't "
    "need, don't show, do not show, don't include, do not include, there shouldn't be a, there should not be a"
)
"""Before what is not pointed at they do the same; "I don't want the bins" asks for an edit."""
IDLE_NOUNS: Final = word_set(
    "trace doubt problem problems question hesitation delay exception need effort fuss mistake change changes edits"
)
"""Nothing that could appear."""

# Names
UNPROTECTABLE: Final = word_set(
    """
    pose poses lighting shape shapes size proportions position positions composition perspective angle layout identity
    expression mood atmosphere quality resolution details detail structure rest else same way place look framing focus
    contrast brightness exposure scale orientation geometry aspect ratio length outline silhouette form format image
    photo picture scene shot likeness sharpness realism change changes edits crop view viewpoint camera anything nothing
    everything something mind
    """
)
"""Nouns for what has no place of its own in the image."""
PARTS_OF_SOMETHING: Final = word_set("part parts side sides area areas region regions bit bits")
"""Nouns that stand for their owner: "any part of the car"."""
REDUNDANT: Final = word_set("same original existing current exact very whole entire actual present only")
"""Adjectives that point at what is there already."""
ANAPHORS: Final = word_set("it its it's them they one")
"""They stand for what was named before."""
ALTERNATION: Final = word_set("and or nor &")
"""Between several things that are kept or refused."""
SUBORDINATORS: Final = word_set("while whilst but though although whereas and then so however yet also please")
"""What may stand before a remark."""
COMPARING: Final = word_set("as how way like where that")
"""Before "it is" they make no statement."""
TOO: Final = word_set("too very so overly any more much that")
"""Degrees that are no part of a refused look."""
BEFORE_OBJECT: Final = word_set("any all of over on at anything up")
"""What may stand between a forbidden verb and its object."""
DEFINITE: Final = word_set("the this that these those my your his her its our their said")
"""They point at a thing of the image."""
