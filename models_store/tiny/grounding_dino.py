"""GroundingDINO: a small one that points at what stands out, a little differently for every word.

Random weights alone would report a box in every image, or in none. Here the backbone is random, and what follows is
wired so that the answer means something: its features, normalised over the image, say how much a place differs from
the rest; a word weighs these differences; a plain image has none, so nothing is found in it.

Every vision vector of `WIDTH` channels is laid out as: differences (signed), their magnitudes (from the encoder's feed
forward on), the preference for a feature level, silent channels, and a constant. The constant dominates the vector,
which makes each layer norm nearly linear and lets its gain and bias undo it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

from models_store.tiny.dimensions import IMAGENET_MEAN, IMAGENET_STD
from models_store.tiny.saving import randomize
from models_store.tiny.vocabulary import BERT_SIZE, SPECIAL_IDS, write_bert_tokenizer, write_json

WIDTH: Final = 32
_FEATURES = 8
_SIGNED = slice(0, _FEATURES)
_MAGNITUDE = slice(_FEATURES, 2 * _FEATURES)
_LEVEL = 2 * _FEATURES
_CONSTANT = WIDTH - 1
_SILENT = slice(_LEVEL + 1, _CONSTANT)

_CONSTANT_VALUE = 12.0
_LEVEL_PREFERENCE = (-6.0, -3.0, 1.5, 2.0)
"""Per feature level, finest first: things in photographs are rather large."""
_PLAIN_LOGIT = -2.6
"""The best logit in an image in which nothing differs: a score of 0.07, below any useful threshold."""
_SPECIAL_LOGIT = -12.0
"""[CLS], [SEP] and '.' name nothing."""
_MAGNITUDE_WEIGHT = 0.53
_SIGNED_SPREAD = 0.15
_SIDE_PX = 256
"""A fixed square, so that no padding meets the edge of a plain image and stands out."""
_BOX_GROWTH = 0.5
"""Added to the logit of a proposal's width and height."""


def build_grounding_dino(folder: Path) -> None:
    """IDEA-Research/grounding-dino-base."""
    write_bert_tokenizer(folder)
    model = GroundingDinoForObjectDetection(_config())
    with torch.no_grad():
        _wire_backbone(model.model)
        _wire_text(model.model)
        for layer in model.model.encoder.layers:
            _wire_encoder_layer(layer)
        _wire_decoder(model.model)
        _wire_boxes(model)
    model.save_pretrained(folder)
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


def _config() -> Any:
    return GroundingDinoConfig(
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
            hidden_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=WIDTH,
        ),
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=WIDTH,
        decoder_ffn_dim=WIDTH,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=20,
        max_text_len=256,
    )


def _wire_backbone(model: Any) -> None:
    """Random Swin features; window attention is silenced, as its padding would show at the image's edge."""
    swin = model.backbone.conv_encoder.model
    randomize(swin, gain=1.0)
    for name, module in swin.named_modules():
        if name.endswith(("attention.o_proj", "attention.output.dense")):
            _silence(module)
    for level, (projection, norm) in enumerate(model.input_proj_vision):
        weight = torch.zeros_like(projection.weight)
        centre = weight.shape[-1] // 2  # of a 3x3 filter only the middle: its border would see padding
        weight[_SIGNED, :, centre, centre] = torch.randn(_FEATURES, weight.shape[1])
        projection.weight.copy_(weight)
        projection.bias.zero_()
        norm.weight.zero_()
        norm.weight[_SIGNED] = 1.0  # one channel per group: each feature is standardised over the image
        norm.bias.zero_()
        norm.bias[_LEVEL] = _LEVEL_PREFERENCE[level]
        norm.bias[_CONSTANT] = _CONSTANT_VALUE


def _wire_text(model: Any) -> None:
    """A word is its row of the embedding table, all the way: every row is a fixed point of the layer norms."""
    embeddings = model.text_backbone.embeddings
    embeddings.word_embeddings.weight.copy_(_word_vectors())
    embeddings.position_embeddings.weight.zero_()
    embeddings.token_type_embeddings.weight.zero_()
    for layer in model.text_backbone.encoder.layer:
        _silence(layer.attention.output.dense)
        _silence(layer.output.dense)
    _pass(model.text_projection)


