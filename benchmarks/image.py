"""`make image-test`: the container image is really built, looked into, and run as deploy/compose.yaml runs it.

    python -m benchmarks.image                        everything, with buildah; an hour, 40 GB, root
    python -m benchmarks.image --image NAME           an image that was built before
    python -m benchmarks.image --image NAME --only single

Where no registry is reached debootstrap makes the base image. Where no container runtime is, bubblewrap is one: the
image's root read-only, /tmp and the data folder to write in, the image's own user without any privilege, its own
process numbers. Figures go to out/image.json.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import packing
from benchmarks.chaos_targets import redis_command, wait_until_it_answers
from benchmarks.demo import run_case
from benchmarks.demo_cases import world_cases
from benchmarks.server import ROOT, free_port, kill_all
from composition.config import load_config

BASE = "localhost/image-composition-base:bookworm"
LIMIT_WITHOUT_TORCH_BYTES = 1_200_000_000
COMPILERS = ("gcc", "cc", "g++", "clang", "tcc", "ld", "as", "make")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
COPIED = ("torch", "packages", "models", "source")
"""The layers that deploy/Dockerfile.j2 copies together, in its order."""
STOP_LIMIT_S = 75.0
EDIT_LIMIT_S = 1800.0
OUT = Path("out/image.json")


class ImageTest:
    """One image; `wrong` must stay empty."""

    def __init__(self, image: str, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self.figures: dict[str, Any] = {"image": image}
        self.wrong: list[str] = []

    def _expect(self, holds: bool, what: str) -> None:
        print(f"  {'holds' if holds else 'WRONG'}: {what}", flush=True)
        if not holds:
            self.wrong.append(what)

    def look_into(self, root: Path) -> dict[str, Any]:
        """What is written on it, how large its layers are, and what is not in it; its configuration."""
        facts = json.loads(buildah("inspect", "--type", "image", self._image))
        config: dict[str, Any] = facts["Docker"]["config"]
        self._expect(config["User"] == "bentoml", "it runs as bentoml")
        self._expect(list(config["ExposedPorts"]) == [f"{load_config().api.port}/tcp"], "it exposes the port it serves")
        self._expect(list(config["Volumes"]) == ["/var/lib/image-composition"], "jobs are in a volume")
        self._expect(config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "api.probe"], "it has a health check")
        labels = {name.rpartition(".")[2] for name in config["Labels"] if name.startswith("org.opencontainers.image.")}
        self._expect({"title", "licenses", "version", "revision"} <= labels, "it is labelled")
        found = [c for c in COMPILERS if any((root / d / c).exists() for d in ("usr/bin", "bin", "app/.venv/bin"))]
        self._expect(not found, f"no compiler is left: {found}")
        source = root / "home/bentoml/bento"
        self._expect(not packing.packed_development_files(source), "nothing in it trains, measures or checks")
        self._expect(not (source / "src" / "deploy").exists(), "what built it is not in it")
        layers: list[dict[str, Any]] = [
            {"created_by": step, "bytes": size} for step, size in layer_sizes(self._image, facts)
        ]
        copied = [layer for layer in layers if "COPY" in layer["created_by"]]
        torch = copied[-len(COPIED)]["bytes"]
        everything = sum(layer["bytes"] for layer in layers)
        self.figures |= {"layers": layers, "bytes": everything, "bytes_without_torch": everything - torch}
        for layer in layers:
            print(f"  {layer['bytes'] / 1e6:8.1f} MB  {layer['created_by'][:100]}", flush=True)
        self._expect(
            everything - torch < LIMIT_WITHOUT_TORCH_BYTES, f"{(everything - torch) / 1e6:.0f} MB beside torch"
        )
        return config

    def run_single(self, root: Path, config: Mapping[str, Any]) -> None:
        """One container: healthy, probed, four edits, SIGTERM with a job running."""
        data, port = self._data("single"), free_port()
        began = time.monotonic()
        settings = {"COMPOSITION_API__PORT": str(port)}
        with running(root, config, data, settings, log=self._folder / "single.log") as process:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(url, limit_s=EDIT_LIMIT_S)
            self.figures["single_healthy_after_s"] = round(time.monotonic() - began, 1)
            print(f"  healthy after {self.figures['single_healthy_after_s']} s", flush=True)
            probe = inside(root, config, data, settings, ["python", "-m", "api.probe"])
            self._expect(probe.returncode == 0, f"its health check passes {probe.stderr[-200:]!r}")
            self._edit(url)
            job = self._submit(url)
            self._stop(process, "single")
        before = {path.name for path in data.iterdir()}
        self._expect({"jobs.sqlite3", "blobs"} <= before, f"jobs are in the data folder: {sorted(before)}")
        with running(root, config, data, settings, log=self._folder / "again.log") as process:
            wait_until_it_answers(url, limit_s=EDIT_LIMIT_S)
            self._see_its_end(url, job)
            self._stop(process, "single, the second time")

    def run_scaled(self, root: Path, config: Mapping[str, Any]) -> None:
        """An API node and a worker, as compose starts them, with a Redis beside."""
        redis_port, port = free_port(), free_port()
        redis = subprocess.Popen(redis_command(redis_port, self._data("redis")), stdout=subprocess.DEVNULL)
        settings = {
            "COMPOSITION_QUEUE__BACKEND": "celery",
            "COMPOSITION_QUEUE__REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "COMPOSITION_API__PORT": str(port),
        }
        worker_command = ["celery", "-A", "worker", "worker"]
        url = f"http://127.0.0.1:{port}"
        began = time.monotonic()
        api = running(root, config, self._data("api"), settings, log=self._folder / "api.log")
        log = self._folder / "worker.log"
        try:
            with api as node, running(root, config, self._data("worker"), settings, worker_command, log=log) as worker:
                wait_until_it_answers(url, limit_s=EDIT_LIMIT_S)
                self.figures["scaled_healthy_after_s"] = round(time.monotonic() - began, 1)
                print(f"  API node and worker healthy after {self.figures['scaled_healthy_after_s']} s", flush=True)
                probe = inside(root, config, self._data("worker"), settings, ["python", "-m", "jobs.probe"])
                self._expect(probe.returncode == 0, f"the worker's health check passes {probe.stderr[-200:]!r}")
                self._edit(url)
                job = self._submit(url)
                self._stop(worker, "worker")
                status = httpx.get(f"{url}/api/v1/status/{job}", timeout=60).json()["status"]
                self._expect(status in ("pending", "completed"), f"its job was finished or handed back: {status}")
                self._stop(node, "API node")
        finally:
            redis.kill()
            redis.wait()

    def _data(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(folder, packing.IMAGE_UID, packing.IMAGE_UID)
        return folder

    def _edit(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=EDIT_LIMIT_S) as client:
            results = [run_case(client, case) for case in world_cases()]
        pipelines = [result["pipeline_used"] for result in results]
        self._expect(pipelines == ["complex", "complex", "simple", "simple"], f"the four edits: {pipelines}")

    def _submit(self, url: str) -> str:
        with httpx.Client(base_url=url, timeout=EDIT_LIMIT_S) as client:
            case = world_cases()[2]
            from benchmarks.demo import to_base64

            body = {"base_image": to_base64(case.base), "prompt": case.prompt, "config": {"num_inference_steps": 30}}
            answer = client.post("/api/v1/generate/async", json=body)
            answer.raise_for_status()
            return str(answer.json()["job_id"])

    def _stop(self, process: subprocess.Popen[bytes], name: str) -> None:
        began = time.monotonic()
        os.kill(first_child(process), signal.SIGTERM)
        try:
            status = process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            status = None
        took = round(time.monotonic() - began, 1)
        self.figures[f"stopped_s {name}"] = took
        self._expect(status == 0, f"{name}: SIGTERM, ended with {status} after {took} s")

    def _see_its_end(self, url: str, job: str) -> None:
        deadline = time.monotonic() + EDIT_LIMIT_S
        document: dict[str, Any] = {}
        while time.monotonic() < deadline:
            document = httpx.get(f"{url}/api/v1/status/{job}", timeout=60).json()
            if document["status"] not in ("pending", "processing"):
                break
            time.sleep(0.5)
        held = document.get("status") == "completed" and document.get("attempt") == 1
        self._expect(held, f"the job that was running at SIGTERM: {document.get('status')}, {document.get('attempt')}")


def buildah(*arguments: str) -> str:
    """What it prints. Raises: RuntimeError."""
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise RuntimeError(f"buildah {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def layer_sizes(image: str, facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What made each layer that there is, and its bytes, from the archive that would be pushed, uncompressed."""
    steps = [entry["created_by"] for entry in facts["Docker"]["history"] if not entry.get("empty_layer")]
    with tempfile.TemporaryDirectory(prefix="layers-", dir="/var/tmp") as folder:
        buildah("push", "--disable-compression", image, f"dir:{folder}")
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        return list(zip(steps, (layer["size"] for layer in manifest["layers"]), strict=True))


