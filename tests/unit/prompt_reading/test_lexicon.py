"""The data behind the grammar: inflections, tagging and CLIP's classes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from composition.decision import BodyRegion, ReferenceKind
from composition.routing.prototypes import OTHER, PROMPT_PROTOTYPES, REFERENCE_PROTOTYPES, STRUCTURAL, TEMPERATURE
from prompt_reading.grammar.vocabulary import REGIONS, Kind, normalise, tag, tokenise
from prompt_reading.lexicon import appearance, verbs
from prompt_reading.lexicon.inflection import is_plural, noun_forms, plural, verb_forms

GRAMMAR = Path(__file__).parents[3] / "prompt_reading" / "grammar"


@pytest.mark.parametrize(
    ("singular", "several"),
    [
        ("car", "cars"),
        ("bus", "buses"),
        ("bench", "benches"),
        ("shelf", "shelves"),
        ("bookshelf", "bookshelves"),
        ("lorry", "lorries"),
        ("tram way", "tram ways"),
        ("scarf", "scarves"),
        ("sofa bed", "sofa beds"),
    ],
)
def test_nouns_have_their_plurals(singular, several):
    assert plural(singular) == several
    assert is_plural(several)
    assert not is_plural(singular)


@pytest.mark.parametrize("noun", ["jeans", "sunglasses", "glass", "bus", "dress", "grass", "moss", "cactus", "chess"])
def test_some_nouns_in_s_are_one_thing(noun):
    assert not is_plural(noun)


def test_nouns_that_are_always_plural_have_one_form():
    assert noun_forms("trousers") == ("trousers",)
    assert noun_forms("coat") == ("coat", "coats")


def test_verbs_have_their_forms():
    assert verb_forms("replace", None, doubles=False) == ("replace", "replaces", "replaced", "replacing")
    assert verb_forms("swap out", None, doubles=True) == ("swap out", "swaps out", "swapped out", "swapping out")
    assert verb_forms("dry", None, doubles=False) == ("dry", "dries", "dried", "drying")
    taken = verb_forms("take away", verbs.IRREGULAR_FORMS["take"], doubles=False)
    assert taken == ("take away", "takes away", "took away", "taken away", "taking away")


def test_the_longest_phrase_is_one_word():
    assert [word.text for word in tag(tokenise("a navy blue sofa bed in front of the ferris wheel"))] == [
        "a",
        "navy blue",
        "sofa bed",
        "in front of",
        "the",
        "ferris wheel",
    ]


def test_tokens_are_words_possessives_colours_and_punctuation():
    text = normalise("Make the  man’s “T-shirt” #FF8800, pls!")
    assert tokenise(text) == ["make", "the", "man", "'s", "t-shirt", "#ff8800", ",", "please", "!"]


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("#0f0", Kind.COLOUR),
        ("mint-coloured", Kind.COLOUR),
        ("wood-effect", Kind.MATERIAL),
        ("anime-style", Kind.STYLE),
    ],
)
def test_compounds_with_a_hyphen_have_the_kind_of_their_ending(token, kind):
    (word,) = tag([token])
    assert kind in word.kinds


def test_every_region_has_garments_in_both_numbers():
    assert set(REGIONS.values()) == set(BodyRegion)
    assert REGIONS["shirt"] is REGIONS["shirts"] is BodyRegion.UPPER
    assert "trouserses" not in REGIONS


def test_colours_that_may_be_things_are_listed_as_colours():
    listed = {colour.strip() for colour in appearance.COLOURS.split(",")}
    assert listed >= appearance.AMBIGUOUS_COLOURS


def test_no_verb_belongs_to_two_frames():
    bases = [base for listed in verbs.VERBS.values() for base in listed]
    assert sorted(bases) == sorted(set(bases))


def test_every_ambiguous_verb_is_a_verb():
    bases = {base for listed in verbs.VERBS.values() for base in listed}
    assert bases >= verbs.AMBIGUOUS_VERBS


def test_clip_has_texts_for_every_class():
    assert set(REFERENCE_PROTOTYPES) == set(ReferenceKind)
    assert set(PROMPT_PROTOTYPES) == {STRUCTURAL, OTHER}
    texts = [text for group in (*REFERENCE_PROTOTYPES.values(), *PROMPT_PROTOTYPES.values()) for text in group]
    assert len(texts) == len(set(texts))
    assert 0.0 < TEMPERATURE <= 1.0


def words_in_code(path: Path) -> set[str]:
    """The text constants of a module that hold letters, without docstrings, values of enums and names of codecs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {"NFKC", "describe"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value.value)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "StrEnum" for base in node.bases):
            skipped |= {item.value.value for item in node.body if isinstance(item, ast.Assign)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
            skipped.add(node.args[0].value)
    constants = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in constants - skipped if any(c.isalpha() for c in text)}


@pytest.mark.parametrize("path", sorted(GRAMMAR.glob("*.py")), ids=lambda path: path.name)
def test_the_grammar_holds_no_words_of_its_own(path):
    assert words_in_code(path) - {"'s", " 's", " to "} == set()
