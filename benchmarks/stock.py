"""What we are measured against: stock diffusers pipelines over the same model folders, one request at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import (
    ControlNetModel,
    DPMSolverMultistepScheduler,
    LCMScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from diffusers.image_processor import IPAdapterMaskProcessor
from PIL import Image as PilImage
from safetensors.torch import load_file

from composition.diffusion import DiffusionRequest, ReferenceInput
from composition.images import Image, Mask
from composition.lora import LoraKind, LoraUse
from composition.request import Scheduler, Speed
from runners.diffusion.families.stable_diffusion.components import IMAGE_ENCODER
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.preprocess import pad_to_square

TCD_ETA = 0.3
"""Of the TCD-LoRA's model cards; the stock pipelines would take 0."""


class StockPipelines:
    """Loads each combination once; every call gets the pipeline in a fresh state. For the family of the paths."""

    def __init__(self, paths: StableDiffusionPaths, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        self._device = device
        self._paths, self._kind, self._dtype = paths, paths.kind, dtype
        self._bases: dict[str | None, Any] = {}
        self._saved_schedulers: dict[str | None, Any] = {}
        self._controlnets: dict[Any, Any] = {}
        self._vocabularies: dict[Any, int] = {}

    def latents(
        self,
        request: DiffusionRequest,
        ip_variant: str | None,
        conditioning: Mapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """The final latents (1, 4, h, w).

        Args:
            request: what is painted; with `conditioning`, its guidance is above 1.
            ip_variant: None is a pipeline that never had an IP-Adapter.
            conditioning: of negative prompt and prompt (2, ...), by the UNet's names, instead of the request's words.
        """
        latents: torch.Tensor = self._run(request, ip_variant, "latent", conditioning)
        return latents

    def image(self, request: DiffusionRequest, ip_variant: str | None) -> Image:
        """The model's image (H, W, 3)."""
        return np.asarray(self._run(request, ip_variant, "pil")[0])

    def _run(
        self,
        request: DiffusionRequest,
        ip_variant: str | None,
        output_type: str,
        conditioning: Mapping[str, torch.Tensor] | None = None,
    ) -> Any:
        height, width = request.mask.shape
        options: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "image": PilImage.fromarray(request.image),
            "mask_image": PilImage.fromarray(request.mask),
            "num_inference_steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "strength": request.strength,
            "generator": torch.Generator().manual_seed(request.seed),
            "height": height,
            "width": width,
            "output_type": output_type,
        }
        if conditioning is not None:
            del options["prompt"], options["negative_prompt"]
            options |= _in_place_of_words(conditioning)
        if request.speed is Speed.TURBO:
            options["eta"] = TCD_ETA
        pipe = self._base(ip_variant)
        if ip_variant is not None:
            options |= _reference_options(pipe, request)
        pipe.scheduler = _scheduler(request, self._saved_schedulers[ip_variant])
        if request.controls:
            kinds = list(request.controls)
            controls = [request.controls[kind] for kind in kinds]
            controlled = getattr(diffusers, self._kind.pipeline.replace("Inpaint", "ControlNetInpaint"))
            controlnets = [self._controlnet(kind) for kind in kinds]
            pipe = controlled(**{**self._kind.options, **pipe.components, "controlnet": controlnets})
            options |= {
                "control_image": [PilImage.fromarray(control.image) for control in controls],
                "controlnet_conditioning_scale": [control.scale for control in controls],
                "control_guidance_start": [control.start for control in controls],
                "control_guidance_end": [control.end for control in controls],
            }
        pipe.set_progress_bar_config(disable=True)
        return pipe(**options).images

    def add_lora(self, ip_variant: str | None, folder: Any) -> None:
        """Put the LoRA of a speed on one of the pipelines, for good."""
        self._base(ip_variant).load_lora_weights(str(folder), weight_name="pytorch_lora_weights.safetensors")

    def wear(self, ip_variant: str | None, loras: Sequence[LoraUse]) -> None:
        """Have exactly these LoRAs and embeddings on one of the pipelines, in their order."""
        pipe = self._base(ip_variant)
        pipe.unload_lora_weights()
        # What was under an adapter stays marked as needing no gradient, and by that torch chooses how it multiplies.
        pipe.unet.requires_grad_(True)
        pairs = [(pipe.tokenizer, pipe.text_encoder)]
        if hasattr(pipe, "tokenizer_2"):
            pairs.append((pipe.tokenizer_2, pipe.text_encoder_2))
        for tokenizer, encoder in pairs:
            encoder.requires_grad_(True)
            if len(tokenizer) > self._vocabularies.setdefault((ip_variant, id(encoder)), len(tokenizer)):
                pipe.unload_textual_inversion(tokenizer=tokenizer, text_encoder=encoder)
        names: list[str] = []
        for lora in loras:
            path = Path(lora.path)
            if lora.kind is LoraKind.EMBEDDING and len(pairs) == 2:
                vectors = load_file(path)
                for (tokenizer, encoder), key in zip(pairs, ("clip_l", "clip_g"), strict=True):
                    pipe.load_textual_inversion(
                        vectors[key], token=lora.token, tokenizer=tokenizer, text_encoder=encoder
                    )
            elif lora.kind is LoraKind.EMBEDDING:
                pipe.load_textual_inversion(str(path.parent), weight_name=path.name, token=lora.token)
            else:
                names.append(f"adapter{len(names)}")
                pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=names[-1])
        if names:
            pipe.set_adapters(names, [lora.weight for lora in loras if lora.kind is LoraKind.LORA])

    def fuse(self, ip_variant: str | None) -> None:
        """Add what is worn to the weights, for good."""
        pipe = self._base(ip_variant)
        pipe.fuse_lora(
            components=[name for name in pipe._lora_loadable_modules if getattr(pipe, name, None) is not None]
        )

    def _base(self, ip_variant: str | None) -> Any:
        if ip_variant not in self._bases:
            plain = getattr(diffusers, self._kind.pipeline)
            pipe = plain.from_pretrained(self._paths.base, dtype=self._dtype, **self._kind.options)
            if ip_variant is not None:
                subfolder, _, weights = self._kind.adapters[ip_variant].rpartition("/")
                pipe.load_ip_adapter(
                    str(self._paths.ip_adapter),
                    subfolder=subfolder,
                    weight_name=weights,
                    image_encoder_folder=IMAGE_ENCODER,
                )
            self._bases[ip_variant] = pipe.to(self._device)
            self._saved_schedulers[ip_variant] = pipe.scheduler.config
        return self._bases[ip_variant]

    def _controlnet(self, kind: Any) -> Any:
        if kind not in self._controlnets:
            network = ControlNetModel.from_pretrained(self._paths.controlnets[kind], dtype=self._dtype)
            self._controlnets[kind] = network.to(self._device)
        return self._controlnets[kind]


