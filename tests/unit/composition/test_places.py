from __future__ import annotations

import stat
from pathlib import Path

import pytest

from composition.config import ConfigError, StorageConfig
from composition.places import blobs_location, jobs_location, make_folder, storage_folder


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_STATE_HOME": "/state"}, Path("/state/image-composition")),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local/state/image-composition"),
        ({"XDG_STATE_HOME": ""}, Path.home() / ".local/state/image-composition"),
        ({}, Path.home() / ".local/state/image-composition"),
    ],
)
def test_by_default_it_is_the_users_state_folder(environment: dict[str, str], folder: Path) -> None:
    assert storage_folder(StorageConfig(), environment) == folder


def test_by_default_nothing_lies_under_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    work = tmp_path / "bento" / "src"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    storage = StorageConfig()
    for place in (storage_folder(storage), Path(jobs_location(storage)), Path(blobs_location(storage))):
        assert place.is_absolute()
        assert not place.is_relative_to(work)
        assert place.is_relative_to(tmp_path / "state" / "image-composition")


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = make_folder(StorageConfig(folder=str(tmp_path / "deep" / "state")))
    assert folder == tmp_path / "deep" / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_folder(StorageConfig(folder=str(folder))) == folder


def test_each_can_be_elsewhere(tmp_path: Path) -> None:
    storage = StorageConfig(folder=str(tmp_path), jobs="memory", blobs="s3://bucket/images")
    assert (jobs_location(storage), blobs_location(storage)) == ("memory", "s3://bucket/images")
    storage = StorageConfig(folder=str(tmp_path), jobs="other/jobs.db")
    assert (jobs_location(storage), blobs_location(storage)) == ("other/jobs.db", str(tmp_path / "blobs"))


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_place_inside_a_bento_is_refused(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "bento.yaml").touch()
    inside = f"{prefix}{tmp_path}/src/var"
    for key, act in (
        ("folder", lambda: make_folder(StorageConfig(folder=str(tmp_path / "src" / "var")))),
        ("jobs", lambda: jobs_location(StorageConfig(jobs=inside))),
        ("blobs", lambda: blobs_location(StorageConfig(blobs=inside))),
    ):
        with pytest.raises(ConfigError, match=rf"storage\.{key}: .* lies in the Bento"):
            act()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"storage\.folder: .* cannot be made"):
        make_folder(StorageConfig(folder=str(tmp_path / "file" / "state")))
