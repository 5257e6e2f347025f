"""The tiny models of SDXL are whole, and each runs by itself."""

from __future__ import annotations

from models_store.manifest import load_manifest
from models_store.store import ModelSet
from models_store.verification import verify_profile


def test_every_model_verifies_loads_and_runs(tiny_sdxl_models: ModelSet) -> None:
    findings = {finding.role: finding for finding in verify_profile("tiny-sdxl")}
    assert list(findings) == list(load_manifest("tiny-sdxl").models)
    assert [str(finding) for finding in findings.values() if not finding.ok] == []
