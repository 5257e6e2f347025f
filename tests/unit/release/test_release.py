"""What may be tagged, and what is said to be in the image."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from api.app import VERSION
from release.check import NEEDED, complaints_about_licences, complaints_about_version
from release.sbom import LOCK, ROOT, bill

CHANGELOG = (
    "# Changelog\n\n## [0.3.0] - 2026-12-01\n\n### Added\n\n- Something.\n\n## [0.2.0] - 2026-11-26\n\n- Else.\n"
)


def test_a_dated_section_that_says_something_may_be_tagged():
    assert list(complaints_about_version("0.3.0", CHANGELOG, ["v0.2.0"])) == []


@pytest.mark.parametrize(
    ("version", "changelog", "says"),
    [
        ("0.4.0", CHANGELOG, "no section"),
        ("0.3.0", CHANGELOG.replace("2026-12-01", "soon"), "no date"),
        ("0.3.0", CHANGELOG.replace("- Something.", ""), "says nothing"),
        ("0.2.0", CHANGELOG, "tagged already"),
        ("0.3", CHANGELOG, "no version"),
    ],
)
def test_what_is_not_ready_is_told(version, changelog, says):
    assert any(says in line for line in complaints_about_version(version, changelog, ["v0.2.0"]))


def test_a_licence_that_reaches_who_runs_a_service_is_told_and_others_are_not():
    licences = {"a": "AGPL-3.0", "b": "GNU General Public License v3", "c": "LGPL-2.1", "d": "MIT", "e": None}
    assert [line.split()[0] for line in complaints_about_licences(licences)] == ["a", "b"]


def test_no_package_of_the_image_has_such_a_licence():
    components = bill(LOCK.read_text(), version=VERSION)["components"]
    licences = {c["name"]: c["licenses"][0]["license"]["name"] if "licenses" in c else None for c in components}
    assert list(complaints_about_licences(licences)) == []
    assert sum(licence is not None for licence in licences.values()) > 0.8 * len(licences)


def test_the_bill_names_every_package_of_the_lock_once():
    lock = LOCK.read_text()
    document = bill(lock, version="1.2.3")
    pins = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
    assert {component["name"] for component in document["components"]} == pins
    assert len(document["components"]) == len(pins)
    torch = next(component for component in document["components"] if component["name"] == "torch")
    assert torch["purl"] == f"pkg:pypi/torch@{torch['version']}"
    assert document["dependencies"][0]["dependsOn"] == [c["bom-ref"] for c in document["components"]]
    assert document["metadata"]["component"]["version"] == "1.2.3"


def test_the_version_is_written_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "api.app.VERSION"}
    places = [path for folder in ("api", "composition", "jobs", "runners", "models_store", "deploy", "observability")
              for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml", ".j2")]  # fmt: skip
    assert [str(path.relative_to(ROOT)) for path in places if f'"{VERSION}"' in path.read_text()] == ["api/app.py"]


def test_the_changelog_knows_the_version():
    assert re.search(rf"^## \[{re.escape(VERSION)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert all((ROOT / name).is_file() for name in NEEDED)


def test_the_workflow_calls_what_a_contributor_would():
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"run: make ([a-z-]+)", text)
    assert {"check", "docs", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert Path(ROOT / ".pre-commit-config.yaml").is_file()
