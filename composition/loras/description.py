"""What a safetensors file is, from the names and shapes of its tensors: header -> **facts**.

Layouts: kohya-ss/sd-scripts (lora_unet_..., lora_te_..., with alpha), diffusers (unet. and text_encoder., old and new
names), PEFT (base_model.model.), textual inversion (AUTOMATIC1111's emb_params, SDXL's clip_l and clip_g, diffusers'
one tensor named as its token).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from composition.errors import UnusableLora
from composition.lora import KeyLayout, LoraFacts, LoraKind
from composition.loras.header import Header

MAX_TRIGGER_WORDS: Final = 20
MAX_TRIGGER_CHARS: Final = 100
MAX_TAGS_CHARS: Final = 256 << 10
"""Of the table of a training's tags that is parsed: longer ones keep the process too long for a suggestion."""
MAX_RANK: Final = 1024
MAX_VECTORS: Final = 75
"""Of an embedding: as many as a prompt has places."""

_DOWN = re.compile(
    r"^(?P<module>.+?)[._](?:lora_down|lora_A|lora\.down|lora_linear_layer\.down|lora\.default\.down)"
    r"(?:\.default)?\.weight$"
)
_UP = re.compile(
    r"^(?P<module>.+?)[._](?:lora_up|lora_B|lora\.up|lora_linear_layer\.up|lora\.default\.up)(?:\.default)?\.weight$"
)
_ALPHA = re.compile(r"^(?P<module>.+)\.alpha$")

_REFUSED: Final[Mapping[str, str]] = {
    "dora_scale": "a DoRA, whose scale would be left out",
    "hada_w": "a LoHa (LyCORIS)",
    "lokr_w": "a LoKr (LyCORIS)",
    "oft_": "an OFT adapter",
    "on_input": "an IA3 adapter (LyCORIS)",
    "lora_mid": "a LoCon in Tucker form (lora_mid)",
    "bundle_emb": "a LoRA with embeddings bundled into it",
}
"""Adapters of other kinds, by a part of their tensors' names."""

_TRANSFORMERS: Final = ("transformer.", "lora_transformer_", "double_blocks", "joint_blocks", "lora_unet_single_blocks")
"""Of models that are no UNet: Flux, Stable Diffusion 3 and the like."""

_KOHYA_PARTS: Final[Mapping[str, str]] = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
}
_DOTTED_PARTS: Final = ("unet", "text_encoder", "text_encoder_2")
PEFT_PREFIX: Final = "base_model.model."

_CONTEXT_WIDTHS: Final[Mapping[int, str | None]] = {768: "sd15", 2048: "sdxl", 1024: None}
"""What cross-attention reads, of the published models; 1024 is Stable Diffusion 2, which no profile has."""
_TEXT_OF_A_UNET = re.compile(r"attn2[._](?:to_k|to_v|processor\.to_k|processor\.to_v)")


def describe(header: Header) -> LoraFacts:
    """Raises: UnusableLora: it is nothing that the service can use, with the reason."""
    names = header.tensors.keys()
    for part, what in _REFUSED.items():
        if any(part in name for name in names):
            raise UnusableLora(f"the file is {what}, which is not supported")
    if not any("lora" in name for name in names):
        return _embedding(header)
    if transformer := next((name for name in names for part in _TRANSFORMERS if part in name), None):
        raise UnusableLora(f"the LoRA is for a model that is not served: it has the layer {transformer[:100]}")
    return _lora(header)


def _lora(header: Header) -> LoraFacts:
    downs, ups, alphas = (_by_module(pattern, header) for pattern in (_DOWN, _UP, _ALPHA))
    unknown = len(header.tensors) - len(downs) - len(ups) - len(alphas)
    if unknown:
        name = next(n for n in header.tensors if not (_DOWN.match(n) or _UP.match(n) or _ALPHA.match(n)))
        raise UnusableLora(f"{unknown} of the file's tensors are of no known layout, {name[:100]} for one")
    if downs.keys() != ups.keys() or not alphas.keys() <= downs.keys():
        odd = min((downs.keys() ^ ups.keys()) | (alphas.keys() - downs.keys()))
        raise UnusableLora(f"layer {odd[:100]} lacks one of its two matrices")
    ranks = {module: _rank(module, downs[module], ups[module]) for module in downs}
    parts = {module: _part(module) for module in downs}
    layout = _layout(downs, header)
    return LoraFacts(
        kind=LoraKind.LORA,
        layout=layout,
        family=_family(downs, parts),
        ranks=tuple(sorted(set(ranks.values()))),
        parts=tuple(part for part in _DOTTED_PARTS if part in parts.values()),
        modules=len(downs),
        trigger_words=_trigger_words(header.metadata),
    )


def _by_module(pattern: re.Pattern[str], header: Header) -> dict[str, tuple[int, ...]]:
    """Shapes by layer, of the tensors whose names match; a layer that has two of them is refused."""
    found: dict[str, tuple[int, ...]] = {}
    for name, entry in header.tensors.items():
        if match := pattern.match(name):
            if match["module"] in found:
                raise UnusableLora(f"layer {match['module'][:100]} is there twice")
            found[match["module"]] = entry.shape
    return found


