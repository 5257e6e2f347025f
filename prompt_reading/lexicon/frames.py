"""What the grammar looks for around a verb or a noun: the links between phrases, and words with a part in one pattern.

A link is the small word that parts two phrases: "replace A *with* B", "put B *on* A".
"""

from __future__ import annotations

from typing import Final

from prompt_reading.lexicon.listing import phrase_list, word_set

# Replace, swap, substitute
EXCHANGE_LINKS: Final = word_set("with by for")
REPLACEMENT_LINKS: Final = word_set("with by")
RESULT_LINKS: Final = word_set("to into")
LATE_EXCHANGE_LINKS: Final = frozenset(phrase_list("to, into, in exchange for"))
"""Tried where none of the exchange links stands: "swap A in exchange for B"."""
SUBSTITUTION_LINKS: Final = frozenset(phrase_list("for, in place of"))
AMBIGUOUS_VERB_LINKS: Final = word_set("to for with into")
"""They make "change" and "switch" a verb before a bare noun."""
UNDERSTOOD_OBJECT_LINKS: Final = word_set("to into for")
"""Behind a verb whose thing is left to be understood ("change to red")."""
SWAPS: Final = (
    ("instead", "of"), ("rather", "than"), ("in", "place", "of"), ("in", "lieu", "of"), ("in", "exchange", "for"),
)  # fmt: skip
"""What stands between the new thing and the old one: "B instead of A"."""
RATHER_THAN: Final = ("than",)
"""The same behind `RATHER_WISH`."""
RATHER_WISH: Final = ("i'd", "rather")
SWAP_OPENINGS: Final = word_set("instead rather")
SWAP_VERBS: Final = word_set("put show add have use place give insert draw paint")
IN_ITS_PLACE: Final = frozenset(phrase_list("its place, their place, its spot, the same place, its stead, that spot"))
ITS_PLACE_NOUNS: Final = word_set("place stead spot")
"""Read "in the harp's place"."""
THERE_INSTEAD: Final = word_set("there instead")

# Change, make, paint, cover
CHANGE_LINKS: Final = word_set("in for with as")
PAINT_LINKS: Final = word_set("in with to into using like as")
PAINTED_ON_LINKS: Final = word_set("on onto over across")
COVER_LINKS: Final = word_set("in with by using to")
MADE_OF_LINKS: Final = word_set("out from of into in with")
OWNER_LINKS: Final = word_set("on of in")
"""Between a look and what has it, behind "replace the colour with"."""
SWAPPED_LOOK_LINKS: Final = word_set("for on of")
LOOK_OWNER_LINKS: Final = word_set("on for of in")
RESULT_CLAUSE: Final = word_set("that it they is are becomes become has have looks look will would be should")
"""What may stand between "so" and the result: "change it so that it looks old"."""
SEEMING: Final = word_set("be become look looks appear seem like being it's it they is are was")
MADE_TO_SEEM: Final = word_set("look looks appear seem be become resemble")
MADE_TO_HAVE: Final = word_set("have has had contain")
MADE_TO_GO: Final = word_set("disappear vanish invisible gone go")
BEFORE_PAINTED_LOOK: Final = word_set("look be like")
MADE_TO_REPLACE: Final = "replace"
"""Read "make B replace A"."""
SHAPE_NOUNS: Final = word_set("shape size form height length width")

# Give, add, apply, remove
GIVE_LINKS: Final = word_set("to with")
APPLY_LINKS: Final = word_set("to on onto over across for upon into as")
REMOVE_LINKS: Final = word_set("from off")
INSIDE_LINKS: Final = word_set("in into")
PART_LINKS: Final = word_set("on onto to in")
"""Where a part is put it replaces the old one."""
TOUCHING_LINKS: Final = word_set("to onto")
"""Said as "on" in a generation prompt."""
PUT_ON_LINKS: Final = word_set("on in")
NO_PLACE_FOR_THINGS: Final = word_set("of with from without for like as")
STANDING: Final = word_set("is are was were stands stood sits sat hangs used to be now currently standing")
"""Read "a globe where the radio is"."""
BEHIND_PARTICLE: Final = frozenset(("", *phrase_list("for, with, from, and"), ","))
"""What may follow the particle of "take the bin out"; otherwise it is a preposition."""
FROM_PARTICLES: Final = word_set("off away")
"""Behind a verb of removing they may mean "from"."""

