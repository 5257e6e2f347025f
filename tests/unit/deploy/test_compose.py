"""deploy/compose.yaml: valid, and what it says fits the service's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from composition.config import Config, load_config
from composition.shutdown import LINGER_S
from runners.staying import MARGIN_S
from tests.unit.deploy.documents import DEPLOY, compose, seconds

SCHEMA = Path(__file__).with_name("compose-spec.json")
OURS = ("single", "api", "worker")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cpu.yaml"])
def test_the_file_keeps_to_the_compose_specification(name):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert [error.message for error in Draft7Validator(schema).iter_errors(compose(name))] == []


def test_the_schema_sees_a_wrong_key():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    broken = compose()
    broken["services"]["api"]["stop_grace"] = "75s"
    assert list(Draft7Validator(schema).iter_errors(broken)) != []


def test_each_profile_starts_what_it_is_for(services):
    of = {profile: {n for n, s in services.items() if profile in s["profiles"]} for profile in ("single", "scaled")}
    assert of == {"single": {"single"}, "scaled": {"proxy", "api", "worker", "redis"}}


@pytest.mark.parametrize("name", OURS)
def test_a_container_is_not_killed_before_it_has_drained(services, name):
    drain_s = Config().queue.shutdown_grace_s + LINGER_S + MARGIN_S
    assert seconds(services[name]["stop_grace_period"]) > drain_s


def test_the_proxy_and_redis_outlast_what_goes_through_them(services):
    assert seconds(services["proxy"]["stop_grace_period"]) >= seconds(services["api"]["stop_grace_period"])
    assert services["proxy"]["stop_signal"] == "SIGQUIT"  # nginx' way to end what is under way
    assert seconds(services["redis"]["stop_grace_period"]) >= 30


def test_a_node_believes_the_proxy_about_who_asks_and_is_reached_by_nobody_else(services):
    assert services["api"]["environment"]["FORWARDED_ALLOW_IPS"] == "*"
    assert "ports" not in services["api"]
    assert "FORWARDED_ALLOW_IPS" not in services["single"]["environment"]  # its port is open to everybody
    written = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in written  # in place of what the client sent


def test_ports_are_those_that_the_service_and_the_proxy_listen_on(services):
    port = Config().api.port
    assert services["single"]["ports"] == [f"8000:{port}"]
    assert services["api"]["expose"] == [str(port)]
    nodes = (DEPLOY / "nginx" / "nodes.conf").read_text(encoding="utf-8")
    assert f"server api:{port} " in nodes
    proxy = services["proxy"]["ports"][0].rpartition(":")[2]
    assert f"listen {proxy};" in (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")


def test_redis_reads_its_settings_from_where_they_are_mounted(services):
    redis = services["redis"]
    (start,) = [line for line in redis["entrypoint"][-1].splitlines() if line.startswith("exec ")]
    _, program, settings, option, password = start.split()
    assert (program, option) == ("redis-server", "--include")
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in redis["volumes"]}
    assert (DEPLOY / mounted[settings]).samefile(DEPLOY / "k8s/redis/redis.conf")
    assert f"> {password}" in redis["entrypoint"][-1], "what it includes is written before"


def test_redis_is_reached_by_the_nodes_alone_and_keeps_what_it_is_given(services):
    file, redis = compose(), services["redis"]
    assert "ports" not in redis
    assert redis["networks"] == ["inside"]
    assert file["networks"]["inside"] == {"internal": True}
    assert {name for name, s in services.items() if "inside" in s.get("networks", ())} == {"redis", "api", "worker"}
    assert "redis:/data" in redis["volumes"]
    assert file["volumes"].keys() == {"jobs", "redis"}
    settings = dict(
        line.split(" ", 1) for line in (DEPLOY / "k8s/redis/redis.conf").read_text().splitlines() if line[:1].isalpha()
    )
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["dir"] == "/data"


@pytest.mark.parametrize("name", OURS)
def test_variables_and_secrets_are_keys_of_the_configuration(services, name, tmp_path):
    service = services[name]
    secrets = {"COMPOSITION_API__API_KEYS": '{"first": "k"}', "COMPOSITION_QUEUE__REDIS_URL": "redis://:p@redis:6379/0"}
    targets = [entry["target"] for entry in service["secrets"]]
    for target in targets:
        (tmp_path / target).write_text(secrets.get(target, "x"))
    environment = {**service["environment"], "COMPOSITION_SECRETS": str(tmp_path)}
    config = load_config(DEPLOY.parent / "config.yaml", environment)
    assert service["environment"]["COMPOSITION_SECRETS"] == "/run/secrets"
    assert list(config.api.api_keys) == ["first"]
    assert config.queue.backend == ("embedded" if name == "single" else "celery")
    assert config.storage.blobs is None
    assert ("COMPOSITION_QUEUE__REDIS_URL" in targets) == (name != "single")


def test_a_worker_tells_its_series_at_a_port_that_is_not_published(services):
    worker = services["worker"]
    variables = {k: v for k, v in worker["environment"].items() if k != "COMPOSITION_SECRETS"}
    port = load_config(DEPLOY.parent / "config.yaml", variables).metrics.worker_port
    assert worker["expose"] == [str(port)]
    assert "ports" not in worker


def test_every_secret_is_a_file_and_in_no_variable(services):
    declared = compose()["secrets"]
    used = {e if isinstance(e, str) else e["source"] for s in services.values() for e in s.get("secrets", ())}
    assert used == declared.keys()
    assert all(entry["file"].startswith("./secrets/") for entry in declared.values())
    made = (DEPLOY / "make_secrets.sh").read_text(encoding="utf-8")
    assert all(f"make_one {name} " in made for name in declared)


@pytest.mark.parametrize("name", ["single", "api", "worker", "redis", "proxy"])
def test_no_container_may_do_more_than_it_must(services, name):
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["restart"] == "unless-stopped"
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert any(entry.startswith("/tmp:") for entry in service["tmpfs"])  # noqa: S108


def test_who_has_models_has_the_gpu_and_nobody_else(services):
    with_gpu = {name for name, s in services.items() if s["deploy"]["resources"].get("reservations")}
    assert with_gpu == {"single", "worker"}
    cpu = compose("compose.cpu.yaml")["services"]
    assert cpu.keys() == with_gpu
    assert all(s["deploy"]["resources"]["reservations"]["devices"] == [] for s in cpu.values())


def test_the_image_is_the_one_that_make_image_tags(services):
    makefile = (DEPLOY.parent / "Makefile").read_text(encoding="utf-8")
    assert {services[name]["image"] for name in OURS} == {"image-composition:latest"}
    assert "IMAGE ?= image-composition:latest" in makefile


def test_jobs_of_a_single_container_outlive_it(services):
    assert services["single"]["volumes"] == ["jobs:/var/lib/image-composition"]
    dockerfile = (DEPLOY / "Dockerfile.j2").read_text(encoding="utf-8")
    assert "COMPOSITION_STORAGE__FOLDER=/var/lib/image-composition" in dockerfile
