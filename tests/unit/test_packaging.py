"""The Bento has the whole service and nothing else; the service needs nothing that is not in it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pathspec import PathSpec

from api.bundle import read_bundle

ROOT = Path(__file__).resolve().parents[2]
DEVELOPMENT = {"benchmarks", "demo_models", "release", "tests"}
PRODUCT = {path.parent.name for path in ROOT.glob("*/__init__.py")} - DEVELOPMENT
WIRING = ["service.py", "worker.py"]


@pytest.fixture(scope="module")
def packed() -> PathSpec:
    bentofile = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    return PathSpec.from_lines("gitwildmatch", bentofile["include"])


def files_of(folder: str) -> Iterator[str]:
    for path in (ROOT / folder).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", sorted(PRODUCT))
def test_the_bento_has_every_file_of_a_product_package(packed, package):
    files = set(files_of(package))
    assert f"{package}/__init__.py" in files
    assert {path for path in files if not packed.match_file(path)} == set()


def test_the_bento_has_the_page_as_it_is_served_and_nothing_that_builds_it(packed):
    files = {path for path in files_of("page") if not path.startswith("page/node_modules/")}
    served = {f"page/built/{name}" for name in read_bundle()}
    assert "page/built/index.html" in served
    assert {path for path in files if packed.match_file(path)} == served


def test_the_bento_has_what_its_image_is_built_with_and_nothing_else_of_deploy(packed):
    wanted = {"deploy/install_packages.sh", "deploy/slim_packages.py"}
    assert {path for path in files_of("deploy") if packed.match_file(path)} == wanted


def test_the_bento_has_the_wiring_and_what_it_reads(packed):
    assert all(packed.match_file(path) for path in [*WIRING, "config.yaml", "README.md", "LICENSE", "NOTICE"])


@pytest.mark.parametrize("folder", sorted(DEVELOPMENT | {"docs", "clients", "examples"}))
def test_the_bento_has_nothing_of_what_serves_development(packed, folder):
    files = set(files_of(folder))
    assert files
    assert {path for path in files if packed.match_file(path)} == set()


@pytest.mark.parametrize(
    "path",
    [
        "docs/models/README.md",
        "examples/config.yaml",
        "clients/python/LICENSE",
        "environment/lib/python3.11/site-packages/bentoml/service.py",
        ".bentoml/bentos/image-composition/abc/src/worker.py",
        ".bentoml/bentos/image-composition/abc/src/api/app.py",
        "demo_models/weights/README.md",
    ],
)
def test_a_name_that_the_bento_packs_is_not_packed_from_elsewhere(packed, path):
    assert not packed.match_file(path)


@pytest.mark.parametrize("source", [*WIRING, *sorted(PRODUCT)])
def test_the_product_imports_nothing_that_serves_development(source):
    path = ROOT / source
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    offending = {(str(file), name) for file in files for name in imported(file) if name in DEVELOPMENT}
    assert offending == set()


def imported(file: Path) -> Iterator[str]:
    """The top-level names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_what_is_tested_and_what_is_packed_have_the_same_versions():
    tested, deployed = pins(ROOT / "requirements.lock"), pins(ROOT / "deploy" / "requirements.txt")
    assert deployed.items() <= tested.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["distributed"]]
    assert {re.split(r"[<>=]", requirement)[0] for requirement in declared} <= deployed.keys()


def test_what_builds_the_site_is_locked_as_what_it_stands_beside():
    tested, building = pins(ROOT / "requirements.lock"), pins(ROOT / "docs" / "requirements.txt")
    assert {name: building[name] for name in building.keys() & tested.keys()} == {
        name: tested[name] for name in building.keys() & tested.keys()
    }
    asked = re.findall(r"^([a-z-]+)>=", (ROOT / "docs" / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"mkdocs", "mkdocs-material"} <= set(asked) <= building.keys()
