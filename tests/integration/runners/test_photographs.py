"""The shipped demo models on photographs of scikit-image and in the painted world: who is asked, and what is found."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch

from composition.config import Config, ModelsConfig
from composition.images import Box
from composition.masking.anatomy import Joint
from composition.masking.find import people_in
from demo_models.world.people import Person
from demo_models.world.scenes import render, sample_spec
from models_store.smoke_test import smoke_test
from models_store.store import ModelSet
from runners.analyzer.queries import ObjectsQuery
from runners.batching import BatchDesk
from runners.detector.grounding_dino import GroundingDino
from runners.detector.queries import DetectQuery
from runners.perception import PerceptionPlace
from runners.structure.dwpose import DwPose
from runners.structure.queries import PoseQuery

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
PLACE = PerceptionPlace(device=CPU, home=CPU, dtype=torch.float32, desk=BatchDesk())
SCENE = 4_600_000


@pytest.fixture(scope="module")
def demo(configured_models):
    models = ModelSet(ModelsConfig(profile="demo"))
    if models.missing:
        pytest.skip("the configured profile is another one")
    return models


@pytest.fixture(scope="module")
def objects(demo):
    from runners.analyzer.loading import load_models

    return load_models(demo, PLACE).yolox


@pytest.fixture(scope="module")
def grounding(demo):
    from runners.detector.loading import load_models

    return load_models(Config(models=ModelsConfig(profile="demo")), demo, PLACE).dino


@pytest.fixture(scope="module")
def painted_person():
    return render(sample_spec(SCENE, Person.FAMILY))


def queries(*images):
    return [ObjectsQuery(image=image) for image in images]


def on(found, x, y):
    return found.box.x0 < x < found.box.x1 and found.box.y0 < y < found.box.y1


def test_photographs_are_not_known_and_scenes_are(demo, painted_person):
    from runners.analyzer.loading import load_models

    images = [skimage.data.astronaut(), painted_person.image, skimage.data.coffee()]
    assert load_models(demo, PLACE).knows(images) == [False, True, False]
    assert demo.is_of_one_kind


def test_a_person_and_a_motorcycle_on_photographs_are_seen_as_the_router_needs_them(objects):
    motorcycle = skimage.data.stereo_motorcycle()[0]

    astronaut, machine = objects.detect(queries(skimage.data.astronaut(), motorcycle))

    assert (astronaut[0].label, machine[0].label) == ("person", "motorcycle")
    assert min(astronaut[0].score, machine[0].score) > 0.7
    assert on(astronaut[0], 225, 130)
    assert on(machine[0], 400, 250)


@pytest.mark.parametrize(
    ("photograph", "phrase", "spot"),
    [(skimage.data.chelsea, "the cat", (230, 150)), (skimage.data.coffee, "red mug", (290, 200))],
)
def test_things_on_photographs_are_found_by_their_names(grounding, photograph, phrase, spot):
    (found,) = grounding.detect([DetectQuery(image=photograph(), phrase=phrase)])

    assert found[0].label == phrase
    assert on(found[0], *spot)


def test_what_is_no_class_is_not_found_on_a_photograph(grounding):
    assert grounding.detect([DetectQuery(image=skimage.data.astronaut(), phrase="jacket . car")]) == [()]


def test_painted_scenes_are_seen_by_the_networks_that_know_them_and_give_what_these_give_alone(
    demo, objects, grounding, painted_person
):
    from runners.analyzer.yolox import YoloxDetector
    from runners.onnx_session import open_network

    alone = YoloxDetector(open_network(demo.part("yolox", "model"), CPU))
    dino = GroundingDino.load(demo.path("grounding-dino"), CPU, confidence=0.3, nms=0.5)
    scenes = [render(sample_spec(SCENE + number)).image for number in range(8)]
    query = DetectQuery(image=painted_person.image, phrase="person")

    assert objects.detect(queries(*scenes)) == alone.detect(scenes)
    assert grounding.detect([query]) == dino.detect([query])


def test_a_pose_on_a_photograph_is_movenets_and_of_a_painted_person_the_demos_own(demo, objects, painted_person):
    from runners.onnx_session import open_network
    from runners.structure.loading import load_models

    pose = load_models(ModelsConfig(profile="demo"), demo, PLACE).pose
    astronaut = skimage.data.astronaut()
    people = tuple(item.box for item in people_in(objects.detect(queries(astronaut))[0]))[:1]
    label = next(box for box in painted_person.boxes if box.label == "person")
    box = Box(x0=label.left, y0=label.top, x1=label.right, y1=label.bottom)
    painted = PoseQuery(image=painted_person.image, people=(box,))

    ((seen,), (own,)) = pose.estimate([PoseQuery(image=astronaut, people=people), painted])

    for joint, place in ((Joint.NOSE, (224, 126)), (Joint.RIGHT_EYE, (202, 100)), (Joint.LEFT_EYE, (248, 102))):
        assert np.abs(seen.body[joint, :2] - place).max() < 12
    network = open_network(demo.part("dwpose", "model"), CPU, ("simcc_x", "simcc_y"))
    (((alone,),)) = DwPose(network).estimate([painted])
    assert np.array_equal(own.body, alone.body)


@pytest.mark.parametrize("role", ["yolox", "dwpose"])
def test_the_smoke_test_runs_every_network_of_a_role(demo, role):
    loaded, shapes = smoke_test(demo, role, run=True).split(": ")

    assert loaded == {"yolox": "3 outputs", "dwpose": "3 outputs"}[role]
    assert {"yolox": ("(1, 8400, 85)", "(1, 1)"), "dwpose": ("(1, 1, 17, 3)",)}[role][0] in shapes


def test_the_weights_that_are_shipped_stay_small():
    from models_store.sources import SHIPPED

    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 100_000_000
