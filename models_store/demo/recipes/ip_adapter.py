"""The IP-Adapter: what a reference picture looks like, told to the frozen UNet.

"Plus" style: a perceiver reads the patches of the reference, so that patterns get through and not the mean colour only
(Ye et al. 2023, arXiv:2308.06721).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from models_store.demo.recipes.diffusion import inpaint, noise_loss, noised, stratified_timesteps
from models_store.demo.recipes.edit_scores import edit_cells, held_out_edits, share_halfway, write_sheet
from models_store.demo.recipes.inpainting import TEXT_WIDTH, latent_batch, token_ids, training_prompt
from models_store.demo.recipes.latents import LatentSet
from models_store.demo.recipes.masks import VARIANTS
from models_store.demo.recipes.shards import SceneSet
from models_store.demo.recipes.training import Settings
from models_store.demo.recipes.workdir import weights_folder, workdir
from models_store.demo.world.cars import Car
from models_store.demo.world.edits import REFERENCE
from models_store.demo.world.wheels import Rim, rim_reference

_SETTINGS: Final = Settings(minutes=60, learning_rate=8e-4)
_BATCH: Final = 12
_TOKENS: Final = 16
_WIDTH: Final = 96
_ENCODED_PX: Final = 224
_BARE_PROMPTS: Final = 0.85
"""Share of captions reduced to the noun: the look must then come from the reference."""
_WITHOUT_REFERENCE: Final = 0.08
_OUTSIDE_WEIGHT: Final = 0.1
_MEAN: Final = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
_STD: Final = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
_SCORED_EDITS: Final = 18


def new_image_encoder() -> CLIPVisionModelWithProjection:
    """Returns a small CLIP vision model with patches of 16 pixels."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=_WIDTH,
            intermediate_size=3 * _WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=_ENCODED_PX,
            patch_size=16,
            projection_dim=TEXT_WIDTH,
        )
    )


def published_name(name: str) -> str:
    """Returns the first publication's name of a tensor of diffusers' perceiver."""
    name = re.sub(r"layers\.(\d+)\.ln0", r"layers.\1.0.norm1", name)
    name = re.sub(r"layers\.(\d+)\.ln1", r"layers.\1.0.norm2", name)
    name = re.sub(r"layers\.(\d+)\.attn\.to_out\.0", r"layers.\1.0.to_out", name)
    name = re.sub(r"layers\.(\d+)\.attn\.", r"layers.\1.0.", name)
    name = re.sub(r"layers\.(\d+)\.ff\.1\.net\.0\.proj", r"layers.\1.1.1", name)
    name = re.sub(r"layers\.(\d+)\.ff\.1\.net\.2", r"layers.\1.1.3", name)
    return re.sub(r"layers\.(\d+)\.ff\.0", r"layers.\1.1.0", name)


def published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a perceiver's tensors as the published files have them: renamed, keys and values in one matrix."""
    renamed = {published_name(name): tensor.detach().clone() for name, tensor in tensors.items()}
    for name in [name for name in renamed if name.endswith("to_k.weight")]:
        stem = name.removesuffix("to_k.weight")
        renamed[f"{stem}to_kv.weight"] = torch.cat([renamed.pop(name), renamed.pop(f"{stem}to_v.weight")])
    return renamed


def install(unet: UNet2DConditionModel) -> None:
    """Gives a UNet an untrained adapter; its keys and values start as copies of the text's."""
    attention = {}
    crossing = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for index, name in enumerate(crossing):
        layer = unet.get_submodule(name.removesuffix(".processor"))
        attention[f"{2 * index + 1}.to_k_ip.weight"] = layer.to_k.weight.detach().clone()
        attention[f"{2 * index + 1}.to_v_ip.weight"] = layer.to_v.weight.detach().clone()
    perceiver = IPAdapterPlusImageProjection(
        embed_dims=_WIDTH, output_dims=TEXT_WIDTH, hidden_dims=_WIDTH, depth=4, heads=1, num_queries=_TOKENS
    )
    state = {"ip_adapter": attention, "image_proj": published(perceiver.state_dict())}
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)


class AdapterTrainer(nn.Module):
    """The frozen UNet and text encoder with an adapter and an image encoder to be trained."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        """Takes the trained UNet and text encoder."""
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        self.requires_grad_(False)
        install(unet)
        self.image_encoder = new_image_encoder()
        for name, parameter in self.named_parameters():
            parameter.requires_grad_("_ip." in name or "encoder_hid_proj" in name or name.startswith("image_encoder"))

    def patches(self, references: Tensor) -> Tensor:
        """Returns the last but one layer of the image encoder, (N, 1, 197, 96), as pipelines pass it."""
        hidden: Tensor = self.image_encoder(references, output_hidden_states=True).hidden_states[-2]
        return hidden[:, None]

    def noise(self, stacked: Tensor, timesteps: Tensor, context: Tensor, patches: Tensor) -> Tensor:
        """Returns the predicted noise."""
        planes = stacked.contiguous(memory_format=torch.channels_last)
        extra = {"image_embeds": [patches]}
        predicted: Tensor = self.unet(planes, timesteps, context, added_cond_kwargs=extra).sample
        return predicted

    def forward(
        self,
        whole: Tensor,
        masked: Tensor,
        cells: Tensor,
        timesteps: Tensor,
        input_ids: Tensor,
        references: Tensor,
    ) -> dict[str, Tensor]:
        """Returns the loss."""
        noise = torch.randn_like(whole)
        stacked = torch.cat([noised(whole, noise, timesteps), cells, masked], dim=1)
        predicted = self.noise(stacked, timesteps, self.text_encoder(input_ids)[0], self.patches(references))
        return {"loss": noise_loss(predicted, noise, timesteps, cells, _OUTSIDE_WEIGHT)}


def encoder_input(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Returns RGB uint8 squares as float32 (N, 3, 224, 224), standardised as CLIP expects."""
    side = (_ENCODED_PX, _ENCODED_PX)
    resized = [np.asarray(Image.fromarray(p).resize(side, Image.Resampling.BICUBIC)) for p in pictures]
    return (torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255 - _MEAN) / _STD


