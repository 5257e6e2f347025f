"""The storage faults of `make attack` in their short form."""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks import attack_storage

HERE = {"spoilt_databases": partial(attack_storage.spoilt_databases, names=("damaged",))}
WITH_A_DISK = {"unusable_folders": attack_storage.unusable_folders, "full_disk": attack_storage.full_disk}


@pytest.mark.parametrize("name", [*HERE, *WITH_A_DISK])
def test_a_fault_of_the_storage_is_told_and_costs_no_job(tmp_path, name: str):
    if name in WITH_A_DISK and attack_storage.namespace_command() is None:
        pytest.skip("nothing may be mounted here")
    outcome = {**HERE, **WITH_A_DISK}[name](tmp_path)
    assert outcome.holds, outcome.figures
