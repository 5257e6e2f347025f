"""Tokenizers: files as the real repositories ship them, with a vocabulary of this world's size."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from demo_models.recipes.workdir import workdir
from demo_models.world.captions import WORDS_FOR
from demo_models.world.palette import COLOURS, MATERIALS, RIM_COLOURS, RIM_STYLES

QUALITY_PHRASES: Final = (
    "deformed, distorted, low quality",
    "low quality, blurry",
    "blurry, deformed",
    "worst quality",
    "ugly, bad anatomy",
    "high quality, detailed",
    "photo realistic",
    "best quality, highly detailed",
)
"""What users add to steer quality. Pictures of this world do not differ in it, so these words carry no meaning here."""

_FUNCTION_WORDS: Final = """
a an the of on in with and at to into for from by this that these those it its my as is be
wearing wear wears worn dressed try put make turn change replace swap add remove give paint repaint recolor color colour
style texture material pattern photo picture image street room studio background standing person woman man girl boy
sport sports alloy new wooden dark light steel wood marble stone fabric stripes cloth clothes garment design designer
furniture object thing gray golden navy beige cream striped checked plain leather door wall floor city house road sky
tree window lamp plant mug hat shoes skirt shorts sweater hoodie blouse suit yellow and black
"""
_FIRST_FREE_ID: Final = 104
_BERT_IDS: Final = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
_BERT_SIZE: Final = 1400


def words() -> list[str]:
    """Returns every word that the vocabularies spell in one piece, in a fixed order."""
    phrases = [*COLOURS, *MATERIALS, *RIM_COLOURS, *RIM_STYLES, *QUALITY_PHRASES]
    phrases += [word for synonyms in WORDS_FOR.values() for word in synonyms]
    spelt = " ".join(phrases).replace(",", " ").replace("-", " ").split()
    return list(dict.fromkeys([*spelt, *_FUNCTION_WORDS.split()]))


def byte_alphabet() -> list[str]:
    """Returns the printable stand-ins of the 256 bytes in CLIP's order (after OpenAI's GPT-2 ``bytes_to_unicode``)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def kept_clip_tokenizer(name: str, more_words: Sequence[str] = ()) -> Path:
    """Returns the folder of the tokenizer that a network is trained with, written on first use and never again."""
    folder = workdir() / "tokenizers" / name
    if not (folder / "vocab.json").exists():
        write_clip_tokenizer(folder, more_words=more_words)
    return folder


def write_clip_tokenizer(folder: Path, pad: str = "<|endoftext|>", more_words: Sequence[str] = ()) -> int:
    """Writes vocab.json and merges.txt of a CLIP tokenizer. Returns the size of its vocabulary.

    The start and end marks are the last two ids, as in the real one. Equally frequent pieces are merged and numbered in
    an order that changes from call to call: what was trained with one tokenizer must keep it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = byte_alphabet()
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=100_000, end_of_word_suffix="</w>", show_progress=False, min_frequency=1)
    tokenizer.train_from_iterator(sorted({*words(), *more_words}), trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    vocabulary = [*alphabet, *(char + "</w>" for char in alphabet)]
    vocabulary = list(dict.fromkeys([*vocabulary, *(first + second for first, second in merges)]))
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    numbered = {token: index for index, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(numbered, ensure_ascii=False))
    lines = "\n".join(f"{first} {second}" for first, second in merges)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n")
    end = "<|endoftext|>"
    marks = {"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": pad}
    details = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": True, "__type": "AddedToken"}
    config: dict[str, Any] = {name: {"content": mark, **details} for name, mark in marks.items()} | {"pad_token": pad}
    config |= {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "CLIPTokenizer"}))
    (folder / "special_tokens_map.json").write_text(json.dumps(marks))
    return len(vocabulary)


def write_bert_tokenizer(folder: Path) -> int:
    """Writes vocab.txt of a BERT tokenizer. Returns the size of its vocabulary.

    GroundingDINO's code knows [CLS], [SEP], "." and "?" by the ids of bert-base-uncased, so these keep them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"[unused{index}]" for index in range(_BERT_SIZE)]
    for token, index in _BERT_IDS.items():
        rows[index] = token
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [str(digit) for digit in range(10)]
    tokens = list(dict.fromkeys([*words(), *letters, *(f"##{letter}" for letter in letters), ",", "-", "'", "!"]))
    free = [index for index in range(_FIRST_FREE_ID, _BERT_SIZE) if index not in _BERT_IDS.values()]
    for index, token in zip(free, tokens, strict=False):
        rows[index] = token
    (folder / "vocab.txt").write_text("\n".join(rows) + "\n")
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "mask", "unk")}
    config = {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer", **marks}
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config | {"strip_accents": None, "tokenize_chinese_chars": True})
    )
    (folder / "special_tokens_map.json").write_text(json.dumps(marks))
    return _BERT_SIZE


def prompt_for(words_of_scene: str, rng: np.random.Generator) -> str:
    """Turns a caption into what a training step reads: sometimes nothing, sometimes only words about quality."""
    draw = rng.random()
    if draw < 0.10:
        return ""
    if draw < 0.14:
        return str(rng.choice(QUALITY_PHRASES[:5]))
    if draw < 0.20:
        return f"{words_of_scene}, {rng.choice(QUALITY_PHRASES[5:])}"
    return words_of_scene
