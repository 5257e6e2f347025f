"""Attention written out equals PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from demo_models.recipes.attention import ExplicitAttention


def arguments(mask: str) -> dict[str, object]:
    torch.manual_seed(0)
    if mask == "bool":
        return {"attn_mask": torch.rand(2, 1, 6, 9) > 0.3}
    if mask == "float":
        return {"attn_mask": torch.randn(2, 3, 6, 9), "scale": 0.2}
    return {"is_causal": True} if mask == "causal" else {}


@pytest.mark.parametrize("mask", ["none", "bool", "float", "causal"])
def test_values_and_gradients_are_those_of_the_fused_kernel(mask):
    options = arguments(mask)
    torch.manual_seed(1)
    inputs = [torch.randn(2, 3, length, 8, requires_grad=True) for length in (6, 9, 9)]
    expected = functional.scaled_dot_product_attention(*inputs, **options)
    wanted = torch.autograd.grad(expected.square().sum(), inputs)
    with ExplicitAttention():
        got = functional.scaled_dot_product_attention(*inputs, **options)
    assert torch.allclose(got, expected, atol=1e-5)
    for mine, theirs in zip(torch.autograd.grad(got.square().sum(), inputs), wanted, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_it_takes_the_fused_kernels_place_only_while_it_is_entered():
    query = torch.randn(1, 1, 4, 8, requires_grad=True)
    names = []
    for _ in range(2):
        with ExplicitAttention():
            names.append(functional.scaled_dot_product_attention(query, query, query).grad_fn.name())
        names.append(functional.scaled_dot_product_attention(query, query, query).grad_fn.name())
    assert names[0] == names[2] != names[1] == names[3]
