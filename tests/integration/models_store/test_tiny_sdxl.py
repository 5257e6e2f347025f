"""The tiny models of SDXL are whole, and each runs by itself."""

from __future__ import annotations

import pytest

from models_store.manifest import load_manifest
from models_store.store import ModelSet
from models_store.verification import verify_profile


# diffusers' Euler scheduler under numpy 2.4.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_every_model_verifies_loads_and_runs(tiny_sdxl_models: ModelSet) -> None:
    findings = {finding.role: finding for finding in verify_profile("tiny-sdxl")}
    assert list(findings) == list(load_manifest("tiny-sdxl").models)
    assert [str(finding) for finding in findings.values() if not finding.ok] == []
