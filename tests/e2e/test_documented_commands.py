"""Every command of README and docs/ is typed as it stands, or listed here with the reason and what checks it."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.server import family_of, free_port, kill_all
from models_store.manifest import load_manifest
from tests.e2e.black_box.client import eventually
from tests.e2e.clones import make_clone, newcomers_environment
from tests.e2e.documents import PAGES, ROOT, SERVICE, Command, commands
from tests.e2e.images import photo
from tests.e2e.test_loras import lora_for_the_served_model
from tests.integration.jobs.redis_server import RedisServer

TYPED = {
    ("README.md", "An edit"),
    ("docs/api.md", "A first edit"),
    ("docs/api.md", "Several views of one thing"),
    ("docs/client.md", "Client and command line"),
    ("docs/client.md", "compose"),
    ("docs/models-store.md", "The model store"),
    ("docs/routing.md", "Measuring it"),
    ("docs/deployment-celery.md", "Setting it up"),
    ("docs/operations.md", "Why was this edit slow?"),
}
"""Page and section of the commands that this module types."""
ELSEWHERE = {
    ("README.md", "Real models"): "typed in test_real_models.py",
    ("README.md", "Two commands"): "make test is this run; the edits of make demo are run in test_demo_profile.py",
    ("CONTRIBUTING.md", "Contributing"): "make test and make check are what CI runs",
    ("docs/loras.md", "Bringing one in"): "test_loras.py sends a file that is made for the served model",
    ("docs/memory.md", "What fits on a card"): "sd15 is not here; docs/models-store.md asks the doctor about tiny",
    ("docs/performance.md", "Measuring"): "minutes to hours each; tests/integration/benchmarks runs the small ones",
    ("docs/performance.md", "Beside other servers"): "test_peers.py measures two of them on the tiny model",
    ("docs/capacity.md", "From your machine to a number"): "sd15 is not here; test_capacity.py measures tiny",
    ("docs/deployment.md", "The image"): "make image-test builds and runs one, in an hour",
    ("docs/deployment.md", "Compose"): "needs a container runtime; tests/unit/deploy checks the files",
    ("docs/deployment.md", "Kubernetes"): "tests/unit/deploy checks the files, and the secrets' names in them",
    ("docs/reports.md", "Speed and memory"): "test_gpu_report.py and test_gpu_check.py run them on small models",
    ("docs/reports.md", "Quality"): "test_quality_report.py runs it on toy folders",
    ("docs/models/README.md", "Training"): "hours; tests/integration/demo_models trains a little",
}
"""Of these the programs, targets and options are checked to exist."""
PHOTO_BYTES = 4_000_000


def all_commands() -> list[Command]:
    return [command for page in PAGES for command in commands(page)]


def of(page: str, section: str) -> list[Command]:
    return [command for command in commands(page) if command.section == section]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    return make_clone(tmp_path_factory.mktemp("clone") / "source")


@pytest.fixture
def desk(tmp_path) -> Path:
    """A folder with a large photograph under the names that the pages use."""
    noise = np.random.default_rng(1).integers(-60, 60, (1100, 2000, 3))
    pixels = np.clip(np.asarray(photo(1100, 2000)).astype(int) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=98, subsampling=0)
    assert buffer.tell() > PHOTO_BYTES
    for name in ("photo.jpg", "car.jpg"):
        (tmp_path / name).write_bytes(buffer.getvalue())
    return tmp_path


def type_in(folder: Path, lines: str, *, timeout_s: float = 900, **variables: str) -> str:
    environment = {**newcomers_environment(), "BENTOML_HOME": bentoml_home(), **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=timeout_s,
    )  # fmt: skip
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


def bentoml_home() -> str:
    return os.environ.get("BENTOML_HOME", str(ROOT / ".bentoml"))


def test_every_command_is_typed_or_listed():
    places = {(command.page, command.section) for command in all_commands()}
    assert places == TYPED | ELSEWHERE.keys()


def test_commands_stand_in_blocks_that_say_so():
    """A block without a language is a drawing; one that starts a program would be passed over here."""
    for page in PAGES:
        for block in re.findall(r"^```\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE):
            assert not re.search(r"^(make|python3?|curl|pip|bentoml|celery|\./|export) ", block, re.MULTILINE), block


def test_no_command_needs_what_only_linux_has():
    for command in all_commands():
        found = re.search(r"base64 (-w|--wrap)|readlink -f|sed -i |date -d|grep -P|xargs -d|stat -c", command.text)
        assert found is None, command


def test_no_photograph_is_put_into_a_command_line():
    for command in all_commands():
        assert "$(base64" not in command.text, command
        assert "`base64" not in command.text, command


def test_the_trace_of_a_job_is_drawn(tmp_path):
    (command,) = of("docs/operations.md", "Why was this edit slow?")
    attributes = {"job.id": command.text.split()[-1]}
    span = {"trace": "t", "span": "s", "parent": None, "name": "attempt", "process": "front", "attributes": attributes}
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "traces.jsonl").write_text(
        json.dumps({**span, "began_ns": 0, "ended_ns": 10**9, "failed": False})
    )
    drawn = type_in(
        tmp_path, command.text, PYTHONPATH=str(ROOT), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    assert re.search(r"attempt +front +0 ms +1000 ms", drawn)


def test_the_edit_of_the_readme_takes_a_large_photograph(service_url, desk):
    (command,) = of("README.md", "An edit")
    assert SERVICE in command.text
    answer = json.loads(type_in(desk, command.text.replace(SERVICE, service_url)))
    assert answer["result"]["metadata"]["output_resolution"] == "2000x1100"


def test_the_first_edit_of_the_api_page_leaves_an_image(service_url, desk):
    lines = "\n".join(command.text for command in of("docs/api.md", "A first edit"))
    assert SERVICE in lines
    type_in(desk, lines.replace(SERVICE, service_url))
    with Image.open(desk / "edited.png") as image:
        assert image.size == (2000, 1100)
    as_json, as_form = (
        json.loads((desk / name).read_text())["result"]["image"] for name in ("answer.json", "form.json")
    )
    assert as_form == as_json


def test_the_views_of_the_api_page_are_edited(service_url, tmp_path):
    (command,) = of("docs/api.md", "Several views of one thing")
    assert SERVICE in command.text
    photo(256, 320).save(tmp_path / "car.jpg")
    photo(300, 280).save(tmp_path / "side.jpg")
    type_in(tmp_path, command.text.replace(SERVICE, service_url))
    images = json.loads((tmp_path / "views.json").read_text())["result"]["images"]
    assert [Image.open(io.BytesIO(base64.b64decode(image))).size for image in images] == [(320, 256), (280, 300)]


@pytest.fixture(scope="module")
def installed(clone) -> Path:
    """The client, installed as its page says, but from this machine alone."""
    packages = clone / "installed"
    (command,) = of("docs/client.md", "Client and command line")
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_TARGET": str(packages)}
    type_in(clone, command.text, PATH=f"{clone}/.venv/bin:{os.environ['PATH']}", **offline)
    return packages


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_installed_client_is_the_whole_client_and_nothing_else(installed):
    source = ROOT / "clients/python/src/composition_client"
    files = {path.relative_to(source) for path in source.rglob("*") if path.suffix in (".py", ".typed")}
    package = installed / "composition_client"
    assert {path.relative_to(package) for path in package.rglob("*") if path.suffix in (".py", ".typed")} == files
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {
        "composition_client", "bin", "image_composition_client",
    }  # fmt: skip


def test_the_commands_of_the_client_page_work(service_url, installed, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "side.jpg", "rims.png", "photos/a.jpg", "photos/b.jpg"):
        photo(256, 320).save(tmp_path / name)
    photo(256, 320).save(tmp_path / "drive.gif", save_all=True, append_images=[photo(256, 320).rotate(1)])
    Image.fromarray(np.eye(256, 320, dtype=np.uint8) * 255).save(tmp_path / "mask.png")
    (tmp_path / "ink.safetensors").write_bytes(lora_for_the_served_model(2))
    (edits,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    (tmp_path / "edits.toml").write_text(edits)
    lines = "\n".join(command.text for command in of("docs/client.md", "compose"))
    path = f"{installed}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        said = type_in(tmp_path, lines, COMPOSE_URL=service_url, PYTHONPATH=str(installed), PATH=path)
    finally:  # other tests list what this service has
        httpx.delete(f"{service_url}/api/v1/loras/ink", timeout=60)
    assert "photo.edited.png" in said
    assert "ink: lora for models of another width" in said
    written = ("photo.edited.png", "piped.png", "out.webp", "photo.overlay.png", "photos.edited/a.png", "ink.png")
    written += ("both.png", "planned.png", "views/photo.edited.png", "views/side.edited.png", "red.gif")
    assert {size_of(tmp_path / name) for name in written} == {(320, 256)}
    assert (tmp_path / "piped.png").read_bytes() != (tmp_path / "photo.jpg").read_bytes()


def test_the_program_of_the_client_page_works(service_url, installed, tmp_path):
    photo(256, 320).save(tmp_path / "photo.jpg")
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/client.md").read_text(), re.DOTALL)
    environment = {**newcomers_environment(), "PYTHONPATH": str(installed), "COMPOSE_URL": service_url}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 [")
    assert size_of(tmp_path / "edited.png") == (320, 256)


def test_the_commands_of_the_model_store_work_in_one_shell(clone):
    said = type_in(clone, "\n".join(command.text for command in of("docs/models-store.md", "The model store")))
    profile, role = len(load_manifest("tiny").required), 1
    assert f"tiny: {profile} models imported, 0 were there" in said
    assert f"tiny: 0 models imported, {role} were there" in said
    assert "FAILED" not in said


def test_the_commands_that_read_prompts_work(clone):
    score, decision = (
        type_in(clone, command.text, PATH=f"{clone}/.venv/bin:{os.environ['PATH']}")
        for command in of("docs/routing.md", "Measuring it")
    )
    assert score.strip()
    assert "sofa" in decision


@pytest.fixture
def redis(tmp_path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_the_two_commands_of_the_celery_page_make_a_service(service_url, clone, redis, tmp_path):
    """After `service_url`, which has the tiny profile imported."""
    port = free_port()
    environment = {
        **newcomers_environment(),
        "BENTOML_HOME": bentoml_home(),
        "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}",
        "COMPOSITION_API__PORT": str(port),
        "COMPOSITION_MODELS__PROFILE": "tiny",
        "COMPOSITION_QUEUE__BACKEND": "celery",
        "COMPOSITION_QUEUE__REDIS_URL": redis.url,
        "BENTOML_RESULT_STORE": str(tmp_path / "tasks.sqlite3"),
        "HF_HUB_OFFLINE": "1",
    }
    logs, processes = [tmp_path / "api.log", tmp_path / "worker.log"], []
    try:
        for command, log in zip(of("docs/deployment-celery.md", "Setting it up"), logs, strict=True):
            processes.append(start(command.text, clone, environment, log))
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=30) as probe:
            eventually(lambda: any(p.poll() is not None for p in processes) or is_healthy(probe))
        said = "".join(log.read_text(errors="replace") for log in logs)
        assert not any(p.poll() is not None for p in processes), said
        document = httpx.get(f"{url}/openapi.json", timeout=600).json()
        example = document["components"]["schemas"]["GenerateRequest"]["example"]
        body = {**example, "config": {"num_inference_steps": 1}}
        answer = httpx.post(f"{url}/api/v1/generate", json=body, timeout=600)
        assert answer.status_code == 200, answer.text + said
    finally:
        for process in processes:
            kill_all(family_of(process))
            process.wait()


def start(command: str, folder: Path, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            shlex.split(command), cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )


def is_healthy(probe: httpx.Client) -> bool:
    try:
        return probe.get("/api/v1/health").status_code == 200
    except httpx.TransportError:
        return False


def test_the_celery_packages_that_the_page_speaks_of_are_locked():
    distributed = re.search(r"^distributed = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    names = {re.match(r"[\w-]+", name)[0] for name in re.findall(r'"([^"]+)"', distributed)}
    assert {"celery", "redis"} <= names
    for lock in ("deploy/requirements.txt", "requirements.lock"):
        locked = {line.partition("==")[0] for line in (ROOT / lock).read_text().splitlines()}
        assert names <= locked, lock


def test_no_page_installs_the_project_as_a_package():
    for page in PAGES:
        assert not re.search(r"pip install[^\n]*image-composition", (ROOT / page).read_text()), page


def mentioned_targets() -> list[tuple[str, str]]:
    """Page and target of every `make ...` in a block or in the text."""
    found = set()
    for page in PAGES:
        text = (ROOT / page).read_text()
        found |= {(page, name) for name in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)}
        found |= {(page, name) for name in re.findall(r"`make ([a-z-]+)", text)}
    return sorted(found)


@pytest.mark.parametrize(("page", "target"), mentioned_targets())
def test_a_target_that_is_mentioned_exists(page, target, clone):
    type_in(clone, f"make --dry-run {target}")


@pytest.mark.parametrize("page", PAGES)
def test_a_module_that_is_mentioned_exists(page):
    named = set(re.findall(r"python -m ([a-z_.]+[a-z_])", (ROOT / page).read_text()))
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_every_section_of_the_performance_page_with_a_measured_figure_names_a_command():
    sections = (ROOT / "docs/performance.md").read_text().split("\n## ")[1:]
    figure = re.compile(r"\d (TFLOP|MB|s\b|ms)|\d times as|p50 \d")
    measured = [text for text in sections if figure.search(text)]
    assert len(measured) >= 3
    for text in measured:
        assert re.search(r"make [a-z]|python -m benchmarks\.", text), text.splitlines()[0]


def programs_elsewhere() -> list[list[str]]:
    lines = [command.text for place in ELSEWHERE for command in of(*place)]
    return [shlex.split(line) for line in lines if not line.startswith(("curl ", "docker ", "kubectl ", "make "))]


HELPS = """
import contextlib, io, json, runpy, sys
helps = []
for module, *words in json.load(sys.stdin):
    sys.argv = [module, *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    helps.append(shown.getvalue())
print(json.dumps(helps))
"""
"""What each program says to --help; in one process, as most of them import torch."""


def test_the_programs_that_are_not_typed_exist_and_have_the_options_that_are_shown(clone):
    programs = programs_elsewhere()
    assert len(programs) >= 10
    assert {tuple(words[:2]) for words in programs} == {("python", "-m")}
    asked = [[module, *(word for word in words[:1] if word[0] != "-")] for _, _, module, *words in programs]
    typed = subprocess.run(
        [sys.executable, "-c", HELPS], cwd=clone, input=json.dumps(asked), capture_output=True, text=True, check=True,
        env=newcomers_environment(),
    )  # fmt: skip
    for words, shown in zip(programs, json.loads(typed.stdout), strict=True):
        for option in (word for word in words if word.startswith("--")):
            assert option in shown, words
