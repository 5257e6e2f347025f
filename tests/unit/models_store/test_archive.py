"""A profile as one file: what goes in comes out, and what is broken, foreign or of another revision is refused."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from models_store.archive import Unusable, export, take
from models_store.cli import main
from models_store.importer import import_profile
from models_store.manifest import Manifest, Model, load_manifest
from models_store.sources import ImportRefused, obtain

WEIGHTS = save({"weight": np.arange(6, dtype=np.float32)})
COMMIT = "a" * 40


def model(**facts) -> Model:
    told = {
        "repository": "org/name",
        "revision": COMMIT,
        "licence": "MIT",
        "files": ["config.json", "*.safetensors", "*.index.json"],
        "required": ["config.json"],
        "size_bytes": 1,
    }
    return Model.model_validate({**told, **facts})


def folder(place: Path, **files: bytes) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text("{}")
    for name, content in files.items():
        (place / name.replace("__", ".")).write_bytes(content)
    return place


def archive(place: Path, *models: tuple[Model, Path]) -> Path:
    export({str(number): pair for number, pair in enumerate(models)}, place / "models.tar")
    return place / "models.tar"


def manifest(one: Model) -> Manifest:
    told = one.model_copy(update={"pipeline_class": None})
    base = load_manifest("sd15")
    return base.model_copy(update={"models": {**base.models, "clip": told}})


def refusal(one: Model, origin: Path, place: Path) -> str:
    place.mkdir(exist_ok=True)
    with pytest.raises(ImportRefused) as caught:
        obtain(manifest(one), "clip", place, origin=origin)
    return str(caught.value)


def test_what_is_exported_is_taken_again_byte_for_byte(tmp_path):
    made = archive(tmp_path, (model(), folder(tmp_path / "stored", model__safetensors=WEIGHTS)))
    take(made, model(), tmp_path / "new")
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == WEIGHTS
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"config.json", "model.safetensors"}
    assert not (tmp_path / "models.tar.unfinished").exists()


def test_two_roles_of_one_repository_share_it_and_each_takes_its_own(tmp_path):
    first = model(files=["config.json"]), folder(tmp_path / "one")
    second = (
        model(files=["*.safetensors"], required=["b.safetensors"]),
        folder(tmp_path / "two", b__safetensors=WEIGHTS),
    )
    made = archive(tmp_path, first, second)
    take(made, second[0], tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b.safetensors"]


def test_a_folder_in_the_hubs_layout_does_as_well(tmp_path):
    folder(tmp_path / "hub" / "org" / "name", model__safetensors=WEIGHTS, notes__md=b"no")
    content = obtain(manifest(model()), "clip", tmp_path / "new", origin=tmp_path / "hub")
    assert content.revision == COMMIT
    assert not (tmp_path / "new" / "notes.md").exists()


def test_a_flipped_byte_is_refused_where_the_digest_is_known(tmp_path):
    broken = bytearray(WEIGHTS)
    broken[-1] ^= 1
    folder(tmp_path / "hub" / "org" / "name", model__safetensors=bytes(broken))
    known = model(sha256={"model.safetensors": "0" * 64})
    assert "model.safetensors has SHA-256" in refusal(known, tmp_path / "hub", tmp_path / "new")


def test_a_pickle_under_a_safe_name_is_refused(tmp_path):
    folder(tmp_path / "hub" / "org" / "name", model__safetensors=b"\x80\x02}q\x00.")
    assert "model.safetensors is not a safetensors file" in refusal(model(), tmp_path / "hub", tmp_path / "new")


def test_a_missing_shard_is_refused_by_its_name(tmp_path):
    shards = {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"}
    place = folder(tmp_path / "hub" / "org" / "name", m__index__json=b"")
    (place / "m.index.json").write_text(json.dumps({"weight_map": shards}))
    (place / "m-00001-of-00002.safetensors").write_bytes(WEIGHTS)
    said = refusal(model(), tmp_path / "hub", tmp_path / "new")
    assert said == f"org/name ({COMMIT}) lacks m-00002-of-00002.safetensors, which its index names"


def test_another_revision_is_refused(tmp_path):
    made = archive(tmp_path, (model(revision="b" * 40), folder(tmp_path / "stored")))
    said = refusal(model(), made, tmp_path / "new")
    assert f"has org/name at revision {'b' * 40}; {COMMIT} is wanted" in said


def test_what_is_not_there_is_refused(tmp_path):
    made = archive(tmp_path, (model(), folder(tmp_path / "stored")))
    other = model(repository="org/other")
    assert "has no org/other" in refusal(other, made, tmp_path / "one")
    assert "has no org/other" in refusal(other, tmp_path, tmp_path / "two")
    assert "there is no" in refusal(other, tmp_path / "nothing", tmp_path / "three")


def test_a_truncated_archive_is_refused(tmp_path):
    made = archive(tmp_path, (model(), folder(tmp_path / "stored", model__safetensors=WEIGHTS * 400)))
    made.write_bytes(made.read_bytes()[:3000])
    assert "a broken one" in refusal(model(), made, tmp_path / "new")


def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path):
    made = tmp_path / "evil.tar"
    with tarfile.open(made, "w") as tar:
        for name in ("org/name/../../../escaped.json", "org/name/config.json"):
            about = tarfile.TarInfo(name)
            about.size = 2
            tar.addfile(about, io.BytesIO(b"{}"))
    open_handed = model(files=["*"])
    with pytest.raises(Unusable):
        take(made, open_handed, tmp_path / "deep" / "er" / "new")
    assert not list(tmp_path.rglob("escaped.json"))


def test_nothing_is_half_imported_when_one_model_is_missing(store_folder, tmp_path):
    profile = load_manifest("demo")
    first = next(iter(profile.models.values()))
    place = tmp_path / "hub" / first.repository
    for path in first.required:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(WEIGHTS if path.endswith(".safetensors") else b"{}")
    index = {"_class_name": first.pipeline_class}
    (place / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ImportRefused, match="has no h94/IP-Adapter"):
        import_profile("demo", origin=tmp_path / "hub")
    entries = [path.parent.parent.name for path in store_folder.glob("*/*/model.yaml")]
    assert entries == ["composition-demo-sd-inpainting"], "the first is whole, the second is not there"
    assert not (store_folder.parent / ".models_store" / "staging").exists()


def test_the_commands_say_what_they_did(store_folder, tmp_path, capsys):
    assert main(["export", str(tmp_path / "demo.tar"), "demo"]) == 1
    assert "demo lacks sd-inpainting" in capsys.readouterr().err
    (tmp_path / "demo.tar").write_bytes(b"")
    assert main(["import", "demo", "--from", str(tmp_path / "demo.tar")]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("demo: 12 models, 0.13 GB, into ")
    assert "once served: everything runs on the CPU, " in out
    assert err.startswith("error: ")
    assert (tmp_path / "demo.tar").name in err
