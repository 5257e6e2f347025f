import time

import numpy as np
import pytest

from demo_models.world.captions import WORDS_FOR, caption
from demo_models.world.palette import COLOURS
from demo_models.world.people import KEYPOINTS, Person, garment_image
from demo_models.world.scenes import FAMILIES, render, render_empty, sample_spec
from demo_models.world.textures import Appearance, swatch
from demo_models.world.wheels import Rim, rim_reference


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_scene(family):
    first, second = (render(sample_spec(7, family)) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.depth, second.depth)
    assert first.boxes == second.boxes


def test_another_seed_gives_another_scene():
    assert not np.array_equal(render(sample_spec(1, "car")).image, render(sample_spec(2, "car")).image)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_every_mask_lies_in_its_boxes_and_its_shape_is_visible(family, seed):
    scene = render(sample_spec(seed, family))
    for label, mask in scene.masks.items():
        boxes = [box for box in scene.boxes if box.label == label]
        assert boxes, label
        covered = np.zeros_like(mask, dtype=bool)
        for box in boxes:
            assert 0 <= box.left < box.right <= 256
            assert 0 <= box.top < box.bottom <= 256
            covered[box.top : box.bottom, box.left : box.right] = True
        assert ((mask > 127) & ~covered).sum() < 20


@pytest.mark.parametrize("family", FAMILIES)
def test_the_subject_is_what_differs_from_the_empty_scene(family):
    scene = render(sample_spec(3, family))
    different = (scene.image != render_empty(scene.spec)).any(axis=2)
    assert different[scene.named_mask > 127].mean() > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_the_subject_is_nearer_than_what_is_behind_it(family):
    scene = render(sample_spec(5, family))
    inside = scene.silhouette > 200
    assert scene.depth[inside].mean() > scene.depth[:20].mean()


def test_a_persons_joints_lie_on_the_person():
    scene = render(sample_spec(11, "person"))
    assert scene.keypoints is not None
    assert scene.keypoints.shape == (KEYPOINTS, 2)
    body = scene.masks["person"]
    on_body = [body[int(y), int(x)] > 0 for x, y in scene.keypoints if 0 <= x < 256 and 0 <= y < 256]
    assert np.mean(on_body) > 0.85


def test_only_people_have_joints():
    assert all(render(sample_spec(1, family)).keypoints is None for family in FAMILIES if family != Person.FAMILY)


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="no family 'dog'"):
        sample_spec(0, "dog")


def test_yellow_and_black_are_never_in_one_pattern():
    rng = np.random.default_rng(0)
    pairs = {
        frozenset((look.colour, look.second_colour))
        for look in (Appearance.sample(rng, ("striped",)) for _ in range(400))
    }
    assert frozenset(("yellow", "black")) not in pairs


@pytest.mark.parametrize("colour", COLOURS)
def test_a_plain_swatch_has_the_colour_it_is_named_for(colour):
    shown = swatch(Appearance.sample(np.random.default_rng(1), ("plain",), colour)).reshape(-1, 3).mean(0)
    distances = {name: np.linalg.norm(shown - np.array(rgb)) for name, rgb in COLOURS.items()}
    assert min(distances, key=distances.__getitem__) == colour


def test_rims_of_another_style_look_different():
    images = [
        rim_reference(Rim(style=style, colour="silver", turn_rad=0.2)) for style in ("disc", "five spoke", "mesh")
    ]
    assert all(image.shape == (128, 128, 3) for image in images)
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[1], images[2])


def test_a_garment_is_shown_alone():
    spec = sample_spec(3, "person")
    assert isinstance(spec.subject, Person)
    image = garment_image(spec.subject)
    assert (image[0] == 228).all()
    assert (image != 228).any()


def test_every_label_has_words():
    labels = {label for family in FAMILIES for seed in range(12) for label in sample_spec(seed, family).subject.LABELS}
    assert labels <= set(WORDS_FOR)


def test_a_caption_names_the_thing():
    rng = np.random.default_rng(0)
    for seed in range(60):
        spec = sample_spec(seed)
        assert any(word in caption(spec, rng) for word in WORDS_FOR[spec.subject.noun])


def test_scenes_are_rendered_fast_enough_to_train_on():
    render(sample_spec(0))
    started = time.process_time()
    for seed in range(12):
        render(sample_spec(seed))
    assert 12 / (time.process_time() - started) >= 8
