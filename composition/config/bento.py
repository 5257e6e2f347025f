"""The Bento that this code runs from, if any: `<bento>/src` beside `<bento>/bento.yaml`, in a store or in an image."""

from __future__ import annotations

from pathlib import Path

import yaml

BENTO_FILE = "bento.yaml"
SOURCE_FOLDER = "src"
PROFILE_VARIABLE = "COMPOSITION_MODELS__PROFILE"
_CODE = Path(__file__).resolve().parents[2]


def bento_of(code: Path = _CODE) -> Path | None:
    """The folder of the Bento whose source `code` is; None in a checkout."""
    packed = code.name == SOURCE_FOLDER and (code.parent / BENTO_FILE).is_file()
    return code.parent if packed else None


def bento_around(path: Path) -> Path | None:
    """The Bento that a path lies in, whether or not there is anything at the path."""
    return next((folder for folder in path.resolve().parents if (folder / BENTO_FILE).is_file()), None)


def packed_models(code: Path = _CODE) -> Path | None:
    """The model store inside the Bento, as an image has it; None where BentoML keeps models in a store of its own."""
    bento = bento_of(code)
    models = bento / "models" if bento else None
    return models if models is not None and models.is_dir() and any(models.iterdir()) else None


def bento_facts(code: Path = _CODE) -> dict[str, str] | None:
    """Its `tag` (name:version) and when it was built (`built_at`); None outside a Bento."""
    bento = bento_of(code)
    if bento is None:
        return None
    facts = yaml.safe_load((bento / BENTO_FILE).read_text(encoding="utf-8"))
    return {"tag": f"{facts['name']}:{facts['version']}", "built_at": str(facts["creation_time"])}


def packed_profile(code: Path = _CODE) -> str | None:
    """The model profile that the Bento was built with; None outside a Bento, or when it does not say."""
    bento = bento_of(code)
    if bento is None:
        return None
    facts = yaml.safe_load((bento / BENTO_FILE).read_text(encoding="utf-8"))
    values = {entry["name"]: entry.get("value") for entry in facts.get("envs") or ()}
    profile = values.get(PROFILE_VARIABLE)
    return str(profile) if profile else None
