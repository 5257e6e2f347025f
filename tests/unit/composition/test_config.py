"""One frozen tree from the file and the environment; anything bad stops start-up with the key's path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from composition.config import Config, ConfigError, load_config
from composition.request import OPTIONS

ROOT = Path(__file__).resolve().parents[3]

APPENDIX_A = {
    "api": ["host", "port", "workers", "max_request_size_mb"],
    "models": ["base_model", "device", "dtype", "detection", "controlnet", "ip_adapter"],
    "routing": ["enable_auto_routing", "default_pipeline", "routing_confidence_threshold", "complex_triggers"],
    "generation": [
        "default_steps",
        "default_guidance_scale",
        "scheduler",
        "enable_xformers",
        "enable_torch_compile",
    ],
    "optimization": ["enable_model_offload", "cache_preprocessors", "cache_ttl_seconds"],
    "limits": ["max_resolution", "min_resolution", "max_concurrent_requests", "request_timeout_seconds"],
}


def load(tmp_path, text="", **environment):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environment)


def test_the_shipped_file_shows_every_key_with_its_default():
    assert load_config(ROOT / "config.yaml", {}) == Config()
    import yaml

    shipped = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert shipped.keys() == Config.model_fields.keys()
    for section, keys in shipped.items():
        assert keys.keys() == getattr(Config(), section).model_dump().keys(), section


@pytest.mark.parametrize(("section", "keys"), APPENDIX_A.items())
def test_every_key_of_the_specification_is_there(section, keys):
    assert set(keys) <= set(getattr(Config(), section).model_dump())


def test_the_environment_overrides_the_file(tmp_path):
    config = load(
        tmp_path,
        "limits: {max_resolution: 1024}\n",
        COMPOSITION_LIMITS__MAX_RESOLUTION="512",
        COMPOSITION_ROUTING__COMPLEX_TRIGGERS__KEYWORDS='["boat"]',
        COMPOSITION_MODELS__DETECTION__CONFIDENCE_THRESHOLD="0.4",
        COMPOSITION_GENERATION__ENABLE_TORCH_COMPILE="false",
        COMPOSITION_GENERATION__NATIVE_SIZE="256",
        COMPOSITION_MODELS__CLIP="null",
        UNRELATED="1",
    )
    assert config.limits.max_resolution == 512
    assert config.routing.complex_triggers.keywords == ("boat",)
    assert config.models.detection.confidence_threshold == 0.4
    assert config.generation.enable_torch_compile is False
    assert config.generation.native_size == 256
    assert config.models.clip is None


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("limits: {max_resolution: big}", {}, ["limits.max_resolution", "integer", "'big'"]),
        ("limits: {max_resolutoin: 5}", {}, ["limits.max_resolutoin", "not a known key"]),
        ("models: {profile: huge}", {}, ["models.profile", "tiny"]),
        ("generation: {native_size: 300}", {}, ["generation.native_size"]),
        ("routing: {complex_triggers: {keywords: [boat, '!']}}", {}, ["complex_triggers.keywords", "letter", "'!'"]),
        ("", {"COMPOSITION_LIMTS__MAX": "1"}, ["limts", "not a known key"]),
        ("", {"COMPOSITION_QUEUE__BACKEND": "kafka"}, ["queue.backend", "embedded"]),
        ("api: 5", {"COMPOSITION_API__PORT": "1"}, ["COMPOSITION_API__PORT", "not a section"]),
        ("- a\n- b", {}, ["table of sections"]),
        ("a: [", {}, ["cannot be read"]),
    ],
)
def test_a_bad_value_is_refused_with_its_path(tmp_path, text, environment, says):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environment)
    for part in says:
        assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        load_config(tmp_path / "nowhere.yaml", {})


def test_the_configuration_cannot_be_changed():
    with pytest.raises(ValidationError):
        Config().limits.max_resolution = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "option"), [("default_steps", "num_inference_steps"), ("default_guidance_scale", "guidance_scale")]
)
def test_a_default_that_the_service_may_set_starts_as_the_option_documents_it(key, option):
    assert getattr(Config().generation, key) == OPTIONS[option].default
    for bound in OPTIONS[option].bounds.values():
        assert getattr(Config.model_validate({"generation": {key: bound}}).generation, key) == bound
    with pytest.raises(ValidationError):
        Config.model_validate({"generation": {key: OPTIONS[option].bounds["le"] + 1}})
