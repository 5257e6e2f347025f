"""What painted together in training paints the same when it is saved in parts, exported, and trained further."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from demo_models.recipes.export import export_all, export_pipeline, start_from  # noqa: E402
from demo_models.recipes.fine_inpainting import finest  # noqa: E402
from demo_models.recipes.inpainting import ControlledRecipe, InpaintingTrainer, clip_tokenizer, tokenizer_folder  # noqa: E402
from demo_models.recipes.ip_adapter import encoder_input, install, patches_of, set_scale  # noqa: E402
from demo_models.recipes.queue import Means, lacking, train_components  # noqa: E402
from demo_models.recipes.vae import DecoderRecipe  # noqa: E402
from demo_models.recipes.workdir import note_origin, start_folder, weights_folder  # noqa: E402


@pytest.fixture
def trained(tmp_path, monkeypatch) -> InpaintingTrainer:
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path / "work"))
    clip_tokenizer.cache_clear()
    torch.manual_seed(3)
    module = InpaintingTrainer.begin(None).eval()
    for name, parameter in module.named_parameters():
        if "controlnet_down_blocks" in name:  # zero at birth: a ControlNet that cannot be told from none
            torch.nn.init.normal_(parameter, std=0.05)
    recipe = ControlledRecipe(scenes=None, latents_folder=tmp_path)  # type: ignore[arg-type]
    with torch.no_grad():
        recipe.save(module, weights_folder("controlled"))
    return module


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(5)
    stacked = torch.randn(2, 9, 32, 32, generator=generator)
    context = torch.randn(2, 77, 128, generator=generator)
    image = (torch.rand(40, 40, 3, generator=generator) * 255).byte().numpy()
    depth = torch.rand(2, 3, 256, 256, generator=generator)
    return stacked, torch.tensor([500, 20]), context, encoder_input([image, image]), ("depth", depth)


@torch.no_grad()
def predictions(module: InpaintingTrainer, inputs) -> list[torch.Tensor]:
    stacked, timesteps, context, images, control = inputs
    plain = module.noise(stacked, timesteps, context)
    set_scale(module.unet, 0.6)
    referred = module.noise(stacked, timesteps, context, patches_of(module.image_encoder, images))
    steered = module.noise(stacked, timesteps, context, None, control, 0.8)
    return [plain, referred, steered]


def test_each_condition_changes_the_noise(trained, inputs):
    plain, referred, steered = predictions(trained, inputs)
    assert (plain - referred).abs().max() > 1e-4
    assert (plain - steered).abs().max() > 1e-4


@torch.no_grad()
def test_the_saved_unet_paints_like_the_trained_one_without_conditions(trained, inputs):
    from diffusers import UNet2DConditionModel

    stacked, timesteps, context, images, _ = inputs
    plain, referred, _ = predictions(trained, inputs)
    saved = UNet2DConditionModel.from_pretrained(weights_folder("controlled") / "unet")
    assert saved.config.encoder_hid_dim_type is None
    assert torch.allclose(saved(stacked, timesteps, context).sample, plain, atol=1e-5)
    install(saved, weights_folder("controlled") / "ip-adapter" / "models")  # written in half precision
    set_scale(saved, 0.6)
    patches = {"image_embeds": [patches_of(trained.image_encoder, images)]}
    again = saved(stacked, timesteps, context, added_cond_kwargs=patches).sample
    assert torch.allclose(again, referred, atol=2e-2)


def test_words_keep_the_numbers_they_were_trained_with(trained, tmp_path: Path):
    for name in ("vocab.json", "merges.txt"):
        used = (tmp_path / "work" / "tokenizers" / "clip" / name).read_text()
        assert (weights_folder("controlled") / "tokenizer" / name).read_text() == used


def test_what_a_component_builds_on_must_have_been_trained(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path))
    assert lacking("controlled") == ["vae", "inpainting"]
    assert lacking("sam") == []
    assert lacking("fine") == ["vae-fine", "controlled"]
    (tmp_path / "start" / "controlled").mkdir(parents=True)
    assert lacking("controlled") == ["vae"]
    assert lacking("fine") == ["vae-fine"]
    assert lacking("vae-fine") == ["vae-decoder"]


def made(component: str, origin: str) -> None:
    """Weights that were made from another component's."""
    folder = weights_folder(component)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.ones(2)}, folder / "weights.safetensors")
    note_origin(folder, origin)


