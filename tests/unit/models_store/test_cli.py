"""The command line answers with exit statuses and plain words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models_store.cli import main
from models_store.manifest import load_manifest


def test_list_shows_one_profile_when_it_is_named(store_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "sd15"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["sd15"]


def test_list_shows_every_profile_and_what_is_imported(store_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, version = load_manifest("tiny").tag("clip").split(":")
    (store_folder / name / version).mkdir(parents=True)
    (store_folder / name / version / "model.yaml").write_text("")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    clips = [line.split()[:2] for line in lines if line.strip().startswith("clip ")]
    assert clips == [["clip", "-"], ["clip", "-"], ["clip", "-"], ["clip", "imported"], ["clip", "-"]]
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "demo", "sd15", "sdxl", "tiny", "tiny-sdxl"
    ]  # fmt: skip


def test_an_unknown_profile_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["import", "huge"])
    assert caught.value.code == 2
    assert "invalid choice: 'huge'" in capsys.readouterr().err


def test_a_repository_without_its_role_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "sd15", "--repository", "someone/clip"]) == 2
    assert "--repository needs the --role" in capsys.readouterr().err


def test_a_role_that_the_profile_lacks_cannot_be_imported(
    store_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "sd15", "--role", "clap"]) == 1
    assert "profile sd15 has no role clap" in capsys.readouterr().err


def test_a_profile_that_no_runner_serves_is_refused_before_anything_is_fetched(
    store_folder: Path, unserved: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "sdxl"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the base model of profile sdxl is a FluxInpaintPipeline; served: ")
    served = line.split("served: ")[1].split(", ")
    assert {"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"} <= set(served)
    assert list(store_folder.parent.iterdir()) == [store_folder]


def test_the_list_says_which_profiles_no_runner_serves(
    store_folder: Path, unserved: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines if "no runner serves it" in line] == ["sdxl"]


def test_without_a_name_the_configured_profile_is_meant(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPOSITION_MODELS__PROFILE", "sdxl")
    assert main(["verify"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == len(load_manifest("sdxl").required)


def test_a_configuration_that_names_no_known_profile_is_refused(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPOSITION_MODELS__PROFILE", "sd16")
    assert main(["import"]) == 2
    assert "models.profile: " in capsys.readouterr().err


def test_verify_of_a_profile_that_is_not_imported_fails(store_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "sd15"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(load_manifest("sd15").required)
    assert all(line.startswith("FAILED") and line.endswith("is not imported") for line in lines)


def test_nothing_but_a_build_loads_torch() -> None:
    program = (
        "import sys; import models_store.cli, models_store.store, models_store.importer, models_store.verification; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules or 'diffusers' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_a_full_disk_is_found_out_before_anything_is_fetched(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("models_store.importer.room_at", lambda folder: 1_500_000_000)
    assert main(["import", "sd15"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("sd15: 12 models, 9.37 GB, into ")
    assert "profile sd15 needs 9.4 GB in" in said.err
    assert "1.5 GB are free" in said.err
    assert list(store_folder.iterdir()) == []