@lru_cache(maxsize=256)
def _rim_picture(style: str, colour: str, turn: int) -> NDArray[np.uint8]:
    return rim_reference(Rim(style=style, colour=colour, turn_rad=turn / 10))


@dataclass(kw_only=True)
class AdapterRecipe:
    """Trains the IP-Adapter and its image encoder beside the frozen UNet."""

    scenes: SceneSet
    latents: LatentSet
    name: str = "ip-adapter"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return AdapterTrainer(*load_base())

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws scenes, masks, mostly bare captions, and a reference that shows the masked thing's look."""
        indices, variants = rng.integers(0, len(self.latents), _BATCH), rng.choice(VARIANTS, _BATCH)
        prompts, references = [], []
        for index, variant in zip(indices, variants, strict=True):
            label = self.latents.labels[index][variant]
            bare = rng.random() < _BARE_PROMPTS
            spec = self.latents.spec(index)
            prompts.append(bare_prompt(label, rng) if bare else training_prompt(spec, label, rng))
            references.append(self._reference(int(index), label, rng))
        pixels = encoder_input(references)
        pixels[torch.from_numpy(rng.random(_BATCH) < _WITHOUT_REFERENCE)] = 0
        extra = {"timesteps": stratified_timesteps(_BATCH), "input_ids": token_ids(prompts), "references": pixels}
        return latent_batch(self.latents, indices, variants) | extra

    def _reference(self, index: int, label: str, rng: np.random.Generator) -> NDArray[np.uint8]:
        subject = self.latents.spec(index).subject
        if isinstance(subject, Car) and label in ("rims", "wheels"):
            return _rim_picture(subject.rim.style, subject.rim.colour, int(rng.integers(0, 20)))
        row = self.scenes.index_of(self.latents.seed(index))
        sample = self.scenes.take("swatches", np.array([row]))[0].astype(np.uint8)
        side = int(rng.integers(80, len(sample) + 1))
        top, left = rng.integers(0, len(sample) - side + 1, 2)
        return np.ascontiguousarray(sample[top : top + side, left : left + side])

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of held-out reference edits that come halfway in colour, with the adapter and without."""
        assert isinstance(module, AdapterTrainer)
        autoencoder = AutoencoderKL.from_pretrained(weights_folder("vae")).eval()
        pairs = held_out_edits(REFERENCE, _SCORED_EDITS)
        cells = np.stack([edit_cells(pair, True) for pair in pairs])
        scores = {}
        for scale in (1.0, 0.0):
            for processor in module.unet.attn_processors.values():
                if hasattr(processor, "scale"):
                    processor.scale = [scale]
            results: list[NDArray[np.uint8]] = []
            for first in range(0, len(pairs), 6):
                results += self._edit(module, autoencoder, pairs[first : first + 6], cells[first : first + 6])
            scores[f"reference_at_scale_{scale:.0f}"] = share_halfway(pairs, results)
            if scale:
                write_sheet(pairs, list(cells), results, workdir() / "runs" / self.name / "reference.png")
        return scores

    def _edit(
        self, module: AdapterTrainer, autoencoder: AutoencoderKL, pairs: Sequence[Any], cells: NDArray[np.bool_]
    ) -> list[NDArray[np.uint8]]:
        prompts = ["car with sport rims" if pair.noun == "rims" else f"a {pair.noun}" for pair in pairs]
        context = tuple(module.text_encoder(token_ids(words))[0] for words in ([""] * len(pairs), prompts))
        pixels = encoder_input([pair.reference for pair in pairs])
        patches = module.patches(torch.cat([torch.zeros_like(pixels), pixels]))

        def predict(stacked: Tensor, timestep: Tensor, words: Tensor) -> Tensor:
            return module.noise(stacked, timestep, words, patches)

        images = np.stack([pair.before.image for pair in pairs])
        return list(inpaint(predict, autoencoder, images, cells, (context[0], context[1])))

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the encoder and the adapter under the names of the published repository."""
        assert isinstance(module, AdapterTrainer)
        models = folder / "models"
        module.image_encoder.save_pretrained(models / "image_encoder")
        perceiver = module.unet.encoder_hid_proj.image_projection_layers[0]
        tensors = {f"image_proj.{name}": tensor for name, tensor in published(perceiver.state_dict()).items()}
        crossing = [p for name, p in module.unet.attn_processors.items() if name.endswith("attn2.processor")]
        for index, processor in enumerate(crossing):
            for kind, layer in (("k", processor.to_k_ip[0]), ("v", processor.to_v_ip[0])):
                tensors[f"ip_adapter.{2 * index + 1}.to_{kind}_ip.weight"] = layer.weight.detach()
        halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
        save_file(halves, models / "ip-adapter-plus_sd15.safetensors", metadata={"format": "pt"})


def bare_prompt(label: str, rng: np.random.Generator) -> str:
    """Returns words that name a thing and not its look; sometimes nothing."""
    if rng.random() < 0.1:
        return ""
    if label in ("rims", "wheels"):
        return str(rng.choice(["sport rims", "car with sport rims", "car with rims", "wheels"]))
    return str(rng.choice([f"a {label}", label, f"person wearing {label}", f"this {label}"]))


def load_base() -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Returns the trained UNet and text encoder."""
    folder = weights_folder("inpainting")
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").to(memory_format=torch.channels_last)
    return unet, CLIPTextModel.from_pretrained(folder / "text_encoder")
