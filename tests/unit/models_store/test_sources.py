"""Files are copied or refused; nothing incomplete gets through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models_store.manifest import Manifest
from models_store.sources import ImportRefused, obtain

MODEL = {
    "repository": "org/name",
    "licence": "MIT",
    "files": ["*.json", "unet/*"],
    "required": ["config.json", "unet/weights.pt"],
    "pipeline_class": "StableDiffusionInpaintPipeline",
    "size_bytes": 1,
}


@pytest.fixture
def manifest() -> Manifest:
    return Manifest.model_validate(
        {
            "profile": "demo",
            "description": "a test's",
            "source": "shipped",
            "native_size": 256,
            "base_role": "sd-inpainting",
            "ip_adapter_variant": "sd15",
            "models": {"sd-inpainting": MODEL},
        }
    )


def ship(folder: Path, *paths: str, pipeline: str = "StableDiffusionInpaintPipeline") -> None:
    for path in paths:
        target = folder / "org" / "name" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("{}")
    (folder / "org" / "name" / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))


def test_a_shipped_profile_is_copied_from_its_folder(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json", "unet/weights.pt", "notes.md")
    folder = obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped").folder
    assert (folder / "unet" / "weights.pt").read_text() == "{}"
    assert not (folder / "notes.md").exists()


def test_where_no_weights_are_shipped_it_is_said_where_they_are(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"no .*nowhere/org/name\. They come with the source code.* profile tiny"):
        obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "nowhere")


def test_an_incomplete_repository_is_refused_with_what_it_lacks(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json")
    with pytest.raises(ImportRefused, match=r"lacks unet/weights\.pt"):
        obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped")


def test_a_file_with_another_digest_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json", "unet/weights.pt")
    model = manifest.models["sd-inpainting"].model_copy(update={"sha256": {"unet/weights.pt": "0" * 64}})
    pinned = manifest.model_copy(update={"models": {"sd-inpainting": model}})
    with pytest.raises(ImportRefused, match=r"unet/weights\.pt has SHA-256 44136fa.*, 000.* is expected"):
        obtain(pinned, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped")


def test_a_broken_file_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json", "unet/weights.pt")
    (tmp_path / "shipped" / "org" / "name" / "config.json").write_text("<html>not found</html>")
    with pytest.raises(ImportRefused, match=r"org/name: config\.json is not JSON"):
        obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped")


def test_a_pipeline_of_another_class_than_the_manifest_says_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json", "unet/weights.pt", pipeline="FluxInpaintPipeline")
    with pytest.raises(ImportRefused, match="is a FluxInpaintPipeline; StableDiffusionInpaintPipeline is wanted"):
        obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped")
