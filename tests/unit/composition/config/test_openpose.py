import pytest

from composition.config import ConfigError, load_config

ESTIMATOR = "COMPOSITION_MODELS__STRUCTURE__POSE_ESTIMATOR"
FOLDER = "COMPOSITION_MODELS__STRUCTURE__OPENPOSE"


@pytest.fixture
def defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("{}")
    return path


def test_openpose_without_the_folder_of_its_weights_stops_start_up(defaults):
    with pytest.raises(ConfigError, match=r"models\.structure: .*the folder of its weights"):
        load_config(defaults, {ESTIMATOR: "openpose"})


def test_openpose_runs_from_the_folder_that_the_configuration_names(defaults):
    structure = load_config(defaults, {ESTIMATOR: "openpose", FOLDER: "/models/openpose"}).models.structure

    assert (structure.pose_estimator, structure.openpose) == ("openpose", "/models/openpose")