def build(image: str, profile: str, folder: Path, options: argparse.Namespace) -> None:
    """The base where there is none, a Bento, and the image by `bentoml containerize`."""
    base = options.base or BASE
    if not options.base and base not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        make_base(folder / "base")
    tag = packing.build_bento(profile, f"image-{secrets.token_hex(4)}")
    arguments = {"BASE_IMAGE": base, "WHEELS": options.wheels, "TORCH": options.torch, "VERSION": "test"}
    command = [*packing.BENTOML, "containerize", tag, "--backend", "buildah", "-t", image, "--opt", "format=docker"]
    for name, value in arguments.items():
        command += ["--opt", f"build-arg={name}={value}"] if value else []
    if options.wheels and Path(options.wheels).is_dir():
        command += ["--opt", f"volume={options.wheels}:{options.wheels}:ro"]
    try:
        subprocess.run([*command, "--opt", "build-arg=REVISION=test"], cwd=tempfile.gettempdir(), check=True)
    finally:
        packing.delete_bento(tag)


def make_base(folder: Path) -> None:
    """Python on Debian, with the certificates that this machine trusts."""
    packages = "ca-certificates,python3.11,python3-pip,python3.11-venv"
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(folder)], check=True)  # noqa: S607
    for superfluous in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(folder / superfluous, ignore_errors=True)
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, folder / CERTIFICATES.relative_to("/"))
    container = buildah("from", "scratch")
    buildah("copy", container, f"{folder}/", "/")
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SSL_CERT_FILE": str(CERTIFICATES),
        "PIP_CERT": str(CERTIFICATES),
    }
    for name, value in variables.items():
        buildah("config", "--env", f"{name}={value}", container)
    buildah("commit", "--rm", container, BASE)
    shutil.rmtree(folder)


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The image's root file system."""
    container = buildah("from", "--pull-never", image)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("umount", container)
        buildah("rm", container)