def _scheduler(request: DiffusionRequest, saved: Any) -> Any:
    """From the saved configuration: of the last one used, its settings would stay."""
    if request.speed is Speed.FAST:
        return LCMScheduler.from_config(saved)
    if request.speed is Speed.TURBO:
        return TCDScheduler.from_config(saved)
    if request.scheduler is Scheduler.UNIPC:
        return UniPCMultistepScheduler.from_config(saved, timestep_spacing="linspace")
    karras = request.scheduler is Scheduler.DPM_SOLVER_KARRAS
    return DPMSolverMultistepScheduler.from_config(saved, timestep_spacing="linspace", use_karras_sigmas=karras)


def _reference_options(pipe: Any, request: DiffusionRequest) -> dict[str, Any]:
    """The references, where and when they act: scales are set from step to step, as stock has no window for them.

    Where one has a mask, or there are several, each has one image: stock has one mask and one scale for each.
    """
    steps = max(1, min(int(request.num_inference_steps * request.strength), request.num_inference_steps))
    masked = request.ip_adapter_mask or any(one.mask is not None for one in request.references)
    apart = len(request.references) > 1 or masked
    assert not apart or all(len(one.images) == 1 for one in request.references)
    scales = [one.scale for one in request.references]

    def scale(step: int) -> Any:
        acts = step / steps >= request.ip_adapter_start and (step + 1) / steps <= request.ip_adapter_end
        now = scales if acts else [0.0] * len(scales)
        return [now] if apart else sum(now)

    def after_step(pipe: Any, step: int, timestep: Any, kept: dict[str, Any]) -> dict[str, Any]:
        pipe.set_ip_adapter_scale(scale(step + 1))
        return kept

    pipe.set_ip_adapter_scale(scale(0))
    images = [PilImage.fromarray(pad_to_square(image)) for one in request.references for image in one.images]
    options: dict[str, Any] = {"ip_adapter_image": [images]}
    if (request.ip_adapter_start, request.ip_adapter_end) != (0.0, 1.0):
        options["callback_on_step_end"] = after_step
    if apart:
        height, width = request.mask.shape
        drawn = [PilImage.fromarray(_acts(request, one)) for one in request.references]
        masks = IPAdapterMaskProcessor().preprocess(drawn, height=height, width=width)
        options["cross_attention_kwargs"] = {"ip_adapter_masks": [masks.reshape(1, len(drawn), height, width)]}
    return options


def _acts(request: DiffusionRequest, reference: ReferenceInput) -> Mask:
    """Where a reference acts."""
    acts = np.full_like(request.mask, 255) if reference.mask is None else reference.mask
    return np.minimum(acts, request.mask) if request.ip_adapter_mask else acts


def _in_place_of_words(conditioning: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    text = conditioning["encoder_hidden_states"]
    options = {"prompt_embeds": text[1:], "negative_prompt_embeds": text[:1]}
    if "text_embeds" in conditioning:
        pooled = conditioning["text_embeds"]
        options |= {"pooled_prompt_embeds": pooled[1:], "negative_pooled_prompt_embeds": pooled[:1]}
    return options