def test_what_was_made_from_other_painters_is_not_exported_with_these(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path / "work"))
    made("lcm-lora", "controlled")
    made("taesd", "vae")
    repositories = ("latent-consistency/lcm-lora-sdv1-5", "madebyollin/taesd")
    assert not {"lcm-lora", "taesd"} & {*export_all(tmp_path / "coarse")}
    for repository in repositories:
        assert [file.name for file in (tmp_path / "coarse" / repository).iterdir()] == ["weights.safetensors"]
    for component in ("vae-fine", "fine"):
        weights_folder(component).mkdir(parents=True)
    assert finest() == ("vae-fine", "fine")
    assert {"lcm-lora", "taesd"} <= {*export_all(tmp_path / "fine")}
    assert not any((tmp_path / "fine" / repository).exists() for repository in repositories)


def test_training_goes_on_from_exported_weights(trained, inputs, tmp_path: Path):
    from diffusers import AutoencoderKL

    from demo_models.recipes.export import _PAINTERS_PARTS, _SINGLE, copy_half
    from demo_models.recipes.sam import SegmentTrainer

    AutoencoderKL(
        block_out_channels=(8,) * 4, norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(weights_folder("vae"))  # fmt: skip
    SegmentTrainer().segmenter.save_pretrained(weights_folder("sam"))
    weights_folder("grounding-dino").mkdir()
    assert export_pipeline(tmp_path / "weights")
    copy_half(weights_folder("sam"), tmp_path / "weights" / _SINGLE["sam"])
    for part, repository in _PAINTERS_PARTS.items():
        copy_half(weights_folder(f"controlled/{part}"), tmp_path / "weights" / repository)
    (tmp_path / "weights" / _SINGLE["grounding-dino"]).mkdir(parents=True, exist_ok=True)
    recipe = DecoderRecipe(scenes=None, held_out=None)  # type: ignore[arg-type]
    assert tuple(recipe.build().autoencoder.config.block_out_channels) == (16,) * 4
    assert {"controlled", "sam", "grounding-dino"} <= set(start_from(tmp_path / "weights"))
    assert tuple(recipe.build().autoencoder.config.block_out_channels) == (8,) * 4
    assert lacking("controlled") == []
    assert lacking("inpainting") == []
    assert lacking("vae-fine") == []
    exported = tmp_path / "weights" / "stable-diffusion-v1-5" / "stable-diffusion-inpainting" / "tokenizer"
    assert (tokenizer_folder() / "vocab.json").read_text() == (exported / "vocab.json").read_text()
    resumed = InpaintingTrainer.begin(start_folder("controlled")).eval()
    for before, after in zip(predictions(trained, inputs), predictions(resumed, inputs), strict=True):
        assert torch.allclose(before, after, atol=2e-2)
    words = trained.text_encoder(torch.tensor([[1, 2, 3]]))[0], resumed.text_encoder(torch.tensor([[1, 2, 3]]))[0]
    assert torch.allclose(*words, atol=2e-2)
    assert SegmentTrainer(start_folder("sam")).segmenter.dtype == torch.float32


@pytest.mark.parametrize("name", ["grounding-dino", "yolox"])
def test_what_trains_on_a_processor_only_is_refused_on_a_gpu_before_anything_is_rendered(tmp_path, monkeypatch, name):
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path))
    with pytest.raises(ValueError, match=f"{name} trains on a processor only"):
        train_components(["vae", name], Means(device="cuda"))
    assert list(tmp_path.iterdir()) == []
