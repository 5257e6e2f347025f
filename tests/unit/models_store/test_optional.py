"""A model that a profile does without: imported when asked for by its role, and as good as any other from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from composition.config import ModelsConfig
from models_store import manifest as manifests
from models_store.cli import main
from models_store.importer import import_profile
from models_store.sources import ImportRefused
from models_store.store import ModelSet, ModelsNotImported

SERVED = "StableDiffusionInpaintPipeline"
CLASS = {"pipeline_class": SERVED}
OPTIONAL = "controlnet-depth"
COMMAND = f"python -m models_store import demo --role {OPTIONAL}"


@pytest.fixture
def shipped(tmp_path: Path, store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The weights of a profile demo that has one optional model beside its base."""
    model = {"licence": "MIT", "required": ["config.json"], "size_bytes": 2_000_000}
    tree = {
        "profile": "demo", "description": "a test's", "source": "shipped", "native_size": 256,
        "base_role": "sd-inpainting", "ip_adapter_variant": "sd15",
        "models": {
            "sd-inpainting": {**model, "repository": "org/base", "required": ["model_index.json"]} | CLASS,
            OPTIONAL: {**model, "repository": "org/net", "optional": True},
        },
    }  # fmt: skip
    for name in ("base", "net"):
        (tmp_path / "org" / name).mkdir(parents=True)
        (tmp_path / "org" / name / "config.json").write_text("{}")
    (tmp_path / "org" / "base" / "model_index.json").write_text(json.dumps({"_class_name": SERVED}))
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    monkeypatch.setattr(manifests, "MANIFESTS", tmp_path)
    manifests.load_manifest.cache_clear()
    yield tmp_path
    manifests.load_manifest.cache_clear()


def models(**controlnet: str) -> ModelSet:
    return ModelSet(ModelsConfig.model_validate({"profile": "demo", "controlnet": controlnet}))


def names(tags: tuple[str, ...]) -> list[str]:
    return [tag.split(":")[0].removeprefix("composition-demo-") for tag in tags]


def test_an_import_of_the_profile_leaves_it_out(shipped: Path) -> None:
    assert names(import_profile("demo", shipped=shipped).imported) == ["sd-inpainting"]
    again = import_profile("demo", shipped=shipped)
    assert (names(again.imported), names(again.present)) == ([], ["sd-inpainting"])


def test_an_import_by_role_brings_it_alone_and_once(shipped: Path) -> None:
    assert names(import_profile("demo", OPTIONAL, shipped=shipped).imported) == [OPTIONAL]
    assert names(import_profile("demo", OPTIONAL, shipped=shipped).imported) == []
    assert models().missing == ("sd-inpainting",)


def test_an_unknown_role_is_refused_with_those_there_are(shipped: Path) -> None:
    with pytest.raises(ImportRefused, match=f"no role sam; it has sd-inpainting, {OPTIONAL}"):
        import_profile("demo", "sam", shipped=shipped)


def test_until_it_is_imported_the_profile_has_no_such_role_and_lacks_nothing(shipped: Path) -> None:
    import_profile("demo", shipped=shipped)
    assert models().roles == ("sd-inpainting",)
    assert models().missing == ()
    assert [str(model.tag) for model in models().bento_models()] == [models().tag("sd-inpainting")]
    assert COMMAND in str(models().reason_for_absence(OPTIONAL))
    with pytest.raises(ModelsNotImported, match=f"run: {COMMAND}"):
        models().path(OPTIONAL)


def test_once_imported_it_is_a_role_like_any_other(shipped: Path) -> None:
    import_profile("demo", OPTIONAL, shipped=shipped)
    assert models().roles == ("sd-inpainting", OPTIONAL)
    assert models().reason_for_absence(OPTIONAL) is None
    assert (models().path(OPTIONAL) / "config.json").is_file()
    assert len(models().bento_models()) == 2


def test_a_model_that_the_configuration_puts_in_its_place_is_required(shipped: Path) -> None:
    chosen = models(depth="our-net:v2")
    assert OPTIONAL in chosen.roles
    assert OPTIONAL in chosen.missing
    assert chosen.reason_for_absence(OPTIONAL) is None


def test_a_role_that_the_profile_lacks_altogether_is_said_to_be_lacking(shipped: Path) -> None:
    assert models().reason_for_absence("sam") == "model profile demo has no sam"


def test_list_tells_what_is_optional_and_counts_only_what_an_import_brings(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "demo"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["demo", "2", "MB,"]
    assert [row.split()[:2] for row in rows] == [["sd-inpainting", "-"], [OPTIONAL, "optional"]]
