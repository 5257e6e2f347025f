from __future__ import annotations

from composition.config import Config
from runners.diffusion.engine.settings import EngineSettings


def test_the_limits_are_the_configurations():
    config = Config.model_validate(
        {"generation": {"max_rows": 6}, "limits": {"request_timeout_seconds": 90}, "queue": {"lease_s": 7}}
    )
    assert EngineSettings.from_config(config) == EngineSettings(max_rows=6, timeout_s=90, lease_s=7)
