"""deploy/k8s: valid for the last Kubernetes releases, and what it says fits the service's configuration."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from bentoml._internal.container.generate import BENTO_UID_GID

from composition.config import Config, load_config
from composition.shutdown import LINGER_S
from runners.staying import MARGIN_S
from tests.unit.deploy.documents import DEPLOY, ROOT, compose, containers, kubernetes

OBJECTS = kubernetes()
OURS = ("api", "worker")


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [item for item in OBJECTS if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def label(item: dict[str, Any]) -> str:
    return f"{item['kind']} {item['metadata']['name']}"


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("item", OBJECTS, ids=label)
def test_every_object_is_valid(item, version):
    kubernetes_validate.validate(item, version, strict=True)


def test_the_validator_sees_a_wrong_key():
    broken = yaml.safe_load(yaml.safe_dump(named("Deployment", "api")))
    broken["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readyProbe"):
        kubernetes_validate.validate(broken, "1.37", strict=True)


def test_every_file_is_named_by_a_kustomization():
    folders = [path.parent for path in (DEPLOY / "k8s").rglob("kustomization.yaml")]
    for folder in folders:
        tree = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        named_here = {*tree["resources"], *(f for g in tree.get("configMapGenerator", ()) for f in g["files"])}
        there = {path.name for path in folder.iterdir()} - {"kustomization.yaml", "prometheus-adapter-values.yaml"}
        assert there == named_here, folder


@pytest.mark.parametrize("name", OURS)
def test_a_pod_is_not_killed_before_it_has_drained(name):
    pod = containers("Deployment")[name]
    before_s = 0
    if hook := pod["containers"][0].get("lifecycle"):
        before_s = int(hook["preStop"]["exec"]["command"][1])
    drain_s = Config().queue.shutdown_grace_s + LINGER_S + MARGIN_S
    assert pod["terminationGracePeriodSeconds"] > before_s + drain_s


def test_ports_and_probes_are_those_that_the_service_answers():
    (api,) = containers("Deployment")["api"]["containers"]
    port = Config().api.port
    assert api["ports"] == [{"name": "http", "containerPort": port}]
    assert named("Service", "api")["spec"]["ports"][0]["port"] == port
    paths = {probe: api[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    policy = named("NetworkPolicy", "api")["spec"]["ingress"][0]["ports"]
    assert policy == [{"protocol": "TCP", "port": port}]


def test_variables_are_keys_of_the_configuration():
    variables = {k: v for k, v in named("ConfigMap", "image-composition")["data"].items() if k != "COMPOSITION_SECRETS"}
    config = load_config(ROOT / "config.yaml", variables)
    assert config.queue.backend == "celery"
    assert config.storage.blobs is None


def test_secrets_are_mounted_where_the_configuration_looks_for_them():
    folder = named("ConfigMap", "image-composition")["data"]["COMPOSITION_SECRETS"]
    for name in OURS:
        mounts = {m["name"]: m for m in containers("Deployment")[name]["containers"][0]["volumeMounts"]}
        assert mounts["secrets"]["mountPath"] == folder
        assert mounts["secrets"]["readOnly"] is True
    keys = set(re.findall(r"--from-file=(COMPOSITION_\w+)=", (DEPLOY / "k8s/base/configuration.yaml").read_text()))
    assert keys == {entry["target"] for entry in compose()["services"]["worker"]["secrets"]}


def pods() -> list[Any]:
    kinds = ("Deployment", "StatefulSet", "Job")
    return [pytest.param(pod, id=f"{kind} {name}") for kind in kinds for name, pod in containers(kind).items()]


@pytest.mark.parametrize("pod", pods())
def test_no_pod_may_do_more_than_it_must(pod):
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]} | (
        {"data"} if container["name"] == "redis" else set()
    )


def test_pods_run_as_the_images_own_user():
    for kind, name in (("Deployment", "api"), ("Deployment", "worker"), ("Job", "import-models")):
        security = containers(kind)[name]["securityContext"]
        assert {security["runAsUser"], security["runAsGroup"], security["fsGroup"]} == {BENTO_UID_GID}


def test_the_models_are_put_where_the_workers_look_and_only_the_job_writes_them():
    job = containers("Job")["import-models"]["containers"][0]
    assert {"name": "BENTOML_HOME", "value": "/models"} in job["env"]
    for name in OURS:
        container = containers("Deployment")[name]["containers"][0]
        mount = next(m for m in container["volumeMounts"] if m["name"] == "models")
        assert mount == {"name": "models", "mountPath": "/models", "readOnly": True}
        assert {"name": "BENTOML_HOME", "value": "/models"} in container["env"]


def test_a_worker_has_one_gpu_and_a_node_none():
    worker, api = (containers("Deployment")[name]["containers"][0]["resources"] for name in ("worker", "api"))
    assert worker["limits"]["nvidia.com/gpu"] == worker["requests"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in {**api["limits"], **api["requests"]}


def test_disruptions_and_updates_never_take_the_last_node():
    assert named("PodDisruptionBudget", "api")["spec"]["minAvailable"] == 1
    assert named("Deployment", "api")["spec"]["replicas"] >= 2
    assert named("Deployment", "api")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_every_selector_selects_something():
    there = {(item["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]) for item in OBJECTS
             if "template" in item.get("spec", {})}  # fmt: skip
    for item in OBJECTS:
        if item["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            spec = item["spec"]
            selector = spec.get("podSelector") or spec.get("selector") or {}
            labels = selector.get("matchLabels", selector)
            names = {labels[k] for k in labels if k == "app.kubernetes.io/name"}
            names |= {value for e in selector.get("matchExpressions", ()) for value in e["values"]}
            assert names <= there, label(item)


def test_everything_is_denied_that_is_not_allowed():
    assert named("NetworkPolicy", "default-deny")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = named("NetworkPolicy", "redis")["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchExpressions"][0]["values"] == ["api", "worker"]
    outside = named("NetworkPolicy", "outside")["spec"]["egress"][0]["to"][0]["ipBlock"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(outside["except"])


def may_connect(source: dict[str, str], name: str) -> set[int]:
    """The ports of the pods of that name which the policies open to a namespace with these labels."""
    return {
        port["port"]
        for item in OBJECTS
        if item["kind"] == "NetworkPolicy"
        and item["spec"]["podSelector"].get("matchLabels") == {"app.kubernetes.io/name": name}
        for rule in item["spec"].get("ingress", ())
        if any(source == peer.get("namespaceSelector", {}).get("matchLabels") for peer in rule["from"])
        for port in rule["ports"]
    }


def scraped() -> dict[str, tuple[str, str]]:
    """The pod's name and the port's of each job that Prometheus is given."""
    tree = yaml.safe_load((DEPLOY / "observability/prometheus-kubernetes.yaml").read_text(encoding="utf-8"))
    kept = {job["job_name"]: job["relabel_configs"][0]["regex"].split(";") for job in tree["scrape_configs"]}
    return {job: (name, port) for job, (name, port) in kept.items()}


def test_prometheus_reaches_every_port_that_it_is_told_to_scrape():
    assert {name for name, _ in scraped().values()} == set(OURS)
    for name, port in scraped().values():
        (container,) = containers("Deployment")[name]["containers"]
        (number,) = [entry["containerPort"] for entry in container["ports"] if entry["name"] == port]
        assert number in may_connect({"kubernetes.io/metadata.name": "monitoring"}, name), name


def test_a_worker_answers_at_the_port_that_is_opened_and_to_nobody_else():
    (worker,) = containers("Deployment")["worker"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in worker["env"] if entry["name"].startswith("COMPOSITION_")}
    metrics = load_config(ROOT / "config.yaml", variables).metrics
    assert worker["ports"] == [{"name": "metrics", "containerPort": metrics.worker_port}]
    assert metrics.worker_host == "0.0.0.0"  # noqa: S104
    assert may_connect({"kubernetes.io/metadata.name": "monitoring"}, "worker") == {metrics.worker_port}
    assert may_connect({"image-composition.client": "true"}, "worker") == set()


def test_what_is_scraped_has_the_labels_that_the_alerts_and_the_adapter_ask_for():
    tree = yaml.safe_load((DEPLOY / "observability/prometheus-kubernetes.yaml").read_text(encoding="utf-8"))
    alerts = (DEPLOY / "observability/alerts.yaml").read_text(encoding="utf-8")
    (jobs,) = re.findall(r'up\{job=~"([^"]+)"\}', alerts)
    for job in tree["scrape_configs"]:
        assert re.fullmatch(jobs, job["job_name"])
        assert {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"} in job["relabel_configs"]
        assert job["kubernetes_sd_configs"][0]["namespaces"]["names"] == [
            yaml.safe_load((DEPLOY / "k8s/kustomization.yaml").read_text(encoding="utf-8"))["namespace"]
        ]


def test_workers_are_scaled_by_figures_that_the_adapter_makes_of_series_that_there_are():
    scaler = named("HorizontalPodAutoscaler", "worker")["spec"]
    asked = {metric["external"]["metric"]["name"] for metric in scaler["metrics"]}
    adapter = yaml.safe_load((DEPLOY / "k8s/autoscaling/prometheus-adapter-values.yaml").read_text(encoding="utf-8"))
    made = {rule["name"]["as"]: rule["metricsQuery"] for rule in adapter["rules"]["external"]}
    assert asked == made.keys() == {"composition_pending_jobs", "composition_queue_age_seconds"}
    source = "".join(p.read_text() for folder in ("api", "observability") for p in (ROOT / folder).rglob("*.py"))
    for query in made.values():
        for series in set(re.findall(r"composition_[a-z_]+", query)):
            assert f'"{re.sub("_(sum|count|bucket)$", "", series)}"' in source, series
