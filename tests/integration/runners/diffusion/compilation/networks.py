"""Small networks of diffusers' own blocks, and a backend for torch.compile that counts what it is handed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from runners.diffusion.families.stable_diffusion.attention import ReferenceAttention
from runners.diffusion.families.stable_diffusion.compilation.blocks import adopt_blocks
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler

WIDTH = 8


class CountingBackend:
    """Runs a graph as it is: real tracing and guards, no code generated. `failing` says with what it fails instead."""

    def __init__(self) -> None:
        self.graphs: list[Any] = []
        self.failing: Exception | None = None

    def __call__(self, graph: Any, inputs: list[Any]) -> Any:
        if self.failing is not None:
            raise self.failing
        self.graphs.append(graph)
        return graph.forward


class Residual(nn.Module):
    """So many residual blocks, all alike."""

    def __init__(self, blocks: int = 2, width: int = WIDTH) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResnetBlock2D(in_channels=width, temb_channels=4, groups=2) for _ in range(blocks))

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        temb = sample.new_ones(sample.shape[0], 4)
        for block in self.blocks:
            sample = block(sample, temb)
        return sample


class Attending(nn.Module):
    """A block that attends to a text of 16 channels, and to references."""

    def __init__(self) -> None:
        super().__init__()
        self.block = BasicTransformerBlock(WIDTH, 2, WIDTH // 2, cross_attention_dim=16)
        self.block.attn2.set_processor(ReferenceAttention(nn.Linear(16, WIDTH), nn.Linear(16, WIDTH)))

    def forward(self, hidden: torch.Tensor, text: torch.Tensor, reference: Any = None) -> torch.Tensor:
        attention = None if reference is None else {"ip_hidden_states": reference}
        result: torch.Tensor = self.block(hidden, encoder_hidden_states=text, cross_attention_kwargs=attention)
        return result


def adopted(network: nn.Module, compiler: BlockCompiler, name: str = "unet") -> Any:
    """Evaluated, and asking."""
    network.eval()
    adopt_blocks(network, compiler, name)
    return network


def made(kind: Callable[..., nn.Module], *arguments: Any) -> Any:
    """With weights that could be trained, as all that are loaded could."""
    with torch.inference_mode(mode=False):
        return kind(*arguments)


def compile_all(compiler: BlockCompiler) -> None:
    while compiler.run_next():
        pass
