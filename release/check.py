"""Whether this tree may be tagged: `make release-check`. Every complaint is a line; status 1 when there is one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from api.app import VERSION
from release.sbom import LOCK, ROOT, bill

NEEDED = ("LICENSE", "README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/licences.md")
FORBIDDEN = re.compile(r"\bA?GPL|Affero|GNU General Public", re.IGNORECASE)
TOLERATED = re.compile(r"LGPL|Lesser", re.IGNORECASE)
_VERSION = re.compile(r"\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?")
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")


def complaints_about_version(version: str, changelog: str, tags: Sequence[str]) -> Iterator[str]:
    """It is a version, nobody has it yet, and the changelog has a dated section of it that says something."""
    if not _VERSION.fullmatch(version):
        yield f"{version} is no version of Semantic Versioning"
    if f"v{version}" in tags:
        yield f"v{version} is tagged already"
    section = re.search(rf"^## \[{re.escape(version)}\](.*)\n((?:(?!^## ).*\n)*)", changelog, re.MULTILINE)
    if section is None:
        yield f"CHANGELOG.md has no section [{version}]"
        return
    if not _DATED.search(section[1]):
        yield f"CHANGELOG.md: section [{version}] has no date"
    if not re.search(r"^- ", section[2], re.MULTILINE):
        yield f"CHANGELOG.md: section [{version}] says nothing"


def complaints_about_licences(licences: Mapping[str, str | None]) -> Iterator[str]:
    """No package of the image asks more of who runs a service than to name it."""
    for name, licence in sorted(licences.items()):
        if licence and FORBIDDEN.search(licence) and not TOLERATED.search(licence):
            yield f"{name} is licensed under {licence}"


def complaints_about_tree() -> Iterator[str]:
    """Files that a release has, and nothing that is not committed."""
    for name in NEEDED:
        if not (ROOT / name).is_file():
            yield f"{name} is missing"
    if changed := _git("status", "--porcelain"):
        yield f"{len(changed.splitlines())} files are not committed"


def complaints() -> list[str]:
    """All of them, of the tree that this module is in."""
    components = bill(LOCK.read_text(encoding="utf-8"), version=VERSION)["components"]
    licences = {c["name"]: c["licenses"][0]["license"]["name"] if "licenses" in c else None for c in components}
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return [
        *complaints_about_version(VERSION, changelog, _git("tag").splitlines()),
        *complaints_about_licences(licences),
        *complaints_about_tree(),
    ]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603, S607


def main() -> int:
    """Print them."""
    found = complaints()
    for line in found:
        print(f"  {line}")
    print(f"release {VERSION}: {'ready to be tagged' if not found else f'{len(found)} complaints'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
