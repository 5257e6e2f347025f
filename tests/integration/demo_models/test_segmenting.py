"""SAM's recipe: what a click is, which of three masks learns from it."""

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch")

from demo_models.recipes.sam import SegmentRecipe, SegmentTrainer, _draw_boxes, clicks_on, instance_mask  # noqa: E402
from demo_models.recipes.shards import SceneSet, Shard, front_noun, render_missing, render_shard, spec_of  # noqa: E402
from demo_models.world.scenes import render, sample_spec  # noqa: E402
from demo_models.world.seeds import TRAINING, TRAINING_HIDDEN  # noqa: E402


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> SceneSet:
    folder = tmp_path_factory.mktemp("scenes") / "train-0000"
    render_shard(folder, TRAINING.start, 4)
    return SceneSet([Shard.open(folder)])


@pytest.fixture(scope="module")
def hidden(tmp_path_factory) -> SceneSet:
    folder = tmp_path_factory.mktemp("scenes") / "hidden-0000"
    render_shard(folder, TRAINING_HIDDEN.start, 6)
    return SceneSet([Shard.open(folder)])


def test_what_stands_before_a_thing_is_no_part_of_it_and_a_thing_itself(hidden):
    fronts = 0
    for index in range(len(hidden)):
        scene = render(spec_of(TRAINING_HIDDEN.start + index))
        front, noun = front_noun(scene.spec), scene.spec.subject.noun
        if front is None:
            assert noun == "chair"
            continue
        fronts += 1
        boxes = {box.label: box for box in hidden.boxes(index) if box.label in (front, noun)}
        before, behind = (instance_mask(hidden, index, boxes[label]) for label in (front, noun))
        assert np.array_equal(before, scene.front_mask > 127)
        assert behind.sum() > 300
        assert not (ndimage.binary_erosion(before) & behind).any()
    assert fronts >= 3


def test_a_hidden_thing_is_pointed_at_as_a_whole(hidden):
    for index in range(len(hidden)):
        spec = spec_of(TRAINING_HIDDEN.start + index)
        alone = {
            box.label: box for box in render(sample_spec(TRAINING_HIDDEN.start + index, spec.subject.FAMILY)).boxes
        }
        noun = spec.subject.noun
        assert alone[noun] in hidden.boxes(index)


def test_half_of_the_examples_are_partly_hidden_and_things_come_more_often_than_their_parts(tmp_path):
    folders = [tmp_path / name for name in ("hidden-0000", "train-0000")]
    for folder, first, count in zip(folders, (TRAINING_HIDDEN.start, TRAINING.start), (2, 6), strict=True):
        render_shard(folder, first, count)
    both = SceneSet([Shard.open(folder) for folder in folders])
    assert both.hidden.tolist() == [0, 1]
    recipe, rng = SegmentRecipe(scenes=both, held_out=both), np.random.default_rng(3)
    drawn = np.array([recipe._draw_scene(rng) for _ in range(2000)])
    assert 0.57 < (drawn < 2).mean() < 0.68, "half of the draws, and a quarter of the rest"
    assert set(drawn) == set(range(8))

    index = next(i for i in range(8) if len({box.label for box in both.boxes(i)}) > 1)
    noun, found = both.spec(index).subject.noun, both.boxes(index)
    labels = [box.label for _ in range(700) for box in _draw_boxes(both, index, rng)]
    (whole,) = (box for box in found if box.label == noun)
    wholes = {whole.label, front_noun(both.spec(index))}
    weights = sum(3.0 if box.label in wholes else 1.0 for box in found)
    assert abs(labels.count(noun) / len(labels) - 3.0 / weights) < 0.06


def test_hidden_scenes_are_for_those_who_ask_for_them(tmp_path, monkeypatch):
    monkeypatch.setattr("demo_models.recipes.shards.SHARD_SCENES", 2)
    monkeypatch.setattr("demo_models.recipes.shards.HELD_OUT", range(500_000_000, 500_000_001))
    render_missing(tmp_path, 4)
    plain, all_of_them = SceneSet.training(tmp_path), SceneSet.training(tmp_path, hidden=True)
    assert (len(plain), len(all_of_them)) == (4, 6)
    assert {all_of_them.index_of(seed) for seed in (TRAINING.start, TRAINING_HIDDEN.start)} == {2, 0}


