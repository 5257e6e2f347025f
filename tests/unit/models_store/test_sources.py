"""Files are copied or refused; nothing incomplete gets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store.manifest import Manifest
from models_store.sources import ImportRefused, obtain

MODEL = {
    "repository": "org/name",
    "licence": "MIT",
    "files": ["*.json", "unet/*"],
    "required": ["config.json", "unet/weights.bin"],
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


def ship(folder: Path, *paths: str) -> None:
    for path in paths:
        target = folder / "org" / "name" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)


def test_a_shipped_profile_is_copied_from_its_folder(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json", "unet/weights.bin", "notes.md")
    folder = obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped")
    assert (folder / "unet" / "weights.bin").read_text() == "unet/weights.bin"
    assert not (folder / "notes.md").exists()


def test_a_profile_that_is_not_shipped_yet_says_what_to_use_instead(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"not shipped yet.*Use profile tiny"):
        obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "nowhere")


def test_an_incomplete_repository_is_refused_with_what_it_lacks(manifest: Manifest, tmp_path: Path) -> None:
    ship(tmp_path / "shipped", "config.json")
    with pytest.raises(ImportRefused, match=r"lacks unet/weights\.bin"):
        obtain(manifest, "sd-inpainting", tmp_path / "new", shipped=tmp_path / "shipped")
