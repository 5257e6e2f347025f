"""The parts of the recipes that a wrong sign would spoil without a visible error."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from demo_models.recipes.box_losses import Targets, answering, corners, dense_loss, matched_loss, overlap  # noqa: E402
from demo_models.recipes.diffusion import cumulative_alphas, loss_weights, noised, stratified_timesteps  # noqa: E402
from demo_models.recipes.export import copy_half  # noqa: E402
from demo_models.recipes.pose import (  # noqa: E402
    _MIRRORED,
    COCO_JOINTS,
    ExportedPose,
    PoseNetwork,
    PoseRecipe,
    axis_loss,
)
from demo_models.recipes.shards import SceneSet, Shard, render_shard  # noqa: E402
from demo_models.recipes.yolox import ExportedYolox, Yolox, answering_rows, decoded  # noqa: E402
from demo_models.world.seeds import TRAINING_HIDDEN  # noqa: E402

SIDES = (32, 16, 8, 4)


def test_overlap_of_equal_and_of_separate_boxes():
    box, far = torch.tensor([0.5, 0.5, 0.2, 0.2]), torch.tensor([0.1, 0.1, 0.1, 0.1])
    assert overlap(box, box)[0] == pytest.approx(1, abs=1e-4)
    assert overlap(box, far)[1] == 0
    assert overlap(box, far)[0] < 0


def test_corners_of_a_box():
    assert corners(torch.tensor([0.5, 0.4, 0.2, 0.4])).tolist() == pytest.approx([0.4, 0.2, 0.6, 0.6])


@pytest.mark.parametrize("size", [0.02, 0.1, 0.3, 0.9])
def test_every_box_has_a_location_that_answers_for_it(size):
    assert answering(torch.tensor([0.31, 0.47, size, size / 2]), SIDES).any()


def test_right_proposals_cost_less_than_wrong_ones():
    target = [Targets(boxes=torch.tensor([[0.5, 0.5, 0.3, 0.3]]), tokens=torch.tensor([[False, True, False, False]]))]
    valid = torch.ones(1, 4, dtype=torch.bool)
    locations = sum(side**2 for side in SIDES)
    chosen = answering(target[0].boxes[0], SIDES)
    logits = torch.full((1, locations, 4), -6.0)
    boxes = torch.full((1, locations, 4), 0.1)
    wrong = dense_loss(logits, boxes, target, valid, SIDES)
    logits[0, chosen, 1] = 6.0
    boxes[0, chosen] = target[0].boxes[0]
    assert dense_loss(logits, boxes, target, valid, SIDES) < 0.1 < wrong


def test_a_query_is_matched_to_the_object_it_found():
    target = [Targets(boxes=torch.tensor([[0.5, 0.5, 0.3, 0.3]]), tokens=torch.tensor([[True, False]]))]
    valid = torch.ones(1, 2, dtype=torch.bool)
    logits = torch.tensor([[[-6.0, -6.0], [6.0, -6.0]]])
    boxes = torch.tensor([[[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.3, 0.3]]])
    assert matched_loss(logits, boxes, target, valid) < 0.1


def test_a_second_query_on_the_same_object_may_speak_and_one_beside_it_may_not():
    box = torch.tensor([0.5, 0.5, 0.4, 0.4])
    target = [Targets(boxes=box[None], tokens=torch.tensor([[True, False]]))]
    valid = torch.tensor([[True, True]])
    logits = torch.tensor([[[8.0, -8.0], [8.0, -8.0]]])
    both = torch.stack([box, box + 0.01])[None]
    apart = torch.stack([box, box - torch.tensor([0.3, 0.0, 0.0, 0.0])])[None]
    assert matched_loss(logits, both, target, valid) < 0.5
    assert matched_loss(logits, apart, target, valid) > 5


def test_a_image_without_objects_only_punishes_claims():
    target = [Targets(boxes=torch.zeros(0, 4), tokens=torch.zeros(0, 2, dtype=torch.bool))]
    valid = torch.ones(1, 2, dtype=torch.bool)
    quiet = matched_loss(torch.full((1, 3, 2), -8.0), torch.rand(1, 3, 4), target, valid)
    loud = matched_loss(torch.full((1, 3, 2), 8.0), torch.rand(1, 3, 4), target, valid)
    assert quiet < 0.01 < loud


def test_the_schedule_is_that_of_stable_diffusion():
    alphas = cumulative_alphas()
    assert alphas[0] == pytest.approx(1 - 0.00085, abs=1e-6)
    assert alphas[-1] == pytest.approx(0.00466, abs=1e-4)
    assert loss_weights()[999] == 100
    assert loss_weights()[0] < 1


def test_noise_grows_with_the_timestep():
    latents = torch.ones(2, 4, 2, 2)
    mixed = noised(latents, torch.zeros_like(latents), torch.tensor([0, 999]))
    assert mixed[0].mean() > 0.99
    assert mixed[1].mean() < 0.1


def test_timesteps_cover_the_schedule_evenly():
    steps = sorted((stratified_timesteps(10) // 100).tolist())
    assert steps == list(range(10))


def test_yolox_rows_decode_to_the_boxes_that_answer_for_them():
    box = torch.tensor([0.4, 0.6, 0.3, 0.25])
    rows = answering_rows(box)
    assert rows.any()
    centres = decoded(torch.zeros(8400, 10))[rows, :2]
    assert ((centres - box[:2]).abs() < 0.1).all()


def test_exported_yolox_has_coco_columns_and_only_learnt_classes():
    with torch.no_grad():
        rows = ExportedYolox(Yolox().eval())(torch.rand(1, 3, 640, 640) * 255)
    assert rows.shape == (1, 8400, 85)
    assert (rows[..., 5:].amax((0, 1)) > 0).nonzero().flatten().tolist() == [0, 2, 56, 57, 60]


def test_of_who_stands_before_a_car_the_joints_are_learnt_too(tmp_path):
    render_shard(tmp_path / "hidden-0000", TRAINING_HIDDEN.start, 6)
    scenes = SceneSet([Shard.open(tmp_path / "hidden-0000")])
    people = [index for index in range(len(scenes)) if any(box.label == "person" for box in scenes.boxes(index))]
    assert people
    recipe = PoseRecipe(scenes=scenes, held_out=scenes)
    batch = recipe.batch(np.random.default_rng(0))
    assert batch["crops"].shape == (16, 3, 192, 144)
    for index in people:
        _, joints = recipe._crop(scenes, index, None)
        front = scenes.take("fronts", np.array([index]))[0]
        box = next(box for box in scenes.boxes(index) if box.label == "person")
        height = max(box.bottom - box.top, (box.right - box.left) * 4 / 3) * 1.25
        corner = np.array([(box.left + box.right) / 2 - height * 3 / 8, (box.top + box.bottom) / 2 - height / 2])
        seen = np.rint(joints * height / 384 + corner).astype(int)
        seen = seen[((seen >= 0) & (seen < 256)).all(axis=1)]
        assert len(seen) >= 8
        assert (front[seen[:, 1], seen[:, 0]] > 127).mean() > 0.9, "joints lie on the person"


def test_exported_pose_leaves_feet_face_and_hands_empty():
    with torch.no_grad():
        across, down = ExportedPose(PoseNetwork().eval())(torch.zeros(2, 3, 384, 288))
    assert across.shape == (2, 133, 576)
    assert down.shape == (2, 133, 768)
    assert across[:, len(COCO_JOINTS) :].abs().max() == 0


def test_a_peak_at_the_joint_costs_least():
    logits = torch.zeros(1, 17, 576)
    flat = axis_loss(logits, torch.full((1, 17), 100.0))
    logits[..., 195:206] = 8
    assert axis_loss(logits, torch.full((1, 17), 100.0)) < flat


def test_mirroring_swaps_left_and_right_joints():
    assert _MIRRORED[:5] == [0, 2, 1, 4, 3]
    assert [_MIRRORED[joint] for joint in _MIRRORED] == list(range(17))


def test_export_halves_weights_and_renames_them(tmp_path):
    from safetensors.torch import load_file, save_file

    (tmp_path / "in").mkdir()
    save_file({"weight": torch.ones(2), "count": torch.arange(2)}, tmp_path / "in" / "model.safetensors")
    (tmp_path / "in" / "training.json").write_text("{}")
    (tmp_path / "in" / "config.json").write_text('{"_name_or_path": "/home/somebody", "width": 2}')
    copy_half(tmp_path / "in", tmp_path / "out", lambda key: f"text_model.{key}")
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert tensors["text_model.weight"].dtype == torch.float16
    assert tensors["text_model.count"].dtype == torch.int64
    assert not (tmp_path / "out" / "training.json").exists()
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"width": 2}


def test_folding_the_scale_keeps_the_images():
    from diffusers import AutoencoderKL

    from demo_models.recipes.vae import SCALING_FACTOR, fold_scale

    torch.manual_seed(0)
    autoencoder = AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, latent_channels=4,
    ).eval()  # fmt: skip
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 16, 16))).float()
    with torch.no_grad():
        latents = autoencoder.encode(images).latent_dist.mean
        before = autoencoder.decode(latents).sample
        fold_scale(autoencoder, latents)
        folded = autoencoder.encode(images).latent_dist.mean
        after = autoencoder.decode(folded).sample
    assert torch.allclose(before, after, atol=1e-4)
    assert (folded * SCALING_FACTOR).std((0, 2, 3)) == pytest.approx([1.0] * 4, abs=1e-2)
