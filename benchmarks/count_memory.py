"""What the memory planner's figures are: parameters per component, and the peak of activations per row and size.

Usage: python -m benchmarks.count_memory [--out out/count_memory.json]

Counted without a GPU and without weights: the networks are built at their published widths with tensors that have a
shape and no content, and every storage that comes to life while one runs is added up until it dies. Attention counts
as fused (no matrix of all pairs), as PyTorch's and xformers' kernels on a GPU are. What a library's kernels take as
workspace is not in it: the planner adds its headroom for that. Minutes on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HALF = torch.float16
IN_FLOAT32 = ("grounding-dino",)
WITH_NUMBERS = ("grounding-dino", "depth-anything")
"""These look at their numbers on the way, so they get some: slower, and their random weights take memory."""
SD15_SIZES, SDXL_SIZES = (512, 768, 1024), (768, 1024)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that are alive; `peak` since the last `reset`, on top of what was alive then."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[int, int] = {}
        self._now = self._base = self._peak = 0

    def reset(self) -> None:
        self._base = self._peak = self._now

    @property
    def peak(self) -> int:
        return self._peak - self._base

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._note(leaf.untyped_storage())
        self._peak = max(self._peak, self._now)
        return result

    def _note(self, storage: Any) -> None:
        key = storage._cdata
        if key in self._alive:
            return
        size = storage.nbytes()
        self._alive[key] = size
        self._now += size
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._alive.pop(key, None)
        self._now -= size


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/count_memory.json"))
    parser.add_argument("--only", default="", help="names that start with this")
    options = parser.parse_args(arguments)
    report: dict[str, dict[str, int]] = {"parameters": {}, "peak_bytes": {}}
    for name, build in BUILDERS.items():
        if not name.startswith(tuple(options.only.split(","))):
            continue
        with counting(torch.float32 if name in IN_FLOAT32 else HALF, fake=name not in WITH_NUMBERS) as live:
            module, runs = build()
            report["parameters"][name] = sum(parameter.numel() for parameter in module.parameters())
            print(f"{name:32} {report['parameters'][name]:>15,} parameters", flush=True)
            for what, run in runs.items():
                live.reset()
                run()
                report["peak_bytes"][f"{name} {what}"] = live.peak
                print(f"{name:32} {live.peak / 1e6:>12,.1f} MB  {what}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


@contextmanager
def counting(dtype: torch.dtype, *, fake: bool) -> Iterator[LiveBytes]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        shapes_only = FakeTensorMode(allow_non_fake_inputs=True) if fake else nullcontext()
        with shapes_only, torch.no_grad(), LiveBytes() as live:
            yield live
    finally:
        torch.set_default_dtype(before)


Runs = dict[str, Callable[[], object]]


def _sd15_unet() -> tuple[Any, Runs]:
    from diffusers import ControlNetModel, UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=64, in_channels=9, cross_attention_dim=768, attention_head_dim=8, block_out_channels=_SD15
    )
    control = ControlNetModel(cross_attention_dim=768, attention_head_dim=8, block_out_channels=_SD15)

    def run(rows: int, px: int, controls: int) -> None:
        side = px // 8
        text, time = torch.zeros(rows, 77, 768, dtype=HALF), torch.zeros(rows, dtype=torch.int64)
        sample, total = torch.zeros(rows, 9, side, side, dtype=HALF), None
        for _ in range(controls):
            down, mid = control(sample[:, :4], time, text, torch.zeros(rows, 3, px, px, dtype=HALF), return_dict=False)
            total = (down, mid) if total is None else ([a + b for a, b in zip(total[0], down, strict=True)], mid)
        down, mid = total or (None, None)
        unet(sample, time, text, down_block_additional_residuals=down, mid_block_additional_residual=mid)

    return unet, {
        f"{rows} rows {px} px {controls} controls": partial(run, rows, px, controls)
        for px in SD15_SIZES
        for rows, controls in ((1, 0), (2, 0), (4, 0), (2, 2), (4, 2))
    }


_SD15 = (320, 640, 1280, 1280)


def _sd15_controlnet() -> tuple[Any, Runs]:
    from diffusers import ControlNetModel

    return ControlNetModel(cross_attention_dim=768, attention_head_dim=8, block_out_channels=_SD15), {}


def _sdxl_kwargs() -> dict[str, Any]:
    return {
        "cross_attention_dim": 2048,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "use_linear_projection": True,
    }


def _sdxl_unet() -> tuple[Any, Runs]:
    from diffusers import ControlNetModel, UNet2DConditionModel

    up = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")
    unet = UNet2DConditionModel(sample_size=128, in_channels=9, up_block_types=up, **_sdxl_kwargs())
    control = ControlNetModel(**_sdxl_kwargs())

    def run(rows: int, px: int, controls: int) -> None:
        side = px // 8
        text, time = torch.zeros(rows, 77, 2048, dtype=HALF), torch.zeros(rows, dtype=torch.int64)
        added = {"text_embeds": torch.zeros(rows, 1280, dtype=HALF), "time_ids": torch.zeros(rows, 6, dtype=HALF)}
        sample, total = torch.zeros(rows, 9, side, side, dtype=HALF), None
        for _ in range(controls):
            image = torch.zeros(rows, 3, px, px, dtype=HALF)
            down, mid = control(sample[:, :4], time, text, image, added_cond_kwargs=added, return_dict=False)
            total = (down, mid) if total is None else ([a + b for a, b in zip(total[0], down, strict=True)], mid)
        down, mid = total or (None, None)
        unet(
            sample,
            time,
            text,
            added_cond_kwargs=added,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        )

    return unet, {
        f"{rows} rows {px} px {controls} controls": partial(run, rows, px, controls)
        for px in SDXL_SIZES
        for rows, controls in ((1, 0), (2, 0), (2, 2))
    }


def _sdxl_controlnet() -> tuple[Any, Runs]:
    from diffusers import ControlNetModel

    return ControlNetModel(**_sdxl_kwargs()), {}


def _vae() -> tuple[Any, Runs]:
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )
    runs: Runs = {}
    for px in SD15_SIZES:
        runs[f"decode {px} px"] = partial(vae.decode, torch.zeros(1, 4, px // 8, px // 8, dtype=HALF))
        runs[f"encode {px} px"] = partial(vae.encode, torch.zeros(1, 3, px, px, dtype=HALF))
    return vae, runs


def _text(width: int, layers: int, heads: int, *, projection: bool) -> tuple[Any, Runs]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=width,
    )
    module = (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)
    return module, {"2 rows": lambda: module(torch.zeros(2, 77, dtype=torch.int64))}


def _vision(width: int, layers: int, heads: int, patch: int, projection: int) -> tuple[Any, Runs]:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        patch_size=patch,
        projection_dim=projection,
    )
    module = CLIPVisionModelWithProjection(config)
    return module, {"2 rows": lambda: module(torch.zeros(2, 3, 224, 224, dtype=HALF))}


def _clip() -> tuple[Any, Runs]:
    from transformers import CLIPConfig, CLIPModel

    vision = {"hidden_size": 768, "patch_size": 32}
    module = CLIPModel(CLIPConfig(vision_config=vision))
    pixels = torch.zeros(16, 3, 224, 224, dtype=HALF)
    return module, {"16 images": lambda: module.get_image_features(pixel_values=pixels)}


def _grounding_dino() -> tuple[Any, Runs]:
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    backbone = SwinConfig(
        window_size=12,
        image_size=384,
        embed_dim=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        out_indices=[2, 3, 4],
    )
    module = GroundingDinoForObjectDetection(GroundingDinoConfig(backbone_config=backbone)).eval()

    def run(images: int) -> None:
        words = torch.zeros(images, 8, dtype=torch.int64)
        module(
            pixel_values=torch.zeros(images, 3, 800, 1333),
            pixel_mask=torch.ones(images, 800, 1333, dtype=torch.int64),
            input_ids=words,
            attention_mask=torch.ones_like(words),
            token_type_ids=words,
        )

    return module, {f"{images} images 800x1333": partial(run, images) for images in (1,)}


def _sam() -> tuple[Any, Runs]:
    from transformers import SamConfig, SamModel

    module = SamModel(SamConfig()).eval()
    return module, {"1 image": lambda: module.get_image_embeddings(torch.zeros(1, 3, 1024, 1024, dtype=HALF))}


def _depth_anything() -> tuple[Any, Runs]:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=384,
        num_attention_heads=6,
        image_size=518,
        patch_size=14,
        out_indices=[3, 6, 9, 12],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
    )
    module = DepthAnythingForDepthEstimation(config).eval()
    return module, {"1 image 518x770": lambda: module(pixel_values=torch.zeros(1, 3, 518, 770, dtype=HALF))}


BUILDERS: dict[str, Callable[[], tuple[Any, Runs]]] = {
    "sd15 unet": _sd15_unet,
    "sd15 controlnet": _sd15_controlnet,
    "vae": _vae,
    "text_encoder": lambda: _text(768, 12, 12, projection=False),
    "text_encoder_2": lambda: _text(1280, 32, 20, projection=True),
    "image_encoder": lambda: _vision(1280, 32, 16, 14, 1024),
    "safety_checker": lambda: _vision(1024, 24, 16, 14, 768),
    "clip": _clip,
    "grounding-dino": _grounding_dino,
    "sam": _sam,
    "depth-anything": _depth_anything,
    "sdxl unet": _sdxl_unet,
    "sdxl controlnet": _sdxl_controlnet,
}


if __name__ == "__main__":
    sys.exit(main())
