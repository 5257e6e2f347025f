"""Encodes a request into its `StableDiffusionState`: text, images and reference, each looked up by content first.

The order in which random numbers are drawn is the stock pipeline's: image's latents (only when strength < 1), noise,
masked image's latents. Only the encoder's moments are cached, never its samples: a seed gives the same image
whether or not the cache was warm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image as PilImage

from composition.caching.content_cache import CacheCounts, ContentCache
from composition.caching.content_key import content_key
from composition.controls import CONTROLS
from composition.diffusion import IP_ADAPTER, OWN_NOISE, DiffusionRequest, NoiseCells, ReferenceInput
from composition.errors import InvalidInput
from composition.few_steps import FEW_STEPS
from composition.images import Image, Mask
from composition.request import ControlType, Quality
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.state import Bucket
from runners.diffusion.families.stable_diffusion.components import SAFETY_CHECKER, Components
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.economy import ECONOMIES, Economy
from runners.diffusion.families.stable_diffusion.kept_latents import KeptLatents
from runners.diffusion.families.stable_diffusion.loras import LoraSet, LoraSets
from runners.diffusion.families.stable_diffusion.precision import full_precision
from runners.diffusion.families.stable_diffusion.scheduler import Schedule, build_schedule
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.families.stable_diffusion.state import Area, Control, Reference, StableDiffusionState
from runners.diffusion.families.stable_diffusion.text import TEXT, EncodedPrompt
from runners.visits import ModelVisits

_INPAINTING_CHANNELS = 9


@dataclass(kw_only=True)
class _Lookups:
    """Whether each kind of encoding was found; one that was looked up twice is a hit only if both were."""

    outcome: dict[str, str] = field(default_factory=dict)

    def note(self, kind: str, hit: bool) -> None:
        before = self.outcome.get(kind, "hit")
        self.outcome[kind] = "hit" if hit and before == "hit" else "miss"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Start:
    """What denoising starts from; see `StableDiffusionState`."""

    latents: torch.Tensor
    inpainting: torch.Tensor | None = None
    kept: KeptLatents | None = None
    area: Area | None = None


class Preprocessor:
    """Turns requests into states; used by one thread at a time."""

    def __init__(
        self,
        components: Components,
        controlnets: ControlNetPool,
        loras: LoraSets,
        offload: ModelVisits,
        settings: StableDiffusionSettings,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from diffusers.image_processor import VaeImageProcessor

        self._parts, self._controlnets, self._loras = components, controlnets, loras
        self._offload, self._settings, self._counters = offload, settings, counters
        self._control_processor = VaeImageProcessor(
            vae_scale_factor=components.latent_scale, do_convert_rgb=True, do_normalize=False
        )
        self._cache: ContentCache[Any] = ContentCache(
            max_bytes=settings.cache_max_bytes, ttl_s=settings.cache_ttl_s, size_of=_size_bytes, clock=clock
        )
        self._of_request: tuple[str, dict[bytes, torch.Tensor]] = ("", {})

    def check(self, request: DiffusionRequest) -> None:
        """Refuse what no model of this profile can do, before anything is computed.

        Raises:
            InvalidInput: with what is missing or wrong.
        """
        height, width = request.image.shape[:2]
        multiple = self._parts.latent_scale
        if request.mask.shape != (height, width) or height % multiple or width % multiple:
            raise InvalidInput(f"image and mask must have one size, a multiple of {multiple} px")
        if any(control.image.shape != request.image.shape for control in request.controls.values()):
            raise InvalidInput("a control image must have the image's size")
        if request.area is not None and request.area.shape != (height, width):
            raise InvalidInput("a region's area must have the image's size")
        cells = (height // multiple, width // multiple, 2)
        if request.noise_from is not None and request.noise_from.shape != cells:
            raise InvalidInput("where the noise is from must be said of each latent cell")
        if any(one.mask is not None and one.mask.shape != (height, width) for one in request.references):
            raise InvalidInput("a reference's mask must have the image's size")
        if request.references and self._parts.reference_projection is None:
            raise InvalidInput("a reference image needs an IP-Adapter, which this model profile does not have")
        if request.num_inference_steps < 1 or not 0.0 < request.strength <= 1.0:
            raise InvalidInput("at least one step and a strength above 0, up to 1, are needed")
        self._controlnets.check(tuple(request.controls))
        self._loras.check(request.loras, request.speed)

    def encode(self, request: DiffusionRequest) -> StableDiffusionState:
        """Encode everything that a request needs.

        Raises:
            InvalidInput: see `check`.
        """
        parts, lookups = self._parts, _Lookups()
        if request.request_id != self._of_request[0]:  # its regions have one image, whether or not anything is cached
            self._of_request = (request.request_id, {})
        steps, guidance = request.num_inference_steps, request.guidance_scale
        few = FEW_STEPS.get(request.speed)
        if few is not None:
            steps, guidance = few.pace(steps, guidance)
        schedule = build_schedule(
            parts.pipe.scheduler.config,
            num_inference_steps=steps,
            strength=request.strength,
            speed=request.speed,
            device=parts.device,
            dtype=parts.dtype,
            scheduler=request.scheduler,
        )
        guided = guidance > 1.0
        economy = ECONOMIES[Quality.EXACT if few is not None else request.quality]
        guidance_start, guidance_end = self._guidance_window(len(schedule.timesteps), economy) if guided else (0, 0)
        loras = self._loras.get(request.loras, request.speed)
        conditioning = self._conditioning(request, loras, guided, lookups)
        generator = torch.Generator().manual_seed(request.seed)
        start = self._latents(request, schedule, generator, lookups)
        references = self._references(request, guided, lookups)
        controls = self._controls(request)
        return StableDiffusionState(
            bucket=Bucket(
                latent_size=tuple(start.latents.shape[2:]), shared=loras.key, text_tokens=conditioning[TEXT].shape[1]
            ),
            steps=len(schedule.timesteps),
            models_used=self._models_used(references, controls, loras),
            cache=lookups.outcome,
            notes=loras.notes,
            unet=None if loras is self._loras.plain else loras.unet,
            latents=start.latents,
            inpainting=start.inpainting,
            kept=start.kept,
            area=start.area,
            conditioning=conditioning,
            schedule=schedule,
            step_noise=self._step_noise(schedule, start.latents, generator),
            generator=generator,
            guidance_scale=guidance,
            guidance_start=guidance_start,
            guidance_end=guidance_end,
            economy=economy,
            guidance_rescale=request.guidance_rescale,
            references=references,
            controls=controls,
        )

    def cache_counts(self) -> CacheCounts:
        return self._cache.counts()

    def drop_caches(self) -> None:
        self._cache.clear()
        self._of_request = ("", {})

    def _guidance_window(self, steps: int, economy: Economy) -> tuple[int, int]:
        """The first guided step and the one after the last; at least one is guided."""
        start = min(round(steps * self._settings.guidance_start), steps - 1)
        end = round(steps * min(self._settings.guidance_end, economy.guidance_end))
        return start, max(start + 1, end)

    def _conditioning(
        self, request: DiffusionRequest, loras: LoraSet, guided: bool, lookups: _Lookups
    ) -> dict[str, torch.Tensor]:
        """Each (1 or 2, ...), the negative prompt first; of two texts the shorter is filled with blank prompts."""
        texts = [self._prompt(request.prompt, loras, lookups)]
        if guided:
            texts.insert(0, self._negative_prompt(request.negative_prompt, texts[0], loras, lookups))
        tokens = max(text.tokens for text in texts)
        texts = [self._lengthened(text, tokens, loras, lookups) for text in texts]
        height, width = request.mask.shape
        sizes = self._parts.text.sizes((height, width))
        return {
            TEXT: torch.cat([text.states for text in texts]),
            **{name: torch.cat([text.added[name] for text in texts]) for name in texts[0].added},
            **{name: torch.cat([size] * len(texts)) for name, size in sizes.items()},
        }

    def _negative_prompt(
        self, prompt: str, positive: EncodedPrompt, loras: LoraSet, lookups: _Lookups
    ) -> EncodedPrompt:
        if not prompt and self._parts.text.blank_is_zero:
            return positive.zeros()
        return self._prompt(prompt, loras, lookups)

    def _lengthened(self, text: EncodedPrompt, tokens: int, loras: LoraSet, lookups: _Lookups) -> EncodedPrompt:
        """The text followed by blank prompts, as long as `tokens`."""
        if text.tokens == tokens:
            return text
        blank = self._prompt("", loras, lookups)
        return text.followed_by(blank, (tokens - text.tokens) // blank.tokens)

    def _prompt(self, prompt: str, loras: LoraSet, lookups: _Lookups) -> EncodedPrompt:
        encoder = loras.text

        def encode() -> EncodedPrompt:
            self._counters.add("text_encodes")
            networks = encoder.modules.values()
            with self._offload.on_device(*networks):
                text = encoder.encode(prompt)
            if encoder is not self._parts.text:
                self._offload.forget(*networks)  # those of a set of LoRAs go with their set
            return text

        text: EncodedPrompt
        text, hit = self._cache.get(content_key("text", prompt, loras.text_key), encode)
        lookups.note("text_embeddings", hit)
        return text

    def _latents(
        self, request: DiffusionRequest, schedule: Schedule, generator: torch.Generator, lookups: _Lookups
    ) -> _Start:
        from diffusers.utils.torch_utils import randn_tensor

        parts = self._parts
        height, width = (side // parts.latent_scale for side in request.mask.shape)
        for_inpainting = parts.unet.config.in_channels == _INPAINTING_CHANNELS
        start = None
        if request.strength < 1.0 or not for_inpainting:
            start = self._encode_image(request.image, generator, lookups)
        shape = (1, parts.vae.config.latent_channels, height, width)
        noise = randn_tensor(shape, generator=generator, device=parts.device, dtype=parts.dtype)
        if request.noise_from is not None:
            alone = torch.Generator().manual_seed(request.seed)
            first = randn_tensor(shape, generator=alone, device=parts.device, dtype=parts.dtype)
            noise = _carried(first, noise, request.noise_from)
        if start is None or request.strength == 1.0:
            latents = noise * schedule.scheduler.init_noise_sigma
        else:
            latents = schedule.scheduler.add_noise(start, noise, schedule.timesteps[:1])
        mask = _in_cells(request.mask, height, width).to(parts.device, parts.dtype)
        area = None
        if request.area is not None:
            cells = _in_cells(request.area, height, width).to(parts.device) > 0
            area = Area(mask=cells, image=start, noise=noise)
        if for_inpainting:
            masked = self._encode_image(request.image, generator, lookups, keep=request.mask < 128)
            return _Start(latents=latents, inpainting=torch.cat([mask, masked], dim=1), area=area)
        # The stock pipeline draws for the masked image's latents here, which it does not need either.
        randn_tensor(shape, generator=generator, device=parts.device, dtype=parts.dtype)
        assert start is not None
        return _Start(latents=latents, kept=KeptLatents(image=start, noise=noise, mask=mask), area=area)

    def _step_noise(
        self, schedule: Schedule, latents: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, ...]:
        """What the steps will add, in the order in which the stock pipeline draws it on its way."""
        from diffusers.utils.torch_utils import randn_tensor

        count = len(schedule.timesteps) - 1 if schedule.draws else 0
        return tuple(
            randn_tensor(latents.shape, generator=generator, device=latents.device, dtype=latents.dtype)
            for _ in range(count)
        )

    def _encode_image(
        self, image: Image, generator: torch.Generator, lookups: _Lookups, keep: np.ndarray[Any, Any] | None = None
    ) -> torch.Tensor:
        """A sample (1, 4, h, w) of the image's latents, with everything outside `keep` grey (0 after scaling)."""
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

        parts = self._parts

        def encode() -> torch.Tensor:
            self._counters.add("vae_encodes")
            pixels = parts.pipe.image_processor.preprocess(PilImage.fromarray(image)).to(torch.float32)
            if keep is not None:
                pixels = pixels * torch.from_numpy(keep)[None, None]
            pixels = pixels.to(parts.device, parts.dtype)
            with self._offload.on_device(parts.vae):
                moments = None if parts.upcasts_vae else _moments(parts.vae, pixels)
                if moments is None or not bool(torch.isfinite(moments).all()):
                    self._counters.add("vae_encodes_float32")
                    with full_precision(parts.vae):
                        moments = _moments(parts.vae, pixels.float())
            return moments

        mask_part = b"" if keep is None else np.packbits(keep).tobytes()
        key, own = content_key("vae", image, mask_part), self._of_request[1]
        moments, hit = (own[key], True) if key in own else self._cache.get(key, encode)
        lookups.note("vae_moments", hit)
        own[key] = moments
        sample: torch.Tensor = DiagonalGaussianDistribution(moments).sample(generator=generator).to(parts.dtype)
        # Images come in as channels-last; kernels, and so last bits, depend on the layout: the stock one is this.
        scaling: float = parts.vae.config.scaling_factor
        return (scaling * sample).contiguous()

    def _references(self, request: DiffusionRequest, guided: bool, lookups: _Lookups) -> tuple[Reference, ...]:
        """What the IP-Adapter makes of the references, without those at scale 0."""
        acting = [one for one in request.references if one.scale != 0.0]
        if not acting:
            return ()
        images = [image for one in acting for image in one.images]
        key = content_key("references", *images, "guided" if guided else "alone")
        tokens: torch.Tensor
        tokens, hit = self._cache.get(key, lambda: self._encode_references(images, guided))
        lookups.note("reference_embeddings", hit)
        own = torch.split(tokens, [len(one.images) for one in acting], dim=1)
        return tuple(
            Reference(
                tokens=part.flatten(1, 2),
                scale=one.scale,
                start=request.ip_adapter_start,
                end=request.ip_adapter_end,
                mask=self._reference_mask(request, one),
            )
            for one, part in zip(acting, own, strict=True)
        )

    def _reference_mask(self, request: DiffusionRequest, one: ReferenceInput) -> torch.Tensor | None:
        """Where one of a request's references acts, (1, H, W), 0 or 1; None: everywhere."""
        limits = [] if one.mask is None else [one.mask]
        if request.ip_adapter_mask:
            limits += [request.mask] if request.area is None else [request.mask, request.area]
        if not limits:
            return None
        acts = np.minimum.reduce(limits)
        return torch.from_numpy((acts >= 128).astype(np.float32))[None].to(self._parts.device)

    def _encode_references(self, images: Sequence[Image], guided: bool) -> torch.Tensor:
        """All in one go, as the stock pipeline does it (`ip_adapter_image=[[one, other]]`).

        Returns:
            (1 or 2, images, tokens, channels), the unconditional row first.
        """
        parts = self._parts
        self._counters.add("reference_encodes")
        projection: Any = parts.reference_projection
        with self._offload.on_device(parts.image_encoder, projection):
            embeds, blank = parts.pipe.encode_image(
                [PilImage.fromarray(pad_to_square(image)) for image in images],
                parts.device,
                1,
                parts.reference_hidden_states,
            )
            rows = torch.cat([blank[None], embeds[None]]) if guided else embeds[None]
            tokens: torch.Tensor = projection([rows])[0]
        return tokens

    def _controls(self, request: DiffusionRequest) -> dict[ControlType, Control]:
        """In the order of `CONTROLS`, without those that contribute nothing."""
        parts, controls = self._parts, {}
        for kind in CONTROLS:
            given = request.controls.get(kind)
            if given is None or given.scale == 0.0:
                continue
            self._controlnets.get(kind, needed=len(request.controls))
            pixels = self._control_processor.preprocess(PilImage.fromarray(given.image))
            controls[kind] = Control(
                image=pixels.to(parts.device, parts.dtype).contiguous(),
                scale=given.scale,
                start=given.start,
                end=given.end,
            )
        return controls

    def _models_used(
        self, references: Sequence[Reference], controls: Mapping[ControlType, Control], loras: LoraSet
    ) -> tuple[str, ...]:
        names = [self._parts.names[0]] + [IP_ADAPTER] * bool(references)
        names += [CONTROLS[kind].role for kind in controls]
        names += loras.names
        return (*names, *[SAFETY_CHECKER] * (self._parts.safety_checker is not None))


