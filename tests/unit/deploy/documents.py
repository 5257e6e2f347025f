"""What `deploy/` holds, parsed as the programs that it is for would do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\})")


class _Compose(yaml.SafeLoader):
    """Knows the merge tags of Compose."""


_Compose.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def compose(name: str = "compose.yaml", **variables: str) -> dict[str, Any]:
    """A compose file with its variables filled in, anchors and extensions resolved."""
    tree = yaml.load((DEPLOY / name).read_text(encoding="utf-8"), Loader=_Compose)  # noqa: S506  a SafeLoader
    filled: dict[str, Any] = _fill(tree, variables)
    return filled


def _fill(node: Any, variables: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, variables) for value in node]
    if not isinstance(node, str):
        return node

    def value(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        return variables.get(found["name"], found["default"] or "")

    return _VARIABLE.sub(value, node)


def kubernetes() -> list[dict[str, Any]]:
    """Every object that `kubectl apply -k deploy/k8s` would make, found through the kustomizations."""
    return list(_objects(DEPLOY / "k8s"))


def _objects(folder: Path) -> Any:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    for name in kustomization["resources"]:
        if (folder / name).is_dir():
            yield from _objects(folder / name)
        else:
            yield from yaml.safe_load_all((folder / name).read_text(encoding="utf-8"))


def containers(kind: str) -> dict[str, dict[str, Any]]:
    """The pod specifications of a kind's objects by their name."""
    return {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in kubernetes() if item["kind"] == kind}


def seconds(text: str | int) -> int:
    """Of 75s, 1m30s or a number."""
    if isinstance(text, int):
        return text
    factors = {"s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"(\d+)([smh])", text)
    assert "".join(number + unit for number, unit in parts) == text
    return sum(int(number) * factors[unit] for number, unit in parts)
