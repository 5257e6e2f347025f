"""Reuse of the UNet's deep features from one step to the next, after DeepCache (arXiv 2312.00858).

A full pass gives, beside its prediction, the features that enter the last layers of the last up block. A shallow pass
takes those for its own: it computes these layers, and of the way down only the skip connections that they take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.attention import ReferenceRows, ViewRows
from runners.diffusion.families.stable_diffusion.text import TEXT


@dataclass(frozen=True, kw_only=True, eq=False)
class UNetRows:
    """What the UNet is given, by rows.

    Attributes:
        sample: (rows, 9, h, w), or as many channels as the UNet takes.
        timesteps: (rows,).
        conditioning: "encoder_hidden_states" and whatever else the model takes as added conditions.
        references: empty when no row has one that acts.
        views: None when no row has others of the same thing beside it.
        down, mid: ControlNet residuals of the skip connections and of the middle block; None without ControlNets.
    """

    sample: torch.Tensor
    timesteps: torch.Tensor
    conditioning: Mapping[str, torch.Tensor]
    references: tuple[ReferenceRows, ...]
    views: ViewRows | None = None
    down: Sequence[torch.Tensor] | None = None
    mid: torch.Tensor | None = None

    @property
    def text(self) -> torch.Tensor:
        return self.conditioning[TEXT]

    @property
    def added(self) -> dict[str, torch.Tensor]:
        """The conditions beside the text; empty for a model that takes none."""
        return {name: tensor for name, tensor in self.conditioning.items() if name != TEXT}

    @property
    def attention(self) -> dict[str, Any] | None:
        """What the attention layers are given beside pixels and text; None where there is nothing."""
        given = {"ip_hidden_states": self.references or None, "ip_adapter_masks": self.views}
        return {name: rows for name, rows in given.items() if rows is not None} or None


def most_layers(unet: Any) -> int:
    """How many layers the last up block has, which is how many a shallow pass may compute."""
    return len(unet.up_blocks[-1].resnets)


def full_pass(unet: Any, rows: UNetRows, layers: Sequence[int]) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """The predicted noise, bit for bit the UNet's own, and the features that shallow passes of such `layers` take."""
    embedding, words = _embedded(unet, rows)
    hidden: torch.Tensor = unet.conv_in(rows.sample)
    skips = [hidden]
    for block in unet.down_blocks:
        hidden, more = block(hidden_states=hidden, temb=embedding, **(words if _attends(block) else {}))
        skips += more
    if rows.down is not None:
        skips = [skip + own for skip, own in zip(skips, rows.down, strict=True)]
    hidden = unet.mid_block(hidden, embedding, **(words if _attends(unet.mid_block) else {}))
    if rows.mid is not None:
        hidden = hidden + rows.mid
    odd = any(side % 2**unet.num_upsamplers for side in rows.sample.shape[-2:])
    for block in unet.up_blocks[:-1]:
        own = tuple(skips[-len(block.resnets) :])
        skips = skips[: -len(block.resnets)]
        hidden = block(
            hidden_states=hidden,
            temb=embedding,
            res_hidden_states_tuple=own,
            upsample_size=skips[-1].shape[2:] if odd else None,
            **(words if _attends(block) else {}),
        )
    deep: dict[int, torch.Tensor] = {}
    total = most_layers(unet)
    for place in range(total):
        if total - place in layers:
            deep[total - place] = hidden
        hidden = _up_layer(unet, place, hidden, skips[total - 1 - place], embedding, words)
    return _out(unet, hidden), deep


def shallow_pass(unet: Any, rows: UNetRows, deep: torch.Tensor, layers: int) -> torch.Tensor:
    """The predicted noise with the deep features of an earlier step; of `rows.down` the first `layers` are taken."""
    embedding, words = _embedded(unet, rows)
    skips: list[torch.Tensor] = [unet.conv_in(rows.sample)]
    first = unet.down_blocks[0]
    for place in range(layers - 1):
        hidden = first.resnets[place](skips[-1], embedding)
        skips.append(_attended(first, place, hidden, words))
    if rows.down is not None:
        skips = [skip + own for skip, own in zip(skips, rows.down, strict=False)]
    hidden = deep
    total = most_layers(unet)
    for place in range(total - layers, total):
        hidden = _up_layer(unet, place, hidden, skips[total - 1 - place], embedding, words)
    return _out(unet, hidden)


def _embedded(unet: Any, rows: UNetRows) -> tuple[torch.Tensor, dict[str, Any]]:
    """The embedding of timestep and added conditions, and what the layers that attend are given."""
    embedding = unet.time_embedding(unet.get_time_embed(sample=rows.sample, timestep=rows.timesteps), None)
    more = unet.get_aug_embed(emb=embedding, encoder_hidden_states=rows.text, added_cond_kwargs=rows.added)
    embedding = embedding if more is None else embedding + more
    return embedding, {TEXT: rows.text, "cross_attention_kwargs": rows.attention}


def _attends(block: Any) -> bool:
    return bool(getattr(block, "has_cross_attention", False))


def _up_layer(
    unet: Any, place: int, hidden: torch.Tensor, skip: torch.Tensor, embedding: torch.Tensor, words: dict[str, Any]
) -> torch.Tensor:
    block = unet.up_blocks[-1]
    return _attended(block, place, block.resnets[place](torch.cat([hidden, skip], dim=1), embedding), words)


def _attended(block: Any, place: int, hidden: torch.Tensor, words: dict[str, Any]) -> torch.Tensor:
    if _attends(block):
        hidden = block.attentions[place](hidden, return_dict=False, **words)[0]
    return hidden


def _out(unet: Any, hidden: torch.Tensor) -> torch.Tensor:
    noise: torch.Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
    return noise