def _rank(module: str, down: tuple[int, ...], up: tuple[int, ...]) -> int:
    """Of the product up x down: (out, rank, ...) x (rank, in, ...)."""
    if len(down) not in (2, 4) or len(up) != len(down) or up[1] != down[0] or 0 in (*down, *up):
        raise UnusableLora(f"layer {module[:100]}: its matrices {list(down)} and {list(up)} cannot be multiplied")
    if len(down) == 4 and up[2:] != (1, 1):
        raise UnusableLora(f"layer {module[:100]}: its second convolution is {up[2]}x{up[3]}, not 1x1")
    if down[0] > MAX_RANK:
        raise UnusableLora(f"layer {module[:100]} has rank {down[0]}; at most {MAX_RANK} is taken")
    return down[0]


def _part(module: str) -> str:
    for prefix, part in _KOHYA_PARTS.items():
        if module.startswith(prefix):
            return part
    bare = module.removeprefix(PEFT_PREFIX)
    for part in reversed(_DOTTED_PARTS):
        if bare.startswith(f"{part}."):
            return part
    if bare != module:
        return "text_encoder" if bare.startswith("text_model.") else "unet"
    raise UnusableLora(f"layer {module[:100]} belongs to no model that is known here")


def _layout(modules: Iterable[str], header: Header) -> KeyLayout:
    kinds = set()
    for module in modules:
        if module.startswith(tuple(_KOHYA_PARTS)):
            kinds.add(KeyLayout.KOHYA)
        else:
            kinds.add(KeyLayout.PEFT if module.startswith(PEFT_PREFIX) else KeyLayout.DIFFUSERS)
    if len(kinds) > 1:
        raise UnusableLora(f"the file mixes the key layouts {' and '.join(sorted(kinds))}")
    (layout,) = kinds
    if layout is not KeyLayout.KOHYA and any(_ALPHA.match(name) for name in header.tensors):
        raise UnusableLora(f"the file has alphas, which a LoRA in {layout} layout cannot have")
    return layout


def _family(downs: Mapping[str, tuple[int, ...]], parts: Mapping[str, str]) -> str | None:
    """By what the layers that read the prompt take in; None where that is no published model's width."""
    if "text_encoder_2" in parts.values():
        return "sdxl"
    widths = {shape[1] for module, shape in downs.items() if _TEXT_OF_A_UNET.search(module)}
    if len(widths) > 1:
        raise UnusableLora(f"the LoRA reads prompts of {len(widths)} widths: {sorted(widths)}")
    for width in widths:
        if width in _CONTEXT_WIDTHS and _CONTEXT_WIDTHS[width] is None:
            raise UnusableLora(f"the LoRA is for Stable Diffusion 2 (prompts of width {width}), which is not served")
        return _CONTEXT_WIDTHS.get(width)
    return None


def _embedding(header: Header) -> LoraFacts:
    tensors = {name: entry.shape for name, entry in header.tensors.items() if entry.dtype not in ("I64", "I32")}
    family: str | None
    token: str | None = None
    if tensors.keys() == {"clip_l", "clip_g"}:
        family, shapes = "sdxl", tuple(tensors.values())
    elif len(tensors) == 1 and len(header.tensors) == 1:
        ((name, shape),) = tensors.items()
        if shape[-1:] == (1024,):
            raise UnusableLora("the embedding is for Stable Diffusion 2 (width 1024), which is not served")
        family, shapes = "sd15" if shape[-1:] == (768,) else None, (shape,)
        token = None if name == "emb_params" else name
    else:
        first = next(iter(header.tensors))
        raise UnusableLora(f"the file is neither a LoRA nor an embedding: it has {len(header.tensors)} tensors, "
                           f"{first[:100]} for one")  # fmt: skip
    vectors = {1 if len(shape) == 1 else shape[0] for shape in shapes}
    if not all(len(shape) in (1, 2) and 0 not in shape for shape in shapes) or len(vectors) != 1:
        raise UnusableLora(f"the embedding's vectors are shaped {[list(shape) for shape in shapes]}")
    (count,) = vectors
    if count > MAX_VECTORS:
        raise UnusableLora(f"the embedding has {count} vectors; a prompt has places for {MAX_VECTORS}")
    if token is not None and not (0 < len(token) <= MAX_TRIGGER_CHARS and " " not in token):
        raise UnusableLora("the embedding's token has spaces or is too long")
    parts = ("text_encoder", "text_encoder_2") if family == "sdxl" else ("text_encoder",)
    return LoraFacts(
        kind=LoraKind.EMBEDDING,
        layout=KeyLayout.EMBEDDING,
        family=family,
        ranks=(),
        parts=parts,
        modules=count,
        token=token,
    )


def _trigger_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """As the training said: modelspec.trigger_phrase (github.com/Stability-AI/ModelSpec), else kohya's folder names.

    A folder of training images is called "<repeats>_<words>"; its words are what was taught.
    """
    if phrase := metadata.get("modelspec.trigger_phrase", ""):
        return tidy_words(phrase.split(","))
    tags = metadata.get("ss_tag_frequency", "{}")
    if len(tags) > MAX_TAGS_CHARS:
        return ()
    try:
        folders = json.loads(tags)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(folders, dict):
        return ()
    return tidy_words(name.partition("_")[2] for name in folders if name.partition("_")[0].isdecimal())


def tidy_words(words: Iterable[str]) -> tuple[str, ...]:
    """Without blanks, repetitions and what cannot be shown; not more than are of use."""
    stripped = (" ".join(word.split())[:MAX_TRIGGER_CHARS] for word in words)
    return tuple(dict.fromkeys(word for word in stripped if word and word.isprintable()))[:MAX_TRIGGER_WORDS]
