"""What we are measured against: stock diffusers pipelines over the same model folders, one request at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import ControlNetModel, DPMSolverMultistepScheduler, LCMScheduler
from PIL import Image as PilImage

from composition.diffusion import DiffusionRequest
from composition.images import Image
from composition.request import Speed
from runners.diffusion.families.stable_diffusion.components import IMAGE_ENCODER
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.preprocess import pad_to_square


class StockPipelines:
    """Loads each combination once; every call gets the pipeline in a fresh state. For the family of the paths."""

    def __init__(self, paths: StableDiffusionPaths, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        self._device = device
        self._paths, self._kind, self._dtype = paths, paths.kind, dtype
        self._bases: dict[str | None, Any] = {}
        self._controlnets: dict[Any, Any] = {}

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
        pipe = self._base(ip_variant)
        if ip_variant is not None:
            pipe.set_ip_adapter_scale(request.ip_adapter_scale)
            options["ip_adapter_image"] = PilImage.fromarray(pad_to_square(request.references[0]))
        if request.speed is Speed.FAST:
            pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
        else:
            pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, timestep_spacing="linspace")
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
        """Put the LCM-LoRA on one of the pipelines, for good."""
        self._base(ip_variant).load_lora_weights(str(folder), weight_name="pytorch_lora_weights.safetensors")

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
        return self._bases[ip_variant]

    def _controlnet(self, kind: Any) -> Any:
        if kind not in self._controlnets:
            network = ControlNetModel.from_pretrained(self._paths.controlnets[kind], dtype=self._dtype)
            self._controlnets[kind] = network.to(self._device)
        return self._controlnets[kind]


def _in_place_of_words(conditioning: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    text = conditioning["encoder_hidden_states"]
    options = {"prompt_embeds": text[1:], "negative_prompt_embeds": text[:1]}
    if "text_embeds" in conditioning:
        pooled = conditioning["text_embeds"]
        options |= {"pooled_prompt_embeds": pooled[1:], "negative_pooled_prompt_embeds": pooled[:1]}
    return options
