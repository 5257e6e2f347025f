"""The packages of the image, from the lock, as a CycloneDX 1.6 document: `make sbom`, out/sbom.cdx.json.

Names, versions and package URLs are the lock's; licences are what the installed packages say of themselves. With the
same lock and environment the document is the same, byte for byte, but for no date in it.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

from api.app import VERSION

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "deploy" / "requirements.txt"
OUT = ROOT / "out" / "sbom.cdx.json"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)$", re.MULTILINE)
_NAMESPACE = uuid.UUID("6f1c2b62-6f0e-4a7a-9d0c-0f6f5f2f7a11")


def bill(lock: str, *, version: str) -> dict[str, Any]:
    """The document for a lock's text and the service's version."""
    components = [_component(found["name"], found["version"]) for found in _PIN.finditer(lock)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, version + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": f"image-composition@{version}",
                "name": "image-composition",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": f"image-composition@{version}", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }


def licence_of(name: str) -> str | None:
    """What a package says: an SPDX expression, else its classifiers or its field; None when it is not installed."""
    try:
        facts: Any = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if expression := facts.get("License-Expression"):
        return str(expression)
    prefix = "License :: OSI Approved :: "
    found = [text.removeprefix(prefix) for text in facts.get_all("Classifier") or () if text.startswith(prefix)]
    if found:
        return ", ".join(found)
    text = (facts.get("License") or "").strip()
    return text.splitlines()[0][:100] if text else None


def _component(name: str, version: str) -> dict[str, Any]:
    url = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    component: dict[str, Any] = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
    if licence := licence_of(name):
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def main() -> int:
    """Write it."""
    document = bill(LOCK.read_text(encoding="utf-8"), version=VERSION)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    without = [component["name"] for component in document["components"] if "licenses" not in component]
    print(f"{len(document['components'])} packages, {len(without)} that name no licence {without}; {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
