"""GroundingDINO: where is the thing that a phrase names."""

from __future__ import annotations

from pathlib import Path

from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

from models_store.tiny.dimensions import IMAGENET_MEAN, IMAGENET_STD
from models_store.tiny.vocabulary import BERT_SIZE, write_bert_tokenizer, write_json

_WIDTH = 32
_SIDE_PX = 256


def build_grounding_dino(folder: Path) -> None:
    """IDEA-Research/grounding-dino-base."""
    write_bert_tokenizer(folder)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 2],
            window_size=7,
            image_size=224,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=BERT_SIZE,
            hidden_size=_WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=_WIDTH,
        ),
        d_model=_WIDTH,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=_WIDTH,
        decoder_ffn_dim=_WIDTH,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=20,
        max_text_len=256,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "GroundingDinoImageProcessor",
            "processor_class": "GroundingDinoProcessor",
            "format": "coco_detection",
            "do_resize": True,
            "size": {"height": _SIDE_PX, "width": _SIDE_PX},
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": IMAGENET_MEAN,
            "image_std": IMAGENET_STD,
            "do_pad": True,
            "do_convert_annotations": True,
        },
    )