def silhouette() -> np.ndarray:
    shape = np.zeros((256, 256), bool)
    shape[100:140, 20:60] = True
    return shape


@pytest.mark.parametrize("count", [1, 2, 4])
def test_clicks_lie_on_the_silhouette_but_for_the_last_of_several(count):
    for seed in range(40):
        points, labels = clicks_on(silhouette(), count, np.random.default_rng(seed))
        assert points.shape == (count, 2)
        assert labels.tolist() == [1] * (count - (count > 1)) + [0] * (count > 1)
        for (x, y), label in zip(points, labels, strict=True):
            assert silhouette()[int(y), int(x)] == bool(label)
            assert 20 - 11 <= x < 60 + 12
            assert 100 - 11 <= y < 140 + 12


def test_a_silhouette_that_fills_the_picture_has_nothing_beside_it():
    points, labels = clicks_on(np.ones((256, 256), bool), 3, np.random.default_rng(0))
    assert labels.tolist() == [1, 1, 1]
    assert points.shape == (3, 2)


def test_every_kind_of_prompt_is_drawn_and_its_clicks_lie_on_the_mask_that_is_taught(scenes):
    recipe = SegmentRecipe(scenes=scenes, held_out=scenes)
    kinds = set()
    for seed in range(30):
        batch = recipe.batch(np.random.default_rng(seed))
        clicks = batch["points"].shape[2] if "points" in batch else 0
        kinds.add(("boxes" in batch, min(clicks, 2)))
        if clicks:
            for image in range(len(batch["masks"])):
                for mask, points, labels in zip(
                    batch["masks"][image], batch["points"][image], batch["labels"][image], strict=True
                ):
                    x, y = (points[0] / 2).long().tolist()
                    assert labels[0] == 1
                    assert mask[y, x] > 0
    assert kinds == {(True, 0), (True, 1), (False, 1), (False, 2)}


class Drawing(torch.nn.Module):
    """Answers with masks that it is given, as if SAM had drawn them."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)
        self.asked: dict[str, object] = {}

    def forward(self, **asked):
        self.asked = asked
        masks = self.logits if asked["multimask_output"] else self.logits[:, :, :1]
        return type("Out", (), {"pred_masks": masks, "iou_scores": torch.zeros(masks.shape[:3])})()


def test_of_the_three_masks_of_a_click_only_the_best_learns():
    trainer = SegmentTrainer()
    logits = torch.full((1, 1, 3, 8, 8), -4.0)
    logits[0, 0, 1, 2:5, 2:5] = 4.0
    trainer.segmenter = Drawing(logits)
    truth = torch.zeros(1, 1, 8, 8)
    truth[0, 0, 2:6, 2:6] = 1
    one_click = {"points": torch.zeros(1, 1, 1, 2), "labels": torch.ones(1, 1, 1, dtype=torch.long)}
    trainer(torch.zeros(1, 3, 8, 8), truth, **one_click)["loss"].backward()
    taught = trainer.segmenter.logits.grad.abs().sum((-1, -2))[0, 0]
    assert taught[1] > 0
    assert taught[0] == taught[2] == 0


def test_a_box_and_several_clicks_ask_for_one_mask():
    trainer = SegmentTrainer()
    truth = torch.zeros(1, 1, 8, 8)
    for prompts, several in (
        ({"boxes": torch.zeros(1, 1, 4)}, False),
        ({"points": torch.zeros(1, 1, 2, 2), "labels": torch.ones(1, 1, 2, dtype=torch.long)}, False),
        ({"points": torch.zeros(1, 1, 1, 2), "labels": torch.ones(1, 1, 1, dtype=torch.long)}, True),
    ):
        trainer.segmenter = Drawing(torch.zeros(1, 1, 3, 8, 8))
        trainer(torch.zeros(1, 3, 8, 8), truth, **prompts)
        assert trainer.segmenter.asked["multimask_output"] is several
