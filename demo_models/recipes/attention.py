"""Attention written out, for training on processors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class ExplicitAttention(TorchFunctionMode):
    """Computes attention by its formula instead of PyTorch's fused kernel while it is entered; for processors.

    Backwards the fused kernel for processors takes three times as long for a few hundred positions and small heads (a
    third of a whole training step); the memory that it saves is no concern at these sizes.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replaces the one function, and hands every other on."""
        del types
        options = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention and not (
            options.get("dropout_p") or options.get("enable_gqa")
        ):
            options.pop("dropout_p", None)
            options.pop("enable_gqa", None)
            return attention(*args, **options)
        return func(*args, **options)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Returns softmax(query key^T * scale + mask) value; arguments as ``scaled_dot_product_attention`` takes them.

    Args:
        query: Float (..., L, D).
        key: Float (..., S, D).
        value: Float (..., S, D).
        attn_mask: Broadcast to (..., L, S): bool, True = may be attended to, or float, added to the scores.
        is_causal: Whether positions see only themselves and earlier ones.
        scale: Of the scores; None for D ** -0.5.
    """
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-1, -2)
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if attn_mask is not None:
        hidden = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if hidden else scores + attn_mask.to(scores.dtype)
    with torch.autocast("cpu", enabled=False):  # else the weights would be made float32 here and bfloat16 again below
        weights = scores.softmax(-1)
    return weights @ value
