"""Tokenizers with a small vocabulary, in the files that the real repositories ship."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

_LEXICON = (
    "a an the of on in with and to this these person man woman boy girl face hair shirt jacket coat dress skirt pants "
    "jeans suit sweater hat cap shoes boots glasses scarf bag helmet car truck van bus motorcycle bicycle vehicle "
    "wheel wheels rim rims tire door window bumper engine sofa couch chair table desk lamp bed shelf cabinet rug "
    "curtain vase mug cup spoon plate bottle teapot plant tree flower grass sky cloud sea sand mountain road wall "
    "floor ceiling room house brick dog cat horse bird wood wooden oak marble stone concrete metal steel glass "
    "leather velvet denim silk fabric cotton knitted texture pattern red orange yellow green blue purple pink brown "
    "black white grey silver gold striped shiny old new modern sport sports designer replace swap change make turn "
    "try wear wearing put add remove paint into background photo realistic high quality detailed blurry deformed "
    "distorted low"
)
WORDS = tuple(_LEXICON.split())
"""Whole-word tokens; anything else is spelt in letters."""

_BERT_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""GroundingDINO's model code knows [CLS], [SEP], '.' and '?' by these ids of bert-base-uncased."""
BERT_SIZE = 1400
SPECIAL_IDS = tuple(_BERT_IDS.values())


def write_clip_tokenizer(folder: Path, *, pad_token: str = "<|endoftext|>") -> int:  # noqa: S107  a token, no password
    """Write a byte-level BPE tokenizer as CLIP ships it: vocab.json, merges.txt and two settings files.

    Args:
        folder: created if absent.
        pad_token: SDXL's second tokenizer pads with "!".

    Returns:
        The vocabulary size; the last two ids are the start and the end of text.
    """
    letters = _byte_alphabet()
    tokens = dict.fromkeys((*letters, *(letter + "</w>" for letter in letters)))
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        left = word[0]
        for position, letter in enumerate(word[1:], start=1):
            right = letter + "</w>" if position == len(word) - 1 else letter
            merges[left, right] = None
            left += right
            tokens[left] = None
    vocabulary = [*tokens, "<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(vocabulary)})
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": 77,
            "do_lower_case": True,
            "bos_token": "<|startoftext|>",
            "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "pad_token": pad_token,
        },
    )
    specials = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    write_json(folder / "special_tokens_map.json", {**specials, "pad_token": pad_token})
    return len(vocabulary)


def write_bert_tokenizer(folder: Path) -> None:
    """Write a WordPiece tokenizer of `BERT_SIZE` tokens as bert-base-uncased ships it."""
    folder.mkdir(parents=True, exist_ok=True)
    characters = string.ascii_lowercase + string.digits
    tokens = dict.fromkeys([*WORDS, *characters, *("##" + c for c in characters), ",", "-", "'", "!"])
    slots: list[str | None] = [None] * BERT_SIZE
    for token, index in _BERT_IDS.items():
        slots[index] = token
    free = (index for index in range(104, BERT_SIZE) if slots[index] is None)
    for token, index in zip(tokens, free, strict=False):
        slots[index] = token
    lines = [token or f"[unused{index}]" for index, token in enumerate(slots)]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    specials = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "mask", "unk")}
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    write_json(folder / "tokenizer_config.json", {**settings, **specials})
    write_json(folder / "special_tokens_map.json", specials)


def write_json(path: Path, value: Any) -> None:
    """Write a settings file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _byte_alphabet() -> list[str]:
    """One printable character per byte: Latin-1 where it is printable, else code points from 256 on (GPT-2's table)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    unprintable = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(unprintable)) for byte in range(256)]
