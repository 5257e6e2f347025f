"""Where a network's repeated blocks are asked how they run: compiled where they can, else as they always did.

diffusers' own `compile_repeated_blocks` reaches the transformer blocks of a UNet, compiles them at the first call, in a
request's way, and knows no repeated blocks of ControlNets and autoencoders.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.compilation.calls import OddCall, form_of
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.compilation.kinds import kind_of
from runners.errors import is_device_lost, is_out_of_memory

REPEATED: Final = ("BasicTransformerBlock", "ResnetBlock2D")
"""Classes of diffusers that UNets, ControlNets and autoencoders are made of; the rest of them runs eager."""


def adopt_blocks(network: nn.Module, compiler: BlockCompiler, name: str) -> None:
    """From now on the blocks of a network, and of copies of it, ask `compiler`; `name` is what they are counted by.

    Nothing at all is changed where it is off.
    """
    if not compiler.on:
        return
    for block in network.modules():
        if type(block).__name__ in REPEATED:
            block.eval()  # also an IP-Adapter's layers, which are never told
            asking = _Asking(block, compiler, name, next(block.parameters()).dtype)
            asking.introduce()
            block.forward = asking


class _Asking:
    """A block's `forward`.

    A copy of the block has one of its own, whose kind is found at its first call: until then it may be given adapters.
    """

    def __init__(self, block: nn.Module, compiler: BlockCompiler, network: str, dtype: torch.dtype) -> None:
        self._block, self._compiler, self._network, self._dtype = block, compiler, network, dtype
        self._own: Any = type(block).forward
        self._weight: torch.Tensor | None = None
        self._kind = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Asking:
        return _Asking(memo[id(self._block)], self._compiler, self._network, self._dtype)

    def introduce(self) -> str:
        """The block's kind, of which the compiler has an example now."""
        if not self._kind:
            self._kind, self._weight = kind_of(self._block), next(self._block.parameters())
            self._compiler.knows(self._kind, self._block)
        return self._kind

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        compiled, failure = self._compiled(arguments, named), None
        if compiled is not None and self._compiler.turns.begin_call():
            try:
                result = compiled(self._block, *arguments, **named)
            except Exception as error:
                if is_out_of_memory(error) or is_device_lost(error):
                    raise
                failure = error
            else:
                self._compiler.counted(self._network, "compiled")
                return result
            finally:
                self._compiler.turns.end_call()
        self._compiler.counted(self._network, "eager")
        result = self._own(self._block, *arguments, **named)
        # What fails eager as well is not the compiled block's fault.
        if failure is not None:
            self._compiler.failed(failure, arguments[0].shape[0])
        return result

    def _compiled(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not self._compiler.on:
            return None
        kind = self.introduce()
        # In float32 for the length of one request (see `precision`): too seldom to be compiled.
        if self._weight is None or self._weight.dtype != self._dtype:
            return None
        try:
            return self._compiler.compiled((kind, form_of(arguments, named)), arguments[0].shape[0])
        except OddCall:
            return None
