from __future__ import annotations

import pytest

from runners.compilers import reason_not_to_compile


@pytest.mark.parametrize(
    ("compilers", "variables", "modules", "reason"),
    [
        ({"gcc"}, {}, {"triton"}, None),
        ({"clang"}, {}, {"triton"}, None),
        (set(), {"CC": "/opt/cc"}, {"triton"}, None),
        (set(), {}, {"triton"}, "there is no C compiler (gcc or clang)"),
        ({"gcc"}, {}, set(), "Triton is not installed"),
    ],
)
def test_what_is_missing_for_compiling_is_told(compilers, variables, modules, reason):
    found = reason_not_to_compile(
        variables, which=lambda name: name if name in compilers else None, has_module=modules.__contains__
    )
    assert found == reason
