import pytest
from hypothesis import given
from hypothesis import strategies as st

from composition.errors import InvalidInput
from runners.detector.phrases import phrase_spans, split_phrases, to_query

CLS, SEP, STOP, PAD = 101, 102, 1012, 0
SEPARATORS = frozenset({CLS, SEP, STOP, PAD})


def test_a_phrase_is_lower_cased_and_ends_with_a_full_stop():
    assert to_query(split_phrases("  The Red   CAR ")) == "the red car ."


def test_several_phrases_are_separated_by_full_stops():
    assert to_query(split_phrases("shirt . t-shirt . Jacket.")) == "shirt . t-shirt . jacket ."


def test_a_phrase_that_is_named_twice_is_asked_once():
    assert split_phrases("car. Car . truck") == ("car", "truck")


@pytest.mark.parametrize("text", ["", "   ", " . ", "?!."])
def test_a_query_without_a_word_is_refused(text):
    with pytest.raises(InvalidInput):
        split_phrases(text)


def test_spans_are_the_token_runs_between_separators():
    assert phrase_spans([CLS, 7, STOP, 8, 9, STOP, SEP, PAD], SEPARATORS) == [(1, 2), (3, 5)]


def test_a_span_that_runs_to_the_end_is_closed():
    assert phrase_spans([CLS, 7, STOP, 8, 9], SEPARATORS) == [(1, 2), (3, 5)]


@given(st.lists(st.lists(st.integers(2000, 3000), min_size=1, max_size=4), min_size=1, max_size=6))
def test_every_phrase_gets_its_own_span_in_order(phrases):
    tokens = [CLS]
    for phrase in phrases:
        tokens += [*phrase, STOP]
    tokens += [SEP, PAD]

    assert [tokens[start:end] for start, end in phrase_spans(tokens, SEPARATORS)] == phrases


@given(st.text(max_size=80))
def test_any_text_is_split_or_refused(text):
    try:
        phrases = split_phrases(text)
    except InvalidInput:
        return
    assert to_query(phrases).count(" .") >= len(phrases)
    assert all(phrase == phrase.lower() for phrase in phrases)
