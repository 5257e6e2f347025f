"""Attention of the UNet: which kernel, the IP-Adapter's with a scale per batch row, and views' of one another.

The stock IP-Adapter processor keeps its scale on the module, where every request of a batch would share it, and the
stock UNet projects the reference anew in every forward. Here each request brings its projected reference tokens and
its scale as rows of the batch, so that nothing of one request is left behind on the shared model.
Formula: IP-Adapter, arXiv 2308.06721, equation 5.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812  the name that every reader of torch code expects
from torch import nn

logger = logging.getLogger(__name__)

VIEW_BLOCKS: Final = ("down_blocks", "mid_block")
"""Those in which views see one another (docs/adr/0014 has the measurement)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceRows:
    """A reference of each row of one batch: images that are attended to all together.

    Attributes:
        tokens: projected IP-Adapter tokens, shape (rows, tokens, channels), zeros for a row without a reference.
        scales: float32, shape (rows, 1, 1), 0 for a row without a reference. Kept in float32: rounding the scale
            itself to the model's format would give other bits than the stock product with a Python float.
        masks: per row where its reference acts, float32 (1, height, width) in 0..1, None: everywhere; None: no row has
            one.
    """

    tokens: torch.Tensor
    scales: torch.Tensor
    masks: tuple[torch.Tensor | None, ...] | None = None
    _shrunk: dict[int, torch.Tensor] = field(default_factory=dict, init=False, repr=False)

    def masked(self, attended: torch.Tensor) -> torch.Tensor:
        """What was attended to, (rows, pixels, channels), where it acts; masks shrink to the layer's size as stock.

        Layers of one size have one of each mask, which is made at the first step that a batch's rows take together.
        """
        if self.masks is None:
            return attended
        pixels = attended.shape[1]
        if pixels not in self._shrunk:
            rows = [_shrunk(mask, attended[row : row + 1]) for row, mask in enumerate(self.masks)]
            self._shrunk[pixels] = torch.cat(rows)
        return attended * self._shrunk[pixels]


class ReferenceAttention(nn.Module):
    """Cross-attention to the text plus, per row and reference, scale x cross-attention to the reference's tokens."""

    def __init__(self, to_k: nn.Module, to_v: nn.Module) -> None:
        super().__init__()
        self.to_k_ip = to_k
        self.to_v_ip = to_v

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        ip_hidden_states: Sequence[ReferenceRows] = (),
    ) -> torch.Tensor:
        """Attend from the image to the conditioning.

        Args:
            attn: the diffusers attention layer that owns the projections.
            hidden_states: (rows, pixels, channels).
            encoder_hidden_states: the text, (rows, tokens, channels).
            attention_mask: always None for these models.
            temb: unused here, part of the processor's call.
            ip_hidden_states: the references, in the order in which what they give is added. The name is one of two
                that diffusers hands through to processors silently.
        """
        heads = attn.heads
        query = _split_heads(attn.to_q(hidden_states), heads)
        key, value = attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        attended = _attend(query, key, value, heads, attention_mask)
        for rows in ip_hidden_states:
            reference = _attend(query, self.to_k_ip(rows.tokens), self.to_v_ip(rows.tokens), heads, None)
            attended = attended + (rows.scales * rows.masked(reference)).to(attended.dtype)
        projected: torch.Tensor = attn.to_out[1](attn.to_out[0](attended))
        rescaled: torch.Tensor = projected / attn.rescale_output_factor
        return rescaled


@dataclass(frozen=True, kw_only=True)
class ViewRows:
    """Which rows of a batch see one another: `groups` of row numbers, rising; rows of none see themselves alone."""

    groups: tuple[tuple[int, ...], ...]


