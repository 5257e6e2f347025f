"""A pipeline's class is read from its folder, and every class that is served has a family to serve it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from models_store.pipelines import FAMILIES, UnservedPipeline, family_of, latent_cell_px, pipeline_class


def test_the_class_is_what_the_index_says(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "SomePipeline", "unet": ["diffusers", "X"]}')
    assert pipeline_class(tmp_path) == "SomePipeline"


@pytest.mark.parametrize("content", [None, "", "<html>", "[]", "{}"])
def test_a_folder_that_says_no_class_has_none_and_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "model_index.json").write_text(content)
    assert pipeline_class(tmp_path) is None
    with pytest.raises(UnservedPipeline, match="the folder is no diffusion pipeline"):
        family_of(None, what="the folder")


@pytest.mark.parametrize(("served", "family"), sorted(FAMILIES.items()))
def test_every_served_class_has_a_folder_with_a_build_module(served: str, family: str) -> None:
    assert family_of(served, what="it") == family
    assert find_spec(f"runners.diffusion.families.{family}.build") is not None


@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '{"block_out_channels": 4}'])
def test_an_autoencoder_that_does_not_say_its_latent_cell_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "vae").mkdir()
        (tmp_path / "vae" / "config.json").write_text(content)
    with pytest.raises(UnservedPipeline, match=r"models\.base_model: x has no autoencoder"):
        latent_cell_px(tmp_path, what="models.base_model: x")