def _word_vectors() -> torch.Tensor:
    """(vocabulary, WIDTH), each of mean 0 and variance 1: its meaning, and filling in the silent channels."""
    vectors = torch.zeros(BERT_SIZE, WIDTH)
    vectors[:, _SIGNED] = torch.randn(BERT_SIZE, _FEATURES) * _SIGNED_SPREAD
    vectors[:, _MAGNITUDE] = _MAGNITUDE_WEIGHT * (0.5 + torch.rand(BERT_SIZE, _FEATURES))
    vectors[:, _LEVEL] = 1.0
    level_share = sum(_LEVEL_PREFERENCE) / len(_LEVEL_PREFERENCE)
    vectors[:, _CONSTANT] = (_PLAIN_LOGIT - level_share) / _CONSTANT_VALUE
    vectors[list(SPECIAL_IDS)] = 0.0
    vectors[list(SPECIAL_IDS), _CONSTANT] = _SPECIAL_LOGIT / _CONSTANT_VALUE
    count = _SILENT.stop - _SILENT.start
    offset = -vectors.sum(dim=1, keepdim=True) / count
    room = WIDTH - vectors.square().sum(dim=1, keepdim=True)
    alternating = torch.tensor([1.0, -1.0]).repeat(count // 2)
    vectors[:, _SILENT] = offset + alternating * (room / count - offset.square()).sqrt()
    return vectors


def _wire_encoder_layer(layer: Any) -> None:
    fusion = layer.fusion_layer
    fusion.vision_param.zero_()
    fusion.text_param.zero_()
    enhancer = layer.text_enhancer_layer
    _silence(enhancer.self_attn.out_proj)
    _silence(enhancer.fc2)
    deformable = layer.deformable_layer
    _silence(deformable.self_attn.output_proj)
    for norm in (fusion.layer_norm_vision, deformable.self_attn_layer_norm, deformable.final_layer_norm):
        _undo(norm)
    # relu(x) + relu(-x) = |x|, from the signed channels into the magnitudes
    identity = torch.eye(_FEATURES)
    deformable.fc1.weight.zero_()
    deformable.fc1.bias.zero_()
    deformable.fc1.weight[_SIGNED, _SIGNED] = identity
    deformable.fc1.weight[_MAGNITUDE, _SIGNED] = -identity
    deformable.fc2.weight.zero_()
    deformable.fc2.bias.zero_()
    deformable.fc2.weight[_MAGNITUDE, _SIGNED] = identity
    deformable.fc2.weight[_MAGNITUDE, _MAGNITUDE] = identity


def _wire_decoder(model: Any) -> None:
    """A query starts empty and takes what the encoder has at its centre, averaged over the feature levels."""
    _pass(model.enc_output)
    _undo(model.enc_output_norm)
    model.query_position_embeddings.weight.zero_()
    model.query_position_embeddings.weight[:, _CONSTANT] = _CONSTANT_VALUE
    for index, layer in enumerate(model.decoder.layers):
        _silence(layer.self_attn.out_proj)
        _silence(layer.encoder_attn_text.out_proj)
        _silence(layer.fc2)
        attention = layer.encoder_attn
        _silence(attention.sampling_offsets)
        _silence(attention.attention_weights)
        _pass(attention.value_proj)
        _pass(attention.output_proj)
        attention.output_proj.weight[_CONSTANT].zero_()
        if index > 0:
            _silence(attention.output_proj)
        norms = (layer.self_attn_layer_norm, layer.encoder_attn_text_layer_norm, layer.encoder_attn_layer_norm)
        for norm in (*norms, layer.final_layer_norm):
            _undo(norm)
    _undo(model.decoder.layer_norm)


def _wire_boxes(model: Any) -> None:
    """Boxes are the proposals, somewhat larger, moved and stretched a little by what is at their centre."""
    heads = (model.model.encoder_output_bbox_embed, model.bbox_embed[0])
    for head, growth in zip(heads, (_BOX_GROWTH, 0.0), strict=True):
        randomize(head, gain=0.6)
        for layer in head.layers:
            layer.weight[:, _CONSTANT] = 0.0
            layer.bias.zero_()
        head.layers[-1].bias[2:] = growth


def _silence(linear: nn.Linear) -> None:
    linear.weight.zero_()
    linear.bias.zero_()


def _pass(linear: nn.Linear) -> None:
    nn.init.eye_(linear.weight)
    linear.bias.zero_()


def _undo(norm: nn.LayerNorm) -> None:
    """Gain and bias that give back a vector with the constant and little else; silent channels stay silent."""
    norm.weight.fill_(_CONSTANT_VALUE * math.sqrt(1 / WIDTH - 1 / WIDTH**2))
    norm.bias.fill_(_CONSTANT_VALUE / WIDTH)
    norm.weight[_SILENT] = 0.0
    norm.bias[_SILENT] = 0.0
