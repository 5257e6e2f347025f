"""Where the models of a configuration are: the profile's entries, unless the configuration names others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bentoml.exceptions import NotFound

from composition.config import DetectionConfig, IpAdapterConfig, ModelsConfig, StructureConfig
from composition.controls import CONTROLS, Control
from models_store.entries import exclusive, publish
from models_store.manifest import load_manifest, repository_tag
from models_store.pipelines import UnservedPipeline
from models_store.store import ModelSet, ModelsNotImported


def put(tag: str, path: str = "config.json") -> None:
    """Publish an entry with one small file."""
    with exclusive() as staging:
        content = staging / "content"
        (content / path).parent.mkdir(parents=True)
        (content / path).write_text("{}")
        publish(tag, content, staging, {})


def test_the_profiles_own_models_are_the_default() -> None:
    models = ModelSet(ModelsConfig(profile="tiny"))
    manifest = load_manifest("tiny")
    assert models.native_size == 256
    assert models.base_role == "sd-inpainting"
    assert models.ip_adapter_variant == "sd15"
    assert {role: models.tag(role) for role in models.roles} == {r: manifest.tag(r) for r in manifest.models}


def test_a_missing_model_names_the_command_that_imports_it(store_folder: Path) -> None:
    models = ModelSet(ModelsConfig(profile="sd15"))
    with pytest.raises(ModelsNotImported, match="run: python -m models_store import sd15") as caught:
        models.path("clip")
    assert caught.value.status == 503
    assert caught.value.details == {"role": "clip", "profile": "sd15"}
    assert models.missing == models.roles


def test_a_role_that_the_profile_lacks_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        ModelSet(ModelsConfig(profile="sd15")).tag("sdxl-inpainting")


def test_an_imported_model_is_found_and_can_be_packed(store_folder: Path) -> None:
    models = ModelSet(ModelsConfig(profile="tiny"))
    put(models.tag("yolox"), "yolox_l.onnx")
    name, version = models.tag("yolox").split(":")
    assert models.path("yolox") == store_folder / name / version
    assert models.part("yolox", "model").read_text() == "{}"
    assert str(models.bento_model("yolox").tag) == models.tag("yolox")
    assert "yolox" not in models.missing
    assert "clip" in models.missing


def test_a_repository_id_of_the_profile_means_the_profiles_entry() -> None:
    config = ModelsConfig(
        profile="tiny",
        base_model="stable-diffusion-v1-5/stable-diffusion-inpainting",
        structure=StructureConfig(depth_anything="depth-anything/Depth-Anything-V2-Small"),
    )
    own, named = ModelSet(ModelsConfig(profile="tiny")), ModelSet(config)
    assert {role: named.tag(role) for role in named.roles} == {role: own.tag(role) for role in own.roles}


def test_another_repository_is_looked_for_under_its_own_tag(store_folder: Path) -> None:
    models = ModelSet(ModelsConfig(profile="sd15", base_model="someone/better-inpainting"))
    assert models.tag("sd-inpainting") == repository_tag("sd-inpainting", "someone/better-inpainting")
    with pytest.raises(
        ModelsNotImported, match="import sd15 --role sd-inpainting --repository someone/better-inpainting"
    ):
        models.path("sd-inpainting")
    put(models.tag("sd-inpainting"))
    assert (models.path("sd-inpainting") / "config.json").is_file()


def test_a_tag_is_taken_as_it_is(store_folder: Path) -> None:
    models = ModelSet(ModelsConfig(profile="sd15", detection=DetectionConfig(grounding_dino="our-dino:v3")))
    assert models.tag("grounding-dino") == "our-dino:v3"
    put("our-dino:v3")
    assert models.path("grounding-dino") == store_folder / "our-dino" / "v3"


def test_a_folder_is_used_in_place_and_not_packed(tmp_path: Path) -> None:
    models = ModelSet(ModelsConfig(profile="sd15", clip=str(tmp_path)))
    assert models.path("clip") == tmp_path
    with pytest.raises(ValueError, match="not a store entry"):
        models.tag("clip")
    assert len(models.bento_models()) == len(models.roles) - 1


def test_a_server_or_a_build_without_the_models_says_which_command_imports_them(store_folder: Path) -> None:
    model = ModelSet(ModelsConfig(profile="sd15")).bento_model("clip")
    for use in (model.resolve, model.to_info):
        with pytest.raises(NotFound, match=r"is not in the model store; run: python -m models_store import sd15$"):
            use()


def test_a_folder_that_does_not_exist_is_missing(tmp_path: Path) -> None:
    models = ModelSet(ModelsConfig(profile="sd15", clip=str(tmp_path / "gone")))
    with pytest.raises(ModelsNotImported, match="put the model's files into"):
        models.path("clip")


def test_base_model_replaces_only_the_base_role(tmp_path: Path) -> None:
    models = ModelSet(ModelsConfig(profile="tiny", base_model=str(tmp_path)))
    assert models.path("sd-inpainting") == tmp_path
    assert models.tag("clip") == load_manifest("tiny").tag("clip")


def test_the_configured_adapter_variant_wins() -> None:
    config = ModelsConfig(profile="tiny", ip_adapter=IpAdapterConfig(variant="sd15-plus"))
    assert ModelSet(config).ip_adapter_variant == "sd15-plus"


def test_half_precision_variants_are_named_for_the_loaders() -> None:
    models = ModelSet(ModelsConfig(profile="sd15"))
    assert models.variant("sd-inpainting") == "fp16"
    assert models.variant("clip") is None


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_a_configured_controlnet_replaces_the_profiles_own_and_no_other(control: Control) -> None:
    config = ModelsConfig.model_validate({"profile": "tiny", "controlnet": {control.name: "our-net:v2"}})
    tags, own = ModelSet(config), ModelSet(ModelsConfig(profile="tiny"))
    assert {role: tags.tag(role) for role in own.roles if tags.tag(role) != own.tag(role)} == {
        control.role: "our-net:v2"
    }


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ("tiny", None),
        ("demo", "model profile demo has no controlnet-canny"),
        (
            "sd15",
            "controlnet-canny is optional in model profile sd15 and not imported;"
            " run: python -m models_store import sd15 --role controlnet-canny",
        ),
    ],
)
def test_a_profile_without_canny_says_so_or_what_would_bring_it(
    store_folder: Path, profile: str, reason: str | None
) -> None:
    models = ModelSet(ModelsConfig.model_validate({"profile": profile}))
    assert models.reason_for_absence("controlnet-canny") == reason


def pipeline(folder: Path, kind: str) -> str:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    return str(folder)


def test_the_family_is_chosen_by_the_class_of_the_base_model(tmp_path: Path) -> None:
    folder = pipeline(tmp_path, "StableDiffusionInpaintPipeline")
    models = ModelSet(ModelsConfig(profile="tiny", base_model=folder))
    models.require_served()
    assert models.family == "sd15"


def test_a_base_model_that_no_family_serves_is_refused_with_its_class_and_those_that_are(tmp_path: Path) -> None:
    folder = pipeline(tmp_path, "FluxInpaintPipeline")
    models = ModelSet(ModelsConfig(profile="tiny", base_model=folder))
    expected = rf"^models\.base_model: {folder} is a FluxInpaintPipeline; served: .*StableDiffusionInpaintPipeline.*$"
    with pytest.raises(UnservedPipeline, match=expected):
        models.require_served()
    with pytest.raises(UnservedPipeline, match=expected):
        _ = models.family


def test_a_base_model_that_is_not_there_yet_is_judged_by_its_manifest(store_folder: Path, unserved: None) -> None:
    ModelSet(ModelsConfig(profile="sd15")).require_served()
    with pytest.raises(UnservedPipeline, match=r"models\.profile: sdxl is a FluxInpaintPipeline"):
        ModelSet(ModelsConfig(profile="sdxl")).require_served()
    ModelSet(ModelsConfig(profile="sdxl", base_model="someone/else")).require_served()


def test_what_is_served_has_the_manifest_s_licence_and_of_another_model_only_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "secret-place" / "my-sam"
    folder.mkdir(parents=True)
    detection = DetectionConfig(sam=str(folder), grounding_dino="org/another-dino")
    served = {model.name: model for model in ModelSet(ModelsConfig(profile="sd15", detection=detection)).served}
    manifest = load_manifest("sd15")
    assert served.keys() == manifest.models.keys()
    inpainting = served["sd-inpainting"]
    assert inpainting.licence == "CreativeML OpenRAIL-M"
    assert inpainting.revision == manifest.models["sd-inpainting"].revision
    assert (served["sam"].repository, served["sam"].licence, served["sam"].present) == ("my-sam", None, True)
    assert (served["grounding-dino"].repository, served["grounding-dino"].revision) == ("org/another-dino", None)
    assert all("secret-place" not in model.repository for model in served.values())


def test_a_role_may_have_a_second_network_for_the_images_that_the_first_was_not_trained_on(store_folder: Path) -> None:
    own, other = ModelSet(ModelsConfig(profile="demo")), ModelSet(ModelsConfig(profile="sd15"))
    put(own.tag("yolox"), "nanodet.onnx")

    assert own.has_part("yolox", "elsewhere")
    assert own.part("yolox", "elsewhere").name == "nanodet.onnx"
    assert own.has_part("yolox", "home")
    assert own.has_part("dwpose", "elsewhere")
    assert not other.has_part("yolox", "elsewhere")


def test_the_second_network_goes_with_the_first_when_another_model_takes_its_place(tmp_path: Path) -> None:
    same = ModelSet(ModelsConfig(profile="demo", yolox="yzd-v/DWPose"))
    another = ModelSet(ModelsConfig(profile="demo", yolox=str(tmp_path)))

    assert same.has_part("yolox", "elsewhere")
    assert not another.has_part("yolox", "elsewhere")
    assert another.has_part("dwpose", "elsewhere")
    assert same.is_of_one_kind
    assert not another.is_of_one_kind, "nothing tells the kinds apart"


def test_another_base_model_knows_images_of_every_kind(tmp_path: Path) -> None:
    assert ModelSet(ModelsConfig(profile="demo")).is_of_one_kind
    assert not ModelSet(ModelsConfig(profile="demo", base_model=str(tmp_path))).is_of_one_kind
    assert not ModelSet(ModelsConfig(profile="sd15")).is_of_one_kind
