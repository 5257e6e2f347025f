from types import SimpleNamespace

import numpy as np
import pytest
import torch

from composition.decision import ReferenceKind
from composition.routing.prototypes import STRUCTURAL
from runners.analyzer.clip import ClipClassifier

DIRECTIONS = {"shirt": (1, 0, 0), "jacket": (1, 0, 0), "mug": (0, 1, 0), "marble": (0, 0, 1), "other": (0, 1, 0)}


class PlantedClip:
    """Embeds an image as its mean colour and a text as the direction of its last word."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self):
        self.texts_embedded = 0

    def eval(self):
        return self

    def get_image_features(self, pixel_values):
        return SimpleNamespace(pooler_output=pixel_values.mean(dim=(2, 3)))

    def get_text_features(self, directions):
        self.texts_embedded += len(directions)
        return SimpleNamespace(pooler_output=directions)


class PlantedProcessor:
    def __call__(self, images=None, text=None, **options):
        if text is not None:
            rows = [DIRECTIONS[item.split()[-1]] for item in text]
            return Inputs(directions=torch.tensor(rows, dtype=torch.float32))
        return {"pixel_values": torch.stack([torch.tensor(image).permute(2, 0, 1).float() for image in images])}


class Inputs(dict):
    def to(self, device):
        return self


def planted(model=None):
    return ClipClassifier(
        model or PlantedClip(),
        PlantedProcessor(),
        reference_prototypes={
            ReferenceKind.GARMENT: ("a photo of a shirt", "a photo of a jacket"),
            ReferenceKind.OBJECT: ("a photo of a mug",),
            ReferenceKind.TEXTURE: ("a slab of marble",),
        },
        prompt_prototypes={STRUCTURAL: ("a jacket",), "other": ("something other",)},
        temperature=0.1,
    )


def one_colour(*colour):
    return np.full((20, 30, 3), colour, np.uint8)


def test_a_reference_is_what_its_embedding_is_nearest_to():
    red, half = planted().classify_references([one_colour(200, 0, 0), one_colour(100, 100, 0)])

    assert red[ReferenceKind.GARMENT] == pytest.approx(np.exp(10) / (np.exp(10) + 2), abs=1e-4)
    assert half[ReferenceKind.GARMENT] == pytest.approx(half[ReferenceKind.OBJECT])
    assert sum(half.values()) == pytest.approx(1)


def test_a_prompt_is_structural_by_its_nearest_class():
    assert planted().classify_prompts(["a red jacket", "a mug"]) == pytest.approx(
        [1 / (1 + np.exp(-10)), 1 / (1 + np.exp(10))], abs=1e-4
    )


def test_the_prototypes_are_embedded_once():
    model = PlantedClip()
    classifier = planted(model)
    at_start = model.texts_embedded

    classifier.classify_references([one_colour(200, 0, 0)])
    classifier.classify_prompts(["a mug", "a shirt"])

    assert at_start == 6
    assert model.texts_embedded == at_start + 2


@pytest.fixture(scope="module")
def classifier(tiny_models):
    return ClipClassifier.load(tiny_models.path("clip"), torch.device("cpu"), torch.float32)


def test_the_model_of_the_store_classifies_a_batch_like_each_alone(classifier):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 300, 3), dtype=np.uint8) for height in (256, 300, 700)]
    prompts = ["a car", "turn the wall into oak wood", "x"]

    together = classifier.classify_references(images)

    for photo, row in zip(images, together, strict=True):
        assert set(row) == set(ReferenceKind)
        assert sum(row.values()) == pytest.approx(1, abs=1e-5)
        assert list(classifier.classify_references([photo])[0].values()) == pytest.approx(list(row.values()), abs=1e-4)
    alone = [classifier.classify_prompts([prompt])[0] for prompt in prompts]
    assert classifier.classify_prompts(prompts) == pytest.approx(alone, abs=1e-3)


@pytest.mark.parametrize("prompt", ["word " * 200, "🐱🚗", "чёрный стул", "'\"“”"])
def test_any_prompt_has_a_probability(classifier, prompt):
    (probability,) = classifier.classify_prompts([prompt])

    assert 0 <= probability <= 1
