from __future__ import annotations

import pytest

from composition.errors import ContentPolicy, ModelError, NotReady, OutOfMemory, Timeout
from runners.errors import is_device_lost, is_out_of_memory, translate, translated

OnnxError = type("RuntimeException", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})
"""As onnxruntime's are: no RuntimeError, and told by where the class is from."""

OUT_OF_MEMORY = [
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    RuntimeError("Failed to allocate memory for requested buffer of size 4"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    OnnxError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal Failed to allocate memory"),
    OnnxError("[ONNXRuntimeError] : 6 : Available memory of 512 is smaller than requested bytes of 1024"),
    OnnxError("[ONNXRuntimeError] : 1 : FAIL : CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"),
    OnnxError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
]


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        *((error, OutOfMemory) for error in OUT_OF_MEMORY),
        (TimeoutError(), Timeout),
        (RuntimeError("shape mismatch"), ModelError),
        (ValueError("secret prompt"), ModelError),
        (KeyError("weight"), ModelError),
        (OnnxError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions"), ModelError),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), ModelError),
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
