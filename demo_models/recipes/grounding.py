"""GroundingDINO: where is what these words name?

The stock loss detaches the boxes of the encoder's proposals, so from random weights they would never learn; here every
proposal is supervised. Two layer norms start small because scores are unscaled products of their outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import nms
from transformers import (
    BertConfig,
    BertTokenizer,
    ConvNextConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
)

from demo_models.recipes.box_losses import Targets, corners, dense_loss, matched_loss, overlap
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.recipes.vocabulary import write_bert_tokenizer
from demo_models.recipes.workdir import start_folder, workdir
from demo_models.world.captions import WORDS_FOR
from demo_models.world.scenes import LabelledBox

_SETTINGS: Final = Settings(minutes=60, batch=8, learning_rate=6e-4, weight_decay=1e-4, bf16=False)
_TEXT_LENGTH: Final = 48
_FEATURE_SIDES: Final = (32, 16, 8, 4)
_MEAN: Final = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_STD: Final = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
_NOT_IN_THIS_WORLD: Final = ("mug", "lamp", "hat", "cat", "phone", "plant", "shoes", "skirt", "bicycle", "bottle")
_NOTHING_THERE: Final = 0.45
"""Share of questions, among those with an absent noun, to which nothing is the right answer."""
_ALIKE: Final = (frozenset({"table", "chair", "sofa"}), frozenset({"t-shirt", "jacket", "dress"}))
"""Nouns that are taken for each other; when one is there, the others are asked for more often."""
_TIMES_AS_OFTEN: Final = 5.0
SCORE_THRESHOLD: Final = 0.3
_DUPLICATE: Final = 0.5
"""IoU above which a lesser box is dropped; this and the threshold are the service's defaults."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Query:
    """Phrases as GroundingDINO reads them: "car . wheel rims ." and where in the tokens each phrase stands."""

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, tokenizer: BertTokenizer, phrases: list[str]) -> "Query":
        """Encodes phrases."""
        ids, spans = [tokenizer.cls_token_id], []
        for phrase in phrases:
            pieces = tokenizer(phrase, add_special_tokens=False).input_ids
            spans.append((len(ids), len(ids) + len(pieces)))
            ids += [*pieces, tokenizer.convert_tokens_to_ids(".")]
        return cls(ids=(*ids, tokenizer.sep_token_id), spans=tuple(spans))


def config(vocabulary: int) -> GroundingDinoConfig:
    """Returns the small architecture: ConvNeXt instead of Swin, 64 channels, two layers each way."""
    return GroundingDinoConfig(
        backbone_config=ConvNextConfig(
            hidden_sizes=[24, 48, 96, 128], depths=[1, 1, 2, 1], out_features=["stage2", "stage3", "stage4"]
        ),
        text_config=BertConfig(
            vocab_size=vocabulary, hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=128
        ),
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=40,
        max_text_len=_TEXT_LENGTH,
        dropout=0.0,
        attention_dropout=0.0,
        fusion_dropout=0.0,
        fusion_droppath=0.0,
        text_enhancer_dropout=0.0,
    )