class ViewAttention:
    """Self-attention in which the views of one thing attend to each other's pixels as to their own.

    Where there are no views, `alone` does what it does without them.
    """

    def __init__(self, alone: Any) -> None:
        self.alone = alone

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        ip_adapter_masks: ViewRows | None = None,
    ) -> torch.Tensor:
        """Attend from pixels to pixels.

        Args:
            attn: the diffusers attention layer that owns the projections.
            hidden_states: (rows, pixels, channels).
            encoder_hidden_states: always None: these are the pixels' own.
            attention_mask: always None for these models.
            temb: unused here, part of the processor's call.
            ip_adapter_masks: None when no row has views. The name is the other one that diffusers hands through to
                processors silently.
        """
        if ip_adapter_masks is None:
            own: torch.Tensor = self.alone(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
            return own
        heads = attn.heads
        query, key, value = (_split_heads(to(hidden_states), heads) for to in (attn.to_q, attn.to_k, attn.to_v))
        attended: dict[int, torch.Tensor] = {}
        in_groups = {row for group in ip_adapter_masks.groups for row in group}
        alone = tuple(row for row in range(len(query)) if row not in in_groups)
        for group in ip_adapter_masks.groups:
            all_keys, all_values = _all_pixels(_rows(key, group)), _all_pixels(_rows(value, group))
            seen = F.scaled_dot_product_attention(_rows(query, group), all_keys, all_values)
            attended |= _by_row(group, seen)
        if alone:
            own_rows = F.scaled_dot_product_attention(_rows(query, alone), _rows(key, alone), _rows(value, alone))
            attended |= _by_row(alone, own_rows)
        joined = torch.cat([attended[row] for row in range(len(query))])
        merged = joined.transpose(1, 2).reshape(hidden_states.shape)
        projected: torch.Tensor = attn.to_out[1](attn.to_out[0](merged))
        rescaled: torch.Tensor = projected / attn.rescale_output_factor
        return rescaled


def _rows(states: torch.Tensor, numbers: tuple[int, ...]) -> torch.Tensor:
    if len(numbers) == len(states):
        return states
    return torch.cat([states[number : number + 1] for number in numbers])


def _by_row(numbers: tuple[int, ...], states: torch.Tensor) -> dict[int, torch.Tensor]:
    return dict(zip(numbers, states.chunk(len(numbers)), strict=True))


def _all_pixels(states: torch.Tensor) -> torch.Tensor:
    """(views, heads, pixels, channels) -> for each view the pixels of all, (views, heads, views x pixels, channels)."""
    views, heads, _, channels = states.shape
    return states.transpose(0, 1).reshape(1, heads, -1, channels).expand(views, -1, -1, -1)


def share_between_views(unet: Any) -> None:
    """Let views attend to one another in the self-attention of these blocks, whatever computes it now."""
    processors = {
        name: ViewAttention(processor) if ".attn1." in name and name.startswith(VIEW_BLOCKS) else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)


def _shrunk(mask: torch.Tensor | None, row: torch.Tensor) -> torch.Tensor:
    """A row's mask (1, pixels, 1); ones without one."""
    if mask is None:
        return row.new_ones((1, row.shape[1], 1))
    from diffusers.image_processor import IPAdapterMaskProcessor

    small: torch.Tensor = IPAdapterMaskProcessor.downsample(mask, 1, row.shape[1], 1)
    return small.to(dtype=row.dtype, device=row.device)


def _split_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    rows, _, channels = states.shape
    return states.view(rows, -1, heads, channels // heads).transpose(1, 2)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, mask: torch.Tensor | None
) -> torch.Tensor:
    """Scaled dot-product attention; `query` already split by heads. Gives (rows, pixels, channels)."""
    out = F.scaled_dot_product_attention(query, _split_heads(key, heads), _split_heads(value, heads), attn_mask=mask)
    return out.transpose(1, 2).reshape(query.shape[0], query.shape[2], -1)


def adopt_reference_attention(unet: Any) -> nn.Module:
    """Move a freshly loaded IP-Adapter from the stock processors to `ReferenceAttention`; weights stay where they are.

    Takes the projection of reference embeddings off the UNet as well: it runs once per request, not once per forward.

    Returns:
        The projection: a list of one tensor (rows, 1, ...) -> a list of one tensor (rows, 1, tokens, channels).
    """
    processors: dict[str, Any] = {}
    for name, processor in unet.attn_processors.items():
        if hasattr(processor, "to_k_ip"):
            assert len(processor.to_k_ip) == 1, "one IP-Adapter is loaded at a time"
            processor = ReferenceAttention(processor.to_k_ip[0], processor.to_v_ip[0])
        processors[name] = processor
    unet.set_attn_processor(processors)
    projection: nn.Module = unet.encoder_hid_proj
    unet.encoder_hid_proj = None
    unet.register_to_config(encoder_hid_dim_type=None)
    return projection


def share_reference_attention(owner: Any, unet: Any) -> None:
    """Let a UNet of the same widths attend to references with the weights that `owner` has adopted."""
    adopted = {name: one for name, one in owner.attn_processors.items() if isinstance(one, ReferenceAttention)}
    unet.set_attn_processor({**unet.attn_processors, **adopted})


def xformers_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether xformers' attention really runs here.

    Being importable says nothing: a build for another torch or CUDA imports and then has no kernel.
    """
    if device.type != "cuda":
        return False
    try:
        import xformers.ops

        probe = torch.zeros((1, 64, 8, 40), device=device, dtype=dtype)
        xformers.ops.memory_efficient_attention(probe, probe, probe)
        torch.cuda.synchronize(device)
    except Exception as error:
        logger.info("xformers is not usable (%s): PyTorch's own attention is used", type(error).__name__)
        return False
    return True


def use_xformers_for_self_attention(unet: Any) -> None:
    """Only self-attention gains: the text has 77 tokens and the reference 4 or 16."""
    from diffusers.models.attention_processor import XFormersAttnProcessor

    processors = {
        name: XFormersAttnProcessor() if ".attn1." in name else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)
