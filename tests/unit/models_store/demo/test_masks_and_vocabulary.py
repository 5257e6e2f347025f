import json

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from models_store.demo.recipes.masks import box_of, latent_cells, pixels_of, training_cells, widened
from models_store.demo.recipes.vocabulary import byte_alphabet, write_bert_tokenizer, write_clip_tokenizer
from models_store.demo.world.scenes import render, sample_spec


def test_latent_cells_cover_every_masked_pixel():
    mask = np.zeros((256, 256), bool)
    mask[13, 100] = mask[200:203, 7:9] = True
    cells = latent_cells(mask)
    assert cells.shape == (32, 32)
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


def test_a_training_mask_hides_what_it_says():
    for seed in range(6):
        scene = render(sample_spec(seed))
        label, cells = training_cells(scene.spec, scene.parts, False, np.random.default_rng(seed))
        hidden = pixels_of(cells)
        assert hidden[scene.masks[label] > 200].all()


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