def _in_cells(mask: Mask, height: int, width: int) -> torch.Tensor:
    """A mask (H, W; 0/255) of whole latent cells as float32 (1, 1, h, w), 0 or 1."""
    return F.interpolate(torch.from_numpy((mask >= 128).astype(np.float32))[None, None], size=(height, width))


def _carried(first: torch.Tensor, own: torch.Tensor, source: NoiseCells) -> torch.Tensor:
    """Noise (1, c, h, w) of which each cell has what the cell that it comes from has in `first`, or its own."""
    from_there = torch.from_numpy(source.astype(np.int64)).to(own.device)
    known = (from_there != OWN_NOISE).all(dim=-1)
    rows, columns = (from_there[..., axis].clamp(max=side - 1) for axis, side in enumerate(own.shape[2:]))
    return torch.where(known, first[:, :, rows, columns], own)


def _size_bytes(encoding: torch.Tensor | EncodedPrompt) -> int:
    if isinstance(encoding, EncodedPrompt):
        return encoding.size_bytes
    return encoding.untyped_storage().nbytes()


def _moments(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    moments: torch.Tensor = vae.encode(pixels).latent_dist.parameters
    return moments


def pad_to_square(image: Image) -> Image:
    """Repeat the edges until the image is square: the image encoder crops to the centre square."""
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return np.pad(image, ((top, side - height - top), (left, side - width - left), (0, 0)), mode="edge")
