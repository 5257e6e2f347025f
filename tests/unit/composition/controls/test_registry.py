"""Every control type can be asked for, configured and read about wherever the others can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from composition.config import ConfigError, load_config
from composition.controls import CONTROLS, Control, ControlSource

ROOT = Path(__file__).parents[4]

each_control = pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)


@pytest.fixture
def empty_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("{}")
    return path


def source(height: int = 64, width: int = 96) -> ControlSource:
    """Noise in which everything has been estimated that a control may need."""
    generator = np.random.default_rng(1)
    return ControlSource(
        image=generator.integers(0, 256, (height, width, 3), dtype=np.uint8),
        depth=generator.integers(0, 256, (height, width), dtype=np.uint8),
    )


@each_control
def test_a_control_is_found_by_its_name(control: Control) -> None:
    assert CONTROLS[control.name] is control
    assert control.role == f"controlnet-{control.name}"


@each_control
def test_a_control_weighs_no_more_beside_others_than_alone(control: Control) -> None:
    assert 0.0 < control.together <= control.alone <= 1.0


@each_control
def test_a_controls_image_is_rgb_of_the_models_size(control: Control) -> None:
    image = control.draw(source())
    assert (image.shape, image.dtype) == ((64, 96, 3), np.uint8)


@each_control
def test_a_controls_model_can_be_configured_by_its_name(control: Control, empty_file: Path) -> None:
    variable = f"COMPOSITION_MODELS__CONTROLNET__{control.name.upper()}"
    controlnet = load_config(empty_file, {variable: "our-net:v2"}).models.controlnet
    assert {name: controlnet.model_of(name) for name in CONTROLS} == {
        name: "our-net:v2" if name == control.name else None for name in CONTROLS
    }


def test_a_model_for_a_control_that_does_not_exist_is_refused(empty_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"models\.controlnet\.posse: is not a known key"):
        load_config(empty_file, {"COMPOSITION_MODELS__CONTROLNET__POSSE": "our-net:v2"})


def test_the_shipped_configuration_shows_the_key_of_every_control() -> None:
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert shipped["models"]["controlnet"].keys() - {"load_on_demand", "max_loaded"} == CONTROLS.keys()


@each_control
def test_the_request_table_of_the_docs_names_every_control(control: Control) -> None:
    (row,) = [
        line
        for line in (ROOT / "docs/api.md").read_text(encoding="utf-8").splitlines()
        if "`config.control_types`" in line
    ]
    assert f"`{control.name}`" in row


@each_control
def test_the_docs_of_the_model_store_name_every_controls_role(control: Control) -> None:
    assert f"`{control.role}`" in (ROOT / "docs/models-store.md").read_text(encoding="utf-8")