def contained(
    root: Path, config: Mapping[str, Any], data: Path, settings: Mapping[str, str], command: list[str]
) -> list[str]:
    """The command line that runs a command in the image as deploy/compose.yaml would have it run."""
    hosts = data.parent / f"{data.name}.hosts"  # every runtime makes one
    hosts.write_text(f"127.0.0.1 localhost {data.name}\n", encoding="utf-8")
    (root / "etc" / "hosts").touch()
    variables = dict(entry.split("=", 1) for entry in config["Env"]) | {"HOME": "/home/bentoml"} | dict(settings)
    environment = [part for name, value in variables.items() for part in ("--setenv", name, value)]
    user = str(packing.IMAGE_UID)
    return [
        *("bwrap", "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),  # noqa: S108
        *("--perms", "1777", "--tmpfs", "/tmp", "--bind", str(data), "/var/lib/image-composition"),  # noqa: S108
        *("--ro-bind", str(hosts), "/etc/hosts"),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", data.name, "--die-with-parent"),
        *("--clearenv", *environment, "--chdir", config["WorkingDir"]),
        *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"),
        *("--inh-caps=-all", "--bounding-set=-all", *command),
    ]


@contextmanager
def running(
    root: Path, config: Mapping[str, Any], data: Path, settings: Mapping[str, str],
    command: list[str] | None = None, *, log: Path,
) -> Iterator[subprocess.Popen[bytes]]:  # fmt: skip
    """The image's entrypoint with `command`, else with what the image says."""
    whole = [*config["Entrypoint"], *(command or config["Cmd"])]
    with log.open("wb") as output:
        process = subprocess.Popen(
            contained(root, config, data, settings, whole), stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    except BaseException:
        print(f"--- the end of {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]), flush=True)
        raise
    finally:
        if process.poll() is None:
            from benchmarks.server import family_of

            kill_all(family_of(process))
        process.wait()


def inside(
    root: Path, config: Mapping[str, Any], data: Path, settings: Mapping[str, str], command: list[str]
) -> subprocess.CompletedProcess[str]:
    """A command that ends, beside what runs."""
    whole = contained(root, config, data, settings, command)
    return subprocess.run(whole, capture_output=True, text=True, timeout=EDIT_LIMIT_S, check=False)


def first_child(process: subprocess.Popen[bytes]) -> int:
    """Whom a runtime would signal: the first process inside, not bubblewrap."""
    import psutil

    inner = psutil.Process(process.pid)
    while inner.name() == "bwrap":
        (inner,) = inner.children()
    return int(inner.pid)


def main() -> int:
    """Exit status 0 when all of it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="demo", help="model profile; it must be imported")
    parser.add_argument("--image", help="one that was built before")
    parser.add_argument("--base", help="base image with Python 3.11; without one debootstrap makes it")
    parser.add_argument("--wheels", default="", help="build argument WHEELS: an index or a folder")
    parser.add_argument("--torch", default="", help="build argument TORCH")
    parser.add_argument("--only", choices=["look", "single", "scaled"], help="this part alone")
    options = parser.parse_args()
    os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
    os.environ.setdefault("BUILDAH_LAYERS", "true")  # else one layer holds everything over the base
    image = options.image or "image-composition:test"
    with tempfile.TemporaryDirectory(prefix="image-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if not options.image:
            build(image, options.profile, folder, options)
        test = ImageTest(image, folder)
        with mounted(image) as root:
            config = test.look_into(root)
            if options.only in (None, "single"):
                test.run_single(root, config)
            if options.only in (None, "scaled"):
                test.run_scaled(root, config)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({**test.figures, "wrong": test.wrong}, indent=2) + "\n", encoding="utf-8")
    print(f"image {image}: {len(test.wrong)} wrong; {ROOT / OUT}")
    return 1 if test.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
