"""Pictures beyond the world in the painters' batches: as encoded as scenes are, and never without their own words."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusers import AutoencoderKL  # noqa: E402

from demo_models.elsewhere.pictures import draw, thing_of  # noqa: E402
from demo_models.recipes import inpainting, queue  # noqa: E402
from demo_models.recipes.elsewhere import PictureSet, encode_missing_pictures, encode_pictures  # noqa: E402
from demo_models.recipes.fine_inpainting import FineRecipe  # noqa: E402
from demo_models.recipes.inpainting import clip_tokenizer  # noqa: E402
from demo_models.recipes.latents import Encoding, encode_shard  # noqa: E402
from demo_models.recipes.masks import latent_cells  # noqa: E402
from demo_models.recipes.shards import SceneSet, Shard, render_shard  # noqa: E402
from demo_models.world.seeds import ELSEWHERE, TRAINING  # noqa: E402

PICTURES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Latents of two scenes and of three pictures."""
    torch.manual_seed(0)
    model = AutoencoderKL(
        block_out_channels=(8, 8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1, latent_channels=4,
    )  # fmt: skip
    home = tmp_path_factory.mktemp("latents")
    render_shard(home / "scenes" / "train-0000", TRAINING.start, 2)
    encode_shard(Shard.open(home / "scenes" / "train-0000"), model, home / "train-0000")
    encode_pictures(home / "elsewhere-0000", ELSEWHERE.start, PICTURES, model)
    model.save_pretrained(home / "vae")
    return home


@pytest.fixture
def recipe(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path))
    clip_tokenizer.cache_clear()
    monkeypatch.setattr(inpainting, "_RIM_SHARE", 0.0)
    return FineRecipe(scenes=SceneSet.training(folder / "scenes"), latents_folder=folder)


def test_pictures_are_kept_with_the_cells_of_their_masks(folder):
    pictures = PictureSet(folder)
    rows = pictures.latents(np.array([2, 0]))

    assert len(pictures) == PICTURES
    assert rows["whole"].shape == rows["masked"].shape == (2, 4, 64, 64)
    expected = [latent_cells(draw(ELSEWHERE.start + index).mask, 4) for index in (2, 0)]
    assert np.array_equal(rows["cells"][:, 0].numpy() > 0, np.stack(expected))
    assert (rows["whole"] != rows["masked"]).any()
    assert np.array_equal(pictures.depth(np.array([1]))[0], draw(ELSEWHERE.start + 1).depth)


@pytest.mark.parametrize("control", ["none", "depth", "pose"])
def test_a_batch_has_its_share_of_pictures_with_all_that_its_step_is_conditioned_on(recipe, monkeypatch, control):
    said = []
    monkeypatch.setattr(inpainting, "token_ids", lambda prompts: said.append(prompts) or torch.zeros(len(prompts), 77))
    monkeypatch.setattr(inpainting.InpaintingRecipe, "_usable", lambda *_: 0)
    monkeypatch.setattr(inpainting.InpaintingRecipe, "_control_image", lambda *_: np.zeros((256, 256, 3), np.uint8))
    recipe.shares, recipe.reference_share, recipe.elsewhere_share = {control: 1.0}, 1.0, 0.5
    batch = recipe.batch(np.random.default_rng(4))

    assert batch["whole"].shape == batch["masked"].shape == (16, 4, 64, 64)
    assert batch["cells"].shape == (16, 1, 64, 64)
    assert len(batch["references"]) == 16
    assert control == "none" or batch["control"][1].shape == (16, 3, 256, 256)
    nouns = {thing_of(ELSEWHERE.start + index).noun for index in range(PICTURES)}
    strange = [bool(set(prompt.split()) & nouns) for prompt in said[0]]
    assert strange == sorted(strange), "scenes come first"
    assert 3 <= sum(strange) <= 13


def test_without_a_share_no_picture_is_asked_for(recipe, folder, tmp_path):
    recipe.elsewhere_share = 0.0

    assert recipe.batch(np.random.default_rng(1))["whole"].shape[0] == 16
    assert recipe._pictures is None


def test_no_pictures_at_all_is_an_error_and_not_a_training_without_them(tmp_path):
    with pytest.raises(FileNotFoundError):
        PictureSet(tmp_path)


def test_only_missing_shards_are_encoded(folder, tmp_path, monkeypatch):
    written = []

    def write(target, first_seed, pictures, autoencoder):
        written.append((target.name, first_seed - ELSEWHERE.start))

    monkeypatch.setattr("demo_models.recipes.elsewhere.encode_pictures", write)
    encode_missing_pictures(Encoding(latents=folder, weights=folder / "vae"), 3)

    assert written == [("elsewhere-0001", 500), ("elsewhere-0002", 1000)]
    assert json.loads((folder / "elsewhere-0000" / "seeds.json").read_text()) == {"first_seed": ELSEWHERE.start}


@pytest.mark.parametrize(
    ("autoencoder", "shards", "finest", "expected"),
    [
        ("vae", None, "vae-fine", []),
        ("vae", None, "vae", [3]),
        ("vae-fine", None, "vae-fine", [3]),
        ("vae-fine", None, "vae", [3]),
        ("vae-fine", 0, "vae", [1]),
    ],
)
def test_pictures_are_encoded_for_the_finest_painters_and_one_shard_before_the_fine_ones_begin(
    tmp_path, monkeypatch, autoencoder, shards, finest, expected
):
    asked = []
    monkeypatch.setattr(queue, "workdir", lambda: tmp_path)
    monkeypatch.setattr(queue, "finest", lambda: (finest, "painter"))
    monkeypatch.setattr(queue, "latents_folder", lambda name: tmp_path)
    for number in range(4):
        (tmp_path / "data" / f"train-000{number}").mkdir(parents=True)
    monkeypatch.setattr(queue.Encoding, "missing_scenes", lambda self, scenes, shards: None)
    monkeypatch.setattr(queue, "encode_missing_pictures", lambda encoding, count: asked.append(count))
    queue.encode(autoencoder, queue.Means(), shards)

    assert asked == expected
