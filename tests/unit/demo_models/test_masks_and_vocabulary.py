import json

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from demo_models.recipes.masks import (
    BOXED,
    CROPPED,
    ROOMY,
    SILHOUETTE,
    VARIANTS,
    box_of,
    label_mask,
    latent_cells,
    pixels_of,
    training_view,
    widened,
    window_about,
)
from demo_models.recipes.vocabulary import byte_alphabet, write_bert_tokenizer, write_clip_tokenizer
from demo_models.world.scenes import render, sample_spec


@pytest.mark.parametrize("cell_px", [8, 4])
def test_latent_cells_cover_every_masked_pixel(cell_px):
    mask = np.zeros((256, 256), bool)
    mask[13, 100] = mask[200:203, 7:9] = True
    cells = latent_cells(mask, cell_px)
    assert cells.shape == (256 // cell_px, 256 // cell_px)
    assert cells.sum() == 3
    assert pixels_of(cells)[mask].all()


def test_separate_pieces_get_separate_boxes():
    mask = np.zeros((256, 256), bool)
    mask[10:30, 10:30] = mask[100:120, 200:220] = True
    mask[10, 10] = False
    assert box_of(mask).sum() == 800


def test_a_margin_grows_a_mask_in_every_direction():
    mask = np.zeros((32, 32), bool)
    mask[16, 16] = True
    assert widened(mask, 3).sum() == 49


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_view_hides_what_it_says(variant):
    for seed in range(6):
        scene = render(sample_spec(seed))
        view = training_view(scene.spec, scene.parts, variant, np.random.default_rng(seed))
        label = view.of(label_mask(scene.spec, scene.parts, view.label).astype(np.uint8) * np.uint8(255))
        assert view.mask[label > 250].all()


def test_only_cropped_views_are_enlarged():
    sides: dict[int, set[int]] = {variant: set() for variant in VARIANTS}
    for seed in range(8):
        scene = render(sample_spec(seed, "furniture"))
        for variant in VARIANTS:
            view = training_view(scene.spec, scene.parts, variant, np.random.default_rng(seed))
            sides[variant].add(view.side)
    assert sides[BOXED] == sides[SILHOUETTE] == sides[ROOMY] == {256}
    assert 128 <= min(sides[CROPPED]) < 256


def test_a_window_shows_the_whole_mask():
    mask = np.zeros((256, 256), bool)
    mask[10:60, 180:250] = True
    left, top, side = window_about(mask, np.random.default_rng(0))
    assert left <= 180
    assert left + side >= 250
    assert top <= 10
    assert top + side >= 60


def test_the_byte_alphabet_has_every_byte_once():
    assert len(set(byte_alphabet())) == 256


def test_clip_marks_are_the_last_two_ids(tmp_path):
    size = write_clip_tokenizer(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    assert vocabulary["<|startoftext|>"] == size - 2
    assert vocabulary["<|endoftext|>"] == size - 1
    assert {"red</w>", "jacket</w>", "walnut</w>"} <= set(vocabulary)


def test_grounding_marks_keep_the_ids_that_the_library_expects(tmp_path):
    write_bert_tokenizer(tmp_path)
    rows = (tmp_path / "vocab.txt").read_text().splitlines()
    assert [rows[index] for index in (0, 100, 101, 102, 103, 1012, 1029)] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        ".",
        "?",
    ]
    assert "rims" in rows
