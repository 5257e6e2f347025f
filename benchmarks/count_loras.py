"""What a LoRA costs in a forward of the UNet, and what fused copies of the weights would save and take.

Usage: python -m benchmarks.count_loras

Counted without a GPU and without weights, at the published widths, one image with guidance (two rows): the products of
the plain UNet and of one with an adapter in every attention layer, or in every linear layer and convolution as LoCons
have it, and the operations that are not just another view of a tensor: a kernel each, as far as nothing fuses them.
"Alone" is what a set takes as it is, "fused" the copies of the weights that it changes; both in half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.count_memory import BUILDERS, HALF

ATTENTION: Final = ("to_q", "to_k", "to_v", "to_out.0")
EVERYTHING: Final = (*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2", "conv_shortcut")
CASES: Final = (
    ("attention", ATTENTION, 16),
    ("attention", ATTENTION, 64),
    ("everything", EVERYTHING, 16),
    ("everything", EVERYTHING, 64),
)
UNETS: Final = {"sd15 unet": "2 rows 512 px 0 controls", "sdxl unet": "2 rows 1024 px 0 controls"}
HALF_BYTES: Final = 2


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what computes: whatever gives a tensor with memory of its own."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not (func.is_view or func is torch.ops.aten._unsafe_view.default)
        return func(*args, **(kwargs or {}))


class FusedAttention(TorchFunctionMode):
    """Attention as one operation with a result of the right shape, as the kernels on a GPU are one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value = args
            return query.new_empty((*query.shape[:-1], value.shape[-1]))
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one forward. `flops` counts a multiplication with its addition as two."""

    flops: int
    operations: int


@contextmanager
def unet_of(name: str) -> Iterator[tuple[Any, Callable[[], object]]]:
    """A UNet of tensors that have a shape and no content, and a forward of it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(HALF)
    try:
        with torch.device("meta"), torch.no_grad():
            unet, runs = BUILDERS[name]()
            yield unet, runs[UNETS[name]]
    finally:
        torch.set_default_dtype(before)


def cost_of(run: Callable[[], object]) -> Cost:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as flops:
        run()
    with FusedAttention(), Operations() as operations:
        run()
    return Cost(flops=flops.get_total_flops(), operations=operations.count)


def sizes_of(unet: Any) -> tuple[int, int]:
    """Bytes of the adapters, and of the weights under them."""
    layers = [module for module in unet.modules() if isinstance(module, BaseTunerLayer)]
    adapters = sum(p.numel() for layer in layers for name, p in layer.named_parameters() if ".default." in f".{name}.")
    return HALF_BYTES * adapters, HALF_BYTES * sum(layer.get_base_layer().weight.numel() for layer in layers)


def main() -> int:
    print("| UNet | adapters | rank | products | operations | alone, MB | fused, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in UNETS:
        with unet_of(name) as (_, run):
            plain = cost_of(run)
        print(f"| {name} | none | | {plain.flops / 1e9:.0f} GFLOP | {plain.operations} | | |", flush=True)
        for where, layers, rank in CASES:
            with unet_of(name) as (unet, run):
                unet.add_adapter(LoraConfig(r=rank, target_modules=list(layers)))
                with_it, (alone, fused) = cost_of(run), sizes_of(unet)
            print(
                f"| {name} | {where} | {rank} | {with_it.flops / plain.flops - 1:+.1%} "
                f"| {with_it.operations / plain.operations - 1:+.0%} | {alone / 1e6:.0f} | {fused / 1e6:.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
