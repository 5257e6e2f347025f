"""Every profile's manifest is well formed, and tags change with what they stand for."""

from __future__ import annotations

import pytest
from bentoml import Tag
from pydantic import ValidationError

from composition.config import PROFILES
from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from models_store.manifest import Manifest, Model, Source, load_manifest, profiles, repository_tag

REPORTED_NAMES = {
    "sd-inpainting", "sdxl-inpainting", "grounding-dino", "sam", "ip-adapter", "dwpose", "depth-anything", "clip",
    "yolox", "safety-checker", "taesd", *(few.role for few in FEW_STEPS.values()),
    *(control.role for control in CONTROLS.values()),
}  # fmt: skip
"""The names of `models_used`, and the preview decoder, which makes no result."""

A_MODEL = Model(repository="org/name", licence="MIT", required=("config.json",), size_bytes=1)


def test_every_profile_of_the_configuration_has_a_manifest() -> None:
    assert set(profiles()) == set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_roles_are_the_names_that_responses_use(profile: str) -> None:
    assert set(load_manifest(profile).models) <= REPORTED_NAMES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_tag_is_one_that_bentoml_accepts(profile: str) -> None:
    manifest = load_manifest(profile)
    for role in manifest.models:
        tag = manifest.tag(role)
        assert str(Tag.from_str(tag)) == tag


@pytest.mark.parametrize(
    ("profile", "side"), [("tiny", 256), ("tiny-sdxl", 256), ("demo", 256), ("sd15", 512), ("sdxl", 1024)]
)
def test_each_profile_knows_its_native_size(profile: str, side: int) -> None:
    assert load_manifest(profile).native_size == side


@pytest.mark.parametrize("profile", PROFILES)
def test_required_files_and_parts_are_among_those_that_are_fetched(profile: str) -> None:
    from fnmatch import fnmatch

    for role, model in load_manifest(profile).models.items():
        for path in (*model.required, *model.sha256):
            assert any(fnmatch(path, pattern) for pattern in model.files), (role, path)
        for part in model.parts.values():
            assert any(path == part or path.startswith(part + "/") for path in model.required), (role, part)


@pytest.mark.parametrize("profile", ["tiny", "tiny-sdxl", "sd15", "sdxl"])
def test_the_profiles_adapter_is_one_of_its_parts(profile: str) -> None:
    manifest = load_manifest(profile)
    assert manifest.ip_adapter_variant in manifest.models["ip-adapter"].parts


@pytest.mark.parametrize(("profile", "only_pickled"), [("sd15", ["controlnet-tile", "clip"]), ("sdxl", ["clip"])])
def test_downloads_never_take_pickles_where_there_are_safetensors(profile: str, only_pickled: list[str]) -> None:
    pickled = [
        role for role, model in load_manifest(profile).models.items() if any(p.endswith(".bin") for p in model.files)
    ]
    assert pickled == only_pickled


def test_a_built_profile_has_one_version_for_all_its_models() -> None:
    manifest = load_manifest("tiny")
    assert manifest.source is Source.BUILD
    assert len({manifest.tag(role).split(":")[1] for role in manifest.models}) == 1


@pytest.mark.parametrize("change", [{"revision": "v2"}, {"files": ("*.json",)}, {"sha256": {"config.json": "0" * 64}}])
def test_a_change_of_what_is_fetched_changes_the_version(change: dict[str, object]) -> None:
    assert A_MODEL.model_copy(update=change).digest != A_MODEL.digest


def test_an_alias_is_as_good_as_the_repository() -> None:
    model = load_manifest("sd15").models["depth-anything"]
    assert model.is_called("depth-anything/Depth-Anything-V2-Small-hf")
    assert model.is_called("depth-anything/Depth-Anything-V2-Small")
    assert not model.is_called("depth-anything/Depth-Anything-V2-Large-hf")


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'huge'; there are demo, sd15, sdxl, tiny, tiny-sdxl"):
        load_manifest("huge")


def test_a_manifest_without_its_base_model_is_refused() -> None:
    tree = load_manifest("sd15").model_dump()
    del tree["models"]["sd-inpainting"]
    with pytest.raises(ValidationError, match="base_role sd-inpainting is not among the models"):
        Manifest.model_validate(tree)


def test_a_manifest_that_does_not_say_its_base_models_class_is_refused() -> None:
    tree = load_manifest("sd15").model_dump()
    del tree["models"]["sd-inpainting"]["pipeline_class"]
    with pytest.raises(ValidationError, match="base model sd-inpainting has no pipeline_class"):
        Manifest.model_validate(tree)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="sha265"):
        Model.model_validate({**A_MODEL.model_dump(), "sha265": {}})


def test_repositories_outside_manifests_get_tags_of_their_own() -> None:
    tags = {repository_tag("sd-inpainting", name) for name in ("Org/Name", "org/name", "org/na-me", "o" * 90 + "/name")}
    assert len(tags) == 4
    for tag in tags:
        assert str(Tag.from_str(tag)) == tag
