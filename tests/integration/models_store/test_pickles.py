"""A repository that has only a pickle: numbers become safetensors, anything else is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models_store.manifest import load_manifest
from models_store.pickles import NotOnlyNumbers, convert_pickles

pytestmark = pytest.mark.integration

NAMES = {"pytorch_model.bin": "model.safetensors"}


def test_weights_stay_what_they_are_and_the_pickle_goes(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    weights = {"a": shared, "tied": shared, "turned": torch.randn(3, 5).t(), "ids": torch.arange(7)[None]}
    torch.save(weights, tmp_path / "pytorch_model.bin")
    convert_pickles(tmp_path, NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    converted = load_file(tmp_path / "model.safetensors")
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in weights.items())


class Planted:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "wrap", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))], ids=["zip", "raw"]
)
def test_code_in_a_pickle_does_not_run_and_is_refused(tmp_path: Path, wrap) -> None:
    ran = tmp_path / "ran"
    wrap({"a": Planted(ran)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(NotOnlyNumbers, match=r"pytorch_model\.bin does not hold only numbers"):
        convert_pickles(tmp_path, NAMES)
    assert not ran.exists()


def test_what_holds_no_named_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "pytorch_model.bin")
    with pytest.raises(NotOnlyNumbers, match="does not hold named tensors"):
        convert_pickles(tmp_path, NAMES)


def test_a_file_that_is_not_there_is_nothing_to_do(tmp_path: Path) -> None:
    convert_pickles(tmp_path, NAMES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("profile", ["sd15", "sdxl"])
def test_every_pickle_that_a_profile_takes_is_converted(profile: str) -> None:
    for role, model in load_manifest(profile).models.items():
        pickles = [name for name in model.required if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        assert set(pickles) == set(model.pickles), role
