"""What the count of a LoRA's cost counts, on layers small enough to count by hand."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from benchmarks.count_loras import FusedAttention, Operations, cost_of, sizes_of

pytestmark = pytest.mark.integration


def test_views_are_no_operations_and_products_are():
    layer, rows = nn.Linear(6, 4), torch.ones(2, 3, 6)
    with torch.no_grad(), Operations() as operations:
        layer(rows).transpose(0, 1)[0].unsqueeze(0)
    assert operations.count == 1


def test_attention_is_one_operation_of_the_right_shape():
    query, key, value = torch.ones(1, 2, 5, 8), torch.ones(1, 2, 7, 8), torch.ones(1, 2, 7, 3)
    with FusedAttention(), Operations() as operations:
        out = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    assert (out.shape, operations.count) == ((1, 2, 5, 3), 1)


def test_an_adapter_is_two_products_a_scale_and_a_sum_and_fusing_it_takes_the_layers_size():
    model, rows = nn.Sequential(nn.Linear(6, 4)), torch.ones(2, 6)
    with torch.no_grad():
        plain = cost_of(lambda: model(rows))
        inject_adapter_in_model(LoraConfig(r=3, target_modules=["0"]), model)
        with_it = cost_of(lambda: model(rows))
    assert (plain.flops, plain.operations) == (2 * 2 * 6 * 4, 1)
    assert (with_it.flops - plain.flops, with_it.operations - plain.operations) == (2 * 2 * (6 * 3 + 3 * 4), 4)
    assert sizes_of(model) == (2 * (6 * 3 + 3 * 4), 2 * 6 * 4)