class GroundingTrainer(nn.Module):
    """The detector and its losses."""

    def __init__(self, vocabulary: int, start: Path | None = None) -> None:
        """Starts from earlier weights, or from random ones."""
        super().__init__()
        if start is not None:
            self.detector = GroundingDinoForObjectDetection.from_pretrained(start, dtype=torch.float32)
            return
        self.detector = GroundingDinoForObjectDetection(config(vocabulary))
        for norm in (self.detector.model.enc_output_norm, self.detector.model.decoder.layer_norm):
            nn.init.constant_(norm.weight, 0.2)

    def forward(
        self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor, targets: list[Targets]
    ) -> dict[str, Tensor]:
        """Returns the losses of a batch."""
        found = self.detect(pixel_values, input_ids, attention_mask)
        valid = functional_pad(attention_mask.bool(), _TEXT_LENGTH)
        boxes = found.enc_outputs_coord_logits.sigmoid()
        proposals = dense_loss(found.enc_outputs_class, boxes, targets, valid, _FEATURE_SIDES)
        queries = matched_loss(found.logits, found.pred_boxes, targets, valid)
        return {"loss": proposals + queries, "proposals": proposals, "queries": queries}

    def detect(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Returns the detector's output."""
        return self.detector(
            pixel_values=pixel_values,
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=torch.zeros_like(input_ids),
        )


def functional_pad(mask: Tensor, length: int) -> Tensor:
    """Returns a bool mask (B, T) padded with False to a length."""
    padded = torch.zeros(len(mask), length, dtype=torch.bool)
    padded[:, : mask.shape[1]] = mask
    return padded


def normalised(images: NDArray[np.uint8]) -> Tensor:
    """Returns RGB uint8 (N, H, W, 3) as float32 (N, 3, H, W), standardised as ImageNet models expect."""
    planes = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
    return (planes - _MEAN) / _STD


def padded_text(queries: list[Query]) -> tuple[Tensor, Tensor]:
    """Returns input ids and attention mask (B, T) of queries of different length."""
    longest = max(len(query.ids) for query in queries)
    ids = torch.zeros(len(queries), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, query in enumerate(queries):
        ids[row, : len(query.ids)] = torch.tensor(query.ids)
        mask[row, : len(query.ids)] = 1
    return ids, mask


@dataclass(frozen=True, kw_only=True)
class GroundingRecipe:
    """Trains GroundingDINO on scenes and phrases, present and absent."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "grounding-dino"
    settings: Settings = _SETTINGS

    def _tokenizer(self) -> BertTokenizer:
        folder = workdir() / "tokenizers" / "bert"
        if not (folder / "vocab.txt").exists():
            write_bert_tokenizer(folder)
        return BertTokenizer.from_pretrained(folder)

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return GroundingTrainer(len(self._tokenizer()), start_folder(self.name))

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws scenes, mirrors half of them, and asks each for some of what is there and some of what is not."""
        tokenizer = self._tokenizer()
        indices = rng.integers(0, len(self.scenes), self.settings.batch)
        images = self.scenes.take("images", indices).astype(np.float32)
        images *= rng.uniform(0.8, 1.15, (self.settings.batch, 1, 1, 3))
        queries, targets = [], []
        for row, index in enumerate(indices):
            mirrored = bool(rng.random() < 0.5)
            if mirrored:
                images[row] = images[row][:, ::-1]
            query, target = _question(tokenizer, self.scenes.boxes(int(index)), mirrored, rng)
            queries.append(query)
            targets.append(target)
        ids, mask = padded_text(queries)
        pixels = normalised(np.clip(images, 0, 255).astype(np.uint8))
        return {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask, "targets": targets}

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of objects found (score >= 0.3, IoU >= 0.5) and of absent nouns left alone, one phrase a query."""
        assert isinstance(module, GroundingTrainer)
        tokenizer, rng = self._tokenizer(), np.random.default_rng(0)
        found: dict[str, list[bool]] = {}
        silent = []
        for index in range(100):
            boxes = self.held_out.boxes(index)
            present = sorted({box.label for box in boxes})
            absent = str(rng.choice([label for label in WORDS_FOR if label not in present]))
            queries = [Query.of(tokenizer, [WORDS_FOR[label][0]]) for label in (*present, absent)]
            pixels = normalised(self.held_out.take("images", np.array([index])).astype(np.uint8))
            out = module.detect(pixels.expand(len(queries), -1, -1, -1), *padded_text(queries))
            for row, label in enumerate(present):
                truth = [as_share(box) for box in boxes if box.label == label]
                scores = _phrase_scores(out.logits[row], queries[row])
                found.setdefault(label, []).extend(_hits(scores, out.pred_boxes[row], torch.stack(truth)))
            silent.append(float(_phrase_scores(out.logits[-1], queries[-1]).max()) < SCORE_THRESHOLD)
        each = {f"found_{label}": float(np.mean(hits)) for label, hits in sorted(found.items())}
        overall = float(np.mean([hit for hits in found.values() for hit in hits]))
        return {"found": overall, "absent_silent": float(np.mean(silent)), **each}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes detector, tokenizer and image processor."""
        assert isinstance(module, GroundingTrainer)
        module.detector.save_pretrained(folder)
        write_bert_tokenizer(folder)
        GroundingDinoImageProcessorPil(size={"shortest_edge": 256, "longest_edge": 448}).save_pretrained(folder)


def as_share(box: LabelledBox, side_px: int = 256, mirrored: bool = False) -> Tensor:
    """Returns a box as centre x, centre y, width, height, in shares of the image."""
    middle = (box.left + box.right) / 2 / side_px
    return torch.tensor(
        [
            1 - middle if mirrored else middle,
            (box.top + box.bottom) / 2 / side_px,
            (box.right - box.left) / side_px,
            (box.bottom - box.top) / side_px,
        ]
    )


def _question(
    tokenizer: BertTokenizer, boxes: tuple[LabelledBox, ...], mirrored: bool, rng: np.random.Generator
) -> tuple[Query, Targets]:
    present = sorted({box.label for box in boxes})
    asked = list(rng.choice(present, int(rng.integers(1, min(3, len(present)) + 1)), replace=False))
    others = [label for label in WORDS_FOR if label not in present]
    alike = frozenset().union(*(group for group in _ALIKE if group & frozenset(present)))
    weights = np.array([_TIMES_AS_OFTEN if label in alike else 1.0 for label in others])
    missing = rng.choice(others, int(rng.integers(0, 4)), replace=False, p=weights / weights.sum())
    absent = [str(rng.choice(WORDS_FOR[str(label)])) for label in missing]
    if rng.random() < 0.25:
        absent.append(str(rng.choice(_NOT_IN_THIS_WORLD)))
    if absent and rng.random() < _NOTHING_THERE:
        asked = []
    phrases = {str(label): str(rng.choice(WORDS_FOR[str(label)])) for label in asked}
    order = [*phrases.values(), *absent]
    rng.shuffle(order)
    query = Query.of(tokenizer, order)
    wanted = [box for box in boxes if box.label in phrases]
    tokens = torch.zeros(len(wanted), _TEXT_LENGTH, dtype=torch.bool)
    for row, box in enumerate(wanted):
        tokens[row, slice(*query.spans[order.index(phrases[box.label])])] = True
    shares = [as_share(box, mirrored=mirrored) for box in wanted]
    return query, Targets(boxes=torch.stack(shares) if shares else torch.zeros(0, 4), tokens=tokens)


def _phrase_scores(logits: Tensor, query: Query) -> Tensor:
    return logits[:, slice(*query.spans[0])].sigmoid().max(-1).values


def _hits(scores: Tensor, boxes: Tensor, truth: Tensor) -> list[bool]:
    kept = nms(corners(boxes), scores, _DUPLICATE)[: len(truth)]
    sure = kept[scores[kept] >= SCORE_THRESHOLD]
    if not len(sure):
        return [False] * len(truth)
    return (overlap(boxes[sure][:, None], truth[None])[1].max(0).values >= 0.5).tolist()
