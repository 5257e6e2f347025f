"""CLIP: text encoders, image encoders, and the two-tower model that classifies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from models_store.tiny.dimensions import CLIP_PREPROCESSOR, CROSS_DIM
from models_store.tiny.saving import randomize
from models_store.tiny.vocabulary import write_clip_tokenizer, write_json

OPINION = 0.2
"""Of the common direction's length: how far embeddings differ."""


def text_config(vocabulary_size: int, *, hidden: int = CROSS_DIM, projection: int | None = None) -> Any:
    """A two-layer text encoder; the last two ids are start and end of text, as in the real vocabulary."""
    return CLIPTextConfig(
        vocab_size=vocabulary_size,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=projection or hidden,
        bos_token_id=vocabulary_size - 2,
        eos_token_id=vocabulary_size - 1,
        pad_token_id=vocabulary_size - 1,
    )


def vision_config(*, hidden: int = 32, patch_px: int = 32, projection: int = 32) -> Any:
    """A two-layer vision transformer on 224 px images."""
    return CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=patch_px,
        projection_dim=projection,
    )


def build_clip(folder: Path) -> None:
    """openai/clip-vit-base-patch32."""
    size = write_clip_tokenizer(folder)
    config = CLIPConfig(
        text_config=text_config(size).to_dict(), vision_config=vision_config().to_dict(), projection_dim=32
    )
    model = CLIPModel(config)
    randomize(model, gain=1.0)
    _make_undecided(model)
    model.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", CLIP_PREPROCESSOR)


def _make_undecided(model: Any) -> None:
    """Give all embeddings one common direction, so that every class gets about its fair share of the probability.

    At CLIP's temperature of 0.01 random embeddings are always certain, of anything. A model that knows nothing must
    not overrule the router's words; what is left of the differences still depends on the words and the pixels.
    """
    for norm in (model.text_model.final_layer_norm, model.vision_model.post_layernorm):
        norm.weight.data.mul_(OPINION)
        norm.bias.data.fill_(1.0)