# Clauses without a verb of editing
GONE: Final = word_set("gone removed deleted erased disappear vanish disappeared vanished away")
TOWARDS_GONE: Final = word_set(
    "to be all should would could must shall can will just totally completely go have has needs need"
)
TO_GO: Final = ("to", "go")
ABSENCE_OPENINGS: Final = word_set("without no")
EXCLUDING: Final = word_set("without minus")
COMPANY: Final = word_set("with without")
OBJECT_OPENINGS: Final = word_set("the my his her their our this these")
"""Behind an unknown first word they show that it is a verb."""
QUESTION_OBJECTS: Final = word_set("what how")
BEFORE_LOOK: Final = word_set(
    """
    now in made of out like be become all with look looking completely more from to as better nicer great good nice best
    amazing cool lovely awesome perfect fantastic prettier different being entirely painted done it it's is they're
    """
)
"""What may stand between "is" and the look itself."""

# Looks and noun phrases
PARTICIPLES: Final = word_set(
    """
    made painted covered dyed finished wrapped upholstered decorated rendered drawn done coloured colored carved
    built crafted coated woven knitted cast sewn clad lined printed textured tiled
    """
)
"""What may follow a noun to say what it is made of or how it was treated."""
PARTICIPLE_LINKS: Final = word_set("from of in with by out")
LOOK_WORDS: Final = word_set(
    """
    and or with in of a an the this that these those very more slightly really fully all like made from out it one
    ones look looking looks finished done completely bit little kind as same entirely to be
    """
)
"""Small words that may stand in a look."""
BEHIND_LOOK: Final = word_set("one ones instead version variant")
BEFORE_BARE_LOOK: Final = word_set("of in with to look looking like made from and be")
NOT_IN_PAINTED_LOOK: Final = word_set("one ones out ,")
LOOK_COMPARISONS: Final = word_set("in like")
"""Prepositions that do not end the noun of a look ("look like marble")."""
LOOK_POSTS: Final = word_set("in with of out from as like to but using")
"""What joins a look to its thing: "car *in* red"."""
BEFORE_POST_LOOK: Final = word_set("in with of from to but")
LIKENESS: Final = word_set("like as")
LOOK_PLACES: Final = word_set("on for onto")
LOOK_RECEIVERS: Final = word_set("on for to over onto across")
"""Behind a look they name the thing that gets it: "leather *for* the sofa"."""
CLAUSE_POSTS: Final = word_set("with that which who")
PART_POSTS: Final = word_set("with featuring having")
POSITION_LINKS: Final = word_set("on to in at")
NOT_PLACES: Final = word_set("of with from without for like as to by")
"""Prepositions that say nothing about where."""
HANGING_LINKS: Final = word_set("on above over behind near")
"""They make a photo a thing in the photo: "the picture *on* the wall"."""
COMPLEMENT_LINKS: Final = word_set("in with")
"""An "of" behind them stays in the phrase."""
WORN_LINKS: Final = word_set("in with")
NO_NOUNS: Final = word_set("and , 's very")
NO_PHRASE_ENDS: Final = word_set("'s and ,")
BETWEEN_ADJECTIVES: Final = word_set("very slightly more and ,")

GOING_ON: Final = word_set("with by for to into in")
"""Behind a remark between commas they take the clause up again."""

# Wearing
TRYING: Final = word_set("try tries trying tried")
DRESSED: Final = word_set("dressed")
CLAD: Final = word_set("clad clothed")
PUTTING: Final = word_set("put puts putting place")
DRESSING: Final = word_set("dress dresses dressing")
DRESS_LINKS: Final = word_set("in as like up with")
DRESS_SOMEONE_LINKS: Final = word_set("in as like")
BEFORE_OUTFIT: Final = word_set("in up as")
ONTO_SOMEONE: Final = word_set("on onto over to")
BEHIND_WEARER: Final = word_set("is are who 's to while of")
