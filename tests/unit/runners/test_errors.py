from __future__ import annotations

import pytest

from composition.errors import ContentPolicy, ModelError, NotReady, OutOfMemory, Timeout
from runners.errors import is_device_lost, is_out_of_memory, translate, translated

OUT_OF_MEMORY = [
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    RuntimeError("Failed to allocate memory for requested buffer of size 4"),
]


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        *((error, OutOfMemory) for error in OUT_OF_MEMORY),
        (TimeoutError(), Timeout),
        (RuntimeError("shape mismatch"), ModelError),
        (ValueError("secret prompt"), ModelError),
        (KeyError("weight"), ModelError),
    ],
    ids=repr,
)
def test_every_foreign_error_has_its_class(foreign, ours):
    assert type(translate(foreign, "testing")) is ours
    with pytest.raises(ours), translated("testing"):
        raise foreign


def test_our_own_errors_pass_unchanged():
    own = ContentPolicy("no")
    assert translate(own, "testing") is own
    with pytest.raises(NotReady, match="busy"), translated("testing"):
        raise NotReady("busy")


def test_a_foreign_text_never_reaches_the_caller():
    assert "secret" not in translate(ValueError("secret prompt"), "testing").message


def test_an_unrelated_runtime_error_is_not_about_memory():
    assert not is_out_of_memory(RuntimeError("expected scalar type Half"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_lost_device_is_told_from_one_that_is_full():
    accelerator_error = type("AcceleratorError", (RuntimeError,), {})
    assert is_device_lost(accelerator_error("CUDA error: an illegal memory access was encountered"))
    assert not is_device_lost(accelerator_error("CUDA error: out of memory"))
    assert not is_device_lost(RuntimeError("shape mismatch"))
