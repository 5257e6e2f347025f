"""Whether a prompt looks English: the models and this grammar were made for English."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_reading.grammar.instruction import verb_at
from prompt_reading.grammar.vocabulary import Word
from prompt_reading.lexicon import words


def looks_english(tokens: Sequence[str], tagged: Sequence[Word]) -> bool:
    """False when the letters are not Latin, or words of other languages outweigh English ones."""
    letters = [character for token in tokens for character in token if character.isalpha()]
    if not letters:
        return False
    if sum(character.isascii() for character in letters) < 0.8 * len(letters):
        return False
    foreign = sum(token in words.FOREIGN_WORDS and token not in words.ENGLISH_WORDS for token in tokens)
    english = sum(token in words.ENGLISH_WORDS for token in tokens) + sum(
        bool(word.kinds) and word.text not in words.FOREIGN_WORDS for word in tagged
    )
    english += sum(verb_at(tokens, index) is not None for index in range(min(1, len(tokens))))
    return not (foreign >= 1 and foreign > english)
