"""LoRAs and embeddings of users: what is known of a file, and how a request uses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class LoraKind(StrEnum):
    """What a file holds: changes of the models' weights, or vectors for words that the text encoder does not know."""

    LORA = "lora"
    EMBEDDING = "embedding"


class KeyLayout(StrEnum):
    """Who named the tensors."""

    KOHYA = "kohya"
    DIFFUSERS = "diffusers"
    PEFT = "peft"
    EMBEDDING = "embedding"


FAMILY_NAMES: Final[Mapping[str, str]] = {"sd15": "Stable Diffusion 1.5", "sdxl": "Stable Diffusion XL"}
"""Families of models that the service has, in words."""


@dataclass(frozen=True, kw_only=True)
class LoraFacts:
    """What a file's header says.

    Attributes:
        family: the family of models that it was made for, a key of `FAMILY_NAMES`; None: its widths say nothing.
        ranks: of its matrices, ascending; empty for an embedding.
        parts: which models it changes: unet, text_encoder, text_encoder_2.
        modules: how many layers it changes; of an embedding, how many vectors it has.
        trigger_words: words that it listens to, as far as the file says.
        token: of an embedding: the word of the prompt that it stands for, where the file names one.
    """

    kind: LoraKind
    layout: KeyLayout
    family: str | None
    ranks: tuple[int, ...]
    parts: tuple[str, ...]
    modules: int
    trigger_words: tuple[str, ...] = ()
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class Lora:
    """One that is kept.

    Attributes:
        name: what requests call it.
        owner: whose it is; None: the operator's, for everybody.
        key: what its store knows the file by.
        sha256: of the file, in hexadecimal: what tells two files of one name apart.
        created_at: UTC seconds since the epoch.
    """

    name: str
    owner: str | None
    key: str
    sha256: str
    size_bytes: int
    created_at: float
    facts: LoraFacts


@dataclass(frozen=True, kw_only=True)
class LoraUse:
    """One that a request names.

    Attributes:
        path: its file on this machine.
        token: of an embedding: the word of the prompt that it stands for.
        modules: how many layers it changes, as far as anybody counted.
    """

    name: str
    weight: float
    path: str
    sha256: str
    kind: LoraKind = LoraKind.LORA
    token: str | None = None
    trigger_words: tuple[str, ...] = ()
    modules: int | None = None
