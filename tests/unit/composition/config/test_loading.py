"""One frozen tree from the file and the environment; anything bad stops start-up with the key's path."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from composition.config import Config, ConfigError, load_config
from composition.request import OPTIONS

ROOT = Path(__file__).resolve().parents[4]

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
        ("generation: {scheduler: Euler}", {}, ["generation.scheduler", "DPMSolverMultistep", "'Euler'"]),
        ("", {"COMPOSITION_LIMTS__MAX": "1"}, ["limts", "not a known key"]),
        ("", {"COMPOSITION_QUEUE__BACKEND": "kafka"}, ["queue.backend", "embedded"]),
        ("api: 5", {"COMPOSITION_API__PORT": "1"}, ["COMPOSITION_API__PORT", "not a section"]),
        ("- a\n- b", {}, ["table of sections"]),
        ("api: 5", {"COMPOSITION_API": "{}"}, ["COMPOSITION_API", "not a section"]),
        ("a: [", {}, ["cannot be read"]),
        ("", {"COMPOSITION_MODLES__PROFILE": "tiny"}, ["modles", "COMPOSITION_MODLES__PROFILE", "there are", "models"]),
        ("", {"COMPOSITION_FOO": "1"}, ["foo: is not a known key", "COMPOSITION_FOO"]),
        ("", {"COMPOSITION_LIMITS_MAX_RESOLUTION": "512"}, ["COMPOSITION_LIMITS_MAX_RESOLUTION", "not a known key"]),
        (
            "",
            {"COMPOSITION_LIMITS__MAX_RESOLUTOIN": "5"},
            ["limits.max_resolutoin", "not a known key", "max_resolution"],
        ),
        ("", {"COMPOSITION_MODELS__DETECTION__SAMM": "x"}, ["models.detection.samm", "grounding_dino", "set by"]),
        ("", {"COMPOSITION_LIMITS__MAX_RESOLUTION": "big"}, ["integer", "'big'", "COMPOSITION_LIMITS__MAX_RESOLUTION"]),
        ("", {"COMPOSITION_LIMITS__MAX_RESOLUTION__X": "5"}, ["limits.max_resolution", "integer"]),
        ("", {"COMPOSITION_LIMITS": '{"max_resolutoin": 5}'}, ["limits.max_resolutoin", "not a known key"]),
        (
            "generation: {guidance_start: 0.6, guidance_end: 0.5}",
            {},
            ["generation", "guidance_start must not be above"],
        ),
        ("", {"COMPOSITION_LIMITS": "512"}, ["limits", "dictionary"]),
        ("", {"COMPOSITION_LIMITS": "big"}, ["limits", "dictionary", "COMPOSITION_LIMITS"]),
        ("", {"COMPOSITION_ROUTING__COMPLEX_TRIGGERS__KEYWORDS": "boat"}, ["keywords", "tuple", "'boat'"]),
        ("models: {detection: 5}", {"COMPOSITION_MODELS__DETECTION__SAM": "x"}, ["DETECTION__SAM", "not a section"]),
        ("", {"COMPOSITION_API__PORT": "1", "COMPOSITION_API__PORT__X": "2"}, ["PORT__X", "port is a value"]),
    ],
)
def test_a_bad_value_is_refused_with_its_path(tmp_path, text, environment, says):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environment)
    for part in says:
        assert part in str(caught.value)


def test_every_bad_key_is_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "fetch: {timeout_s: 0}", COMPOSITION_FOO="1", COMPOSITION_API__PORT="70000")
    for path in ("fetch.timeout_s", "foo", "api.port"):
        assert f"\n  {path}: " in str(caught.value)


def test_a_bad_key_of_the_file_is_not_blamed_on_the_environment(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "limits: {max_resolution: big}", COMPOSITION_LIMITS__MIN_RESOLUTION="64")
    assert "set by" not in str(caught.value)
    assert str(caught.value).splitlines()[-1].endswith("'big'")


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("", {"COMPOSITION_API__API_KEYS": "s3cret"}, "api.api_keys: Input should be"),
        ("", {"COMPOSITION_API__API_KEYS": '{"ann": ["s3cret"]}'}, "api.api_keys.ann: Input should be"),
        ("", {"COMPOSITION_API": '{"api_keys": {"ann": "s3cret"}'}, "api: Input should be"),
        ("", {"COMPOSITION_API__API_KEY": "s3cret"}, "api.api_key: is not a known key"),
        ("", {"COMPOSITION_QUEUE__REDIS_URL__X": "s3cret"}, "queue.redis_url: Input should be"),
        ("queue: [redis://:s3cret@redis]", {}, "queue: Input should be"),
        ("queue: {webhook_secret: [s3cret]}", {}, "queue.webhook_secret: Input should be"),
        ("storage: {blobs: [redis://:s3cret@redis]}", {}, "storage.blobs: Input should be"),
        ("api:\n  api_keys: {ann: 's3cret\n", {}, "cannot be read: line "),
        ("api: {api_keys: {ann: s3cret}}\nlimits: {max_resolution: 0}", {}, "limits.max_resolution"),
        ("api: {api_keys: {ann: s3cret}, workers: 2}", {}, "api.workers"),
    ],
)
def test_no_error_shows_a_secret_nor_does_its_traceback(tmp_path, text, environment, says):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environment)
    assert says in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_an_empty_key_would_let_everybody_in_and_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"api\.api_keys\.ann: "):
        load(tmp_path, COMPOSITION_API__API_KEYS='{"ann": ""}')


def test_the_variable_that_names_the_file_is_no_key(tmp_path):
    path = tmp_path / "elsewhere.yaml"
    path.write_text("limits: {max_resolution: 640}", encoding="utf-8")
    assert load_config(None, {"COMPOSITION_CONFIG": str(path)}).limits.max_resolution == 640


def test_a_file_of_the_secrets_folder_is_as_good_as_a_variable(tmp_path):
    (tmp_path / "COMPOSITION_API__API_KEYS").write_text('{"shop": "k1"}\n')
    (tmp_path / "..data").mkdir()  # as Kubernetes has it
    (tmp_path / "README").write_text("not ours")
    config = load(tmp_path, COMPOSITION_SECRETS=str(tmp_path), COMPOSITION_API__PORT="9000")
    assert {name: key.get_secret_value() for name, key in config.api.api_keys.items()} == {"shop": "k1"}
    assert config.api.port == 9000


def test_a_secret_that_is_a_variable_too_is_refused(tmp_path):
    (tmp_path / "COMPOSITION_QUEUE__WEBHOOK_SECRET").write_text("hush")
    with pytest.raises(ConfigError, match=r"COMPOSITION_QUEUE__WEBHOOK_SECRET: is a variable and a file") as caught:
        load(tmp_path, COMPOSITION_SECRETS=str(tmp_path), COMPOSITION_QUEUE__WEBHOOK_SECRET="other")
    assert "hush" not in str(caught.value)


def test_a_bad_secret_is_named_by_its_file(tmp_path):
    (tmp_path / "COMPOSITION_QUEUE__WEBHOK").write_text("hush")
    with pytest.raises(ConfigError, match=r"queue\.webhok: is not a known key.*COMPOSITION_QUEUE__WEBHOK") as caught:
        load(tmp_path, COMPOSITION_SECRETS=str(tmp_path))
    assert "hush" not in str(caught.value)


def test_a_secrets_folder_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(ConfigError, match=r"COMPOSITION_SECRETS: .*nowhere cannot be read"):
        load(tmp_path, COMPOSITION_SECRETS=str(tmp_path / "nowhere"))


def test_sections_are_merged_key_by_key(tmp_path):
    config = load(
        tmp_path,
        "models: {profile: tiny, detection: {sam: here, nms_threshold: 0.2}}",
        COMPOSITION_MODELS__DETECTION__NMS_THRESHOLD="0.6",
        COMPOSITION_LIMITS='{"max_resolution": 640}',
        COMPOSITION_LIMITS__MIN_RESOLUTION="64",
    )
    assert (config.models.profile, config.models.detection.sam, config.models.detection.nms_threshold) == (
        "tiny",
        "here",
        0.6,
    )
    assert (config.limits.max_resolution, config.limits.min_resolution) == (640, 64)


def test_api_keys_of_the_environment_take_the_place_of_those_in_the_file(tmp_path):
    config = load(tmp_path, "api: {api_keys: {old: leaked}}", COMPOSITION_API__API_KEYS='{"new": "fresh"}')
    assert config.api.api_keys == {"new": SecretStr("fresh")}


@pytest.mark.parametrize("text", ["true", "[brackets", '{"a": 1}', "5"])
def test_a_text_key_keeps_its_text_whatever_it_looks_like(tmp_path, text):
    assert load(tmp_path, COMPOSITION_QUEUE__WEBHOOK_SECRET=text).queue.webhook_secret == SecretStr(text)


def test_the_defaults_do_not_look_at_the_environment(monkeypatch):
    monkeypatch.setenv("COMPOSITION_LIMITS__MAX_RESOLUTION", "512")
    assert Config().limits.max_resolution == 2048
    assert load_config(ROOT / "config.yaml").limits.max_resolution == 512


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


def test_the_tree_does_not_show_its_secrets():
    config = Config.model_validate(
        {
            "api": {"api_keys": {"shop": "key-of-the-shop"}},
            "queue": {"webhook_secret": "signs", "redis_url": "redis://:password@redis"},
            "storage": {"blobs": "redis://:password@redis"},
        }
    )
    assert config.api.api_keys["shop"].get_secret_value() == "key-of-the-shop"
    shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()} {config.api.api_keys}"
    assert not [secret for secret in ("key-of-the-shop", "signs", "password") if secret in shown]
