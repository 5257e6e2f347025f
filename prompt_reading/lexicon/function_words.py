"""The closed classes: single words that the grammar turns on, and sets of auxiliaries, conjunctions and pauses."""

from __future__ import annotations

from typing import Final

from prompt_reading.lexicon.listing import word_set

AND: Final = "and"
AS: Final = "as"
BE: Final = "be"
BUT: Final = "but"
FOR: Final = "for"
FROM: Final = "from"
IN: Final = "in"
INTO: Final = "into"
IT: Final = "it"
LIKE: Final = "like"
MORE: Final = "more"
NO: Final = "no"
NOT: Final = "not"
OF: Final = "of"
ON: Final = "on"
OUT: Final = "out"
SO: Final = "so"
THAN: Final = "than"
THE: Final = "the"
TO: Final = "to"
WHERE: Final = "where"
WITH: Final = "with"
MADE: Final = "made"
PUT: Final = "put"
WEARING: Final = "wearing"
POSSESSIVE: Final = "'s"
COMMA: Final = ","
STOP: Final = "."

PUNCTUATION: Final = frozenset(",.;:!?-")
SENTENCE_ENDS: Final = frozenset(".;!?:")
LOOSE_MARKS: Final = frozenset(",-.!?")
"""Punctuation that may stray into a look."""
CONJUNCTIONS: Final = word_set("and then but")
SEPARATORS: Final = PUNCTUATION | CONJUNCTIONS
"""What may stand between two clauses."""
FILLERS: Final = SEPARATORS | {"also", "please"}
SENTENCE_OPENERS: Final = word_set("then also please it it's the this i i'd there can could let let's")
"""Beside verbs: behind an abbreviation they show that its full stop ends a sentence."""
PHRASE_ENDS: Final = PUNCTUATION | {AND}
"""What is cut off behind a noun phrase."""
LIST_LINKS: Final = word_set(", and")
CONTRAST_MARKS: Final = word_set(", but")
PAUSES: Final = word_set(", . ? ! ; and with please")
"""What ends the phrase of a worn thing."""

CONTRACTIONS: Final = word_set("let's it's that's what's there's here's who's he's she's")
"""Words in "'s" that hold no possessive."""
FIRST_PERSONS: Final = word_set("i we you")
"""Who may really want something ("I really want")."""
DUMMY_SUBJECTS: Final = word_set("there it")
PROP_WORDS: Final = word_set("one ones")
"""What stands for a noun that was said before ("a red one")."""

POINTERS: Final = word_set("this these")
"""Words for what is shown beside the photograph ("replace the mug with this")."""

MODALS: Final = word_set("should must would could can shall will might may has have needs need ought wants")
PASSIVE_AUXILIARIES: Final = word_set("be is are was were been being become becomes gets get got to")
BEFORE_PARTICIPLE: Final = PASSIVE_AUXILIARIES | MODALS | {"not", "all", "now"}
PASSIVE_OPENINGS: Final = PASSIVE_AUXILIARIES | MODALS | {WITH}
QUESTION_OPENINGS: Final = word_set("what how would could should can will does do might if let with suppose why not")
BEFORE_STATE: Final = word_set("should would could must will to shall might may can need needs , now")
"""What may stand between a subject and its verb of being or having."""
BEING: Final = word_set("is are be been becomes become was were being turns turned goes went")
COPULAS: Final = BEING | {"look", "looks", "looked", "but"}
BECOMING: Final = word_set("become becomes")
TURNING: Final = word_set("turns turned")
HAVING: Final = word_set("have has had having get gets got contain contains")
RELATIVES: Final = word_set("that which who whose where standing sitting parked hanging lying")
"""What opens a clause about the noun before it."""
DEGREES: Final = word_set("more less very much far even way slightly bit a little lot")
MEASURES: Final = word_set(
    """
    times shades inch inches cm mm m meter meters metre metres foot feet ft percent pixels px degrees tones points sizes
    notches steps levels fold stops
    """
)
"""Behind a number they say how much: "two shades darker"."""
PERCENT: Final = "%"
