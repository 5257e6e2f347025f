"""The quality report on toy folders: what it reads, whom it compares, what it writes. No figure here means anything."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image as PilImage
from transformers import CLIPModel, CLIPProcessor

from benchmarks import quality_report
from benchmarks.quality_folders import BadFolder, brushbench, edits, from_runs, viton_hd
from benchmarks.quality_metrics import ALEXNET, INCEPTION, Metrics
from benchmarks.quality_report import run
from benchmarks.report_files import MEANINGLESS

pytestmark = pytest.mark.integration

SIZE = (64, 48)


def draw(path, seed: int, size=SIZE) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(pixels).save(path, format="PNG")
    return pixels


def middle() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[16:48, 12:36] = 255
    return mask


class FakePainter:
    """Gives back the photograph with a grey middle; plain inpainting also spoils a pixel outside of it."""

    profile = "tiny"

    def __init__(self) -> None:
        self.asked = []

    def paint(self, sample, *, plain):
        self.asked.append((sample.name, plain, sample.reference.name if sample.reference else None))
        with PilImage.open(sample.image) as opened:
            painted = np.array(opened.convert("RGB"))
        painted[sample.mask > 0] = 128
        if plain:
            painted[0, 0] ^= 255
        return painted


@pytest.fixture
def try_on(tmp_path):
    for number, name in enumerate(("a.jpg", "b.jpg")):
        draw(tmp_path / "test" / "image" / name, number)
        draw(tmp_path / "test" / "cloth" / name, 10 + number)
        (tmp_path / "test" / "agnostic-mask").mkdir(exist_ok=True)
        PilImage.fromarray(middle()).save(tmp_path / "test" / "agnostic-mask" / name.replace(".jpg", "_mask.png"))
    (tmp_path / "test_pairs.txt").write_text("a.jpg b.jpg\nb.jpg a.jpg\n")
    return tmp_path


def test_paired_means_ones_own_garment_and_unpaired_that_of_the_list(try_on):
    own = [(sample.reference.name, sample.truth.name) for sample in viton_hd(try_on, paired=True)]
    others = [(sample.reference.name, sample.truth) for sample in viton_hd(try_on, paired=False)]
    assert own == [("a.jpg", "a.jpg"), ("b.jpg", "b.jpg")]
    assert others == [("b.jpg", None), ("a.jpg", None)]
    assert np.array_equal(next(viton_hd(try_on, paired=True)).mask, middle())


def test_a_try_on_report_has_both_methods_in_both_settings_and_is_marked(try_on, tmp_path, capsys):
    painter = FakePainter()
    bundle = run("viton-hd", try_on, painter, 10, tmp_path / "out", Metrics)
    report = json.loads((tmp_path / "out" / "quality_viton-hd.json").read_text())
    assert [(row["method"], row["pairs"], row["images"]) for row in report["rows"]] == [
        ("service", "paired", 2), ("plain inpainting", "paired", 2),
        ("service", "unpaired", 2), ("plain inpainting", "unpaired", 2),
    ]  # fmt: skip
    paired, unpaired = report["rows"][0], report["rows"][2]
    assert 0 < paired["SSIM"] < 1
    assert unpaired["SSIM"] is None, "nobody knows what it should look like"
    assert report["meaningless"] is True
    assert MEANINGLESS in capsys.readouterr().out
    assert MEANINGLESS in (tmp_path / "out" / "quality_viton-hd.md").read_text()
    with zipfile.ZipFile(bundle) as archive:
        assert {name.rsplit(".")[-1] for name in archive.namelist()} == {"json", "md", "png"}
    assert ("a-b", True, "b.jpg") in painter.asked


def test_a_folder_of_edits_is_judged_inside_and_outside(tmp_path):
    draw(tmp_path / "car.png", 1)
    PilImage.fromarray(middle()).save(tmp_path / "mask.png")
    listed = [{"image": "car.png", "mask": "mask.png", "prompt": "a red car"}]
    (tmp_path / "edits.json").write_text(json.dumps(listed))
    run("edits", tmp_path, FakePainter(), 10, tmp_path / "out", Metrics)
    ours, plain = json.loads((tmp_path / "out" / "quality_edits.json").read_text())["rows"]
    assert ours["PSNR outside, dB"] == 100.0, "not a pixel outside has changed"
    assert 30 < plain["PSNR outside, dB"] < 60
    assert "CLIP score inside" in ours
    assert len(list(edits(tmp_path))) == 1


def test_brushbench_masks_are_runs(tmp_path):
    mask = from_runs([0, 2, 5, 3], (2, 4))
    assert mask.tolist() == [[255, 255, 0, 0], [0, 255, 255, 255]]
    draw(tmp_path / "x.png", 1, (2, 4))
    entry = {"image": "x.png", "caption": "a cat", "inpainting_mask": "0 2 5 3"}
    (tmp_path / "mapping_file.json").write_text(json.dumps({"000": entry}))
    (sample,) = brushbench(tmp_path)
    assert (sample.prompt, sample.mask.tolist()) == ("a cat", mask.tolist())


@pytest.mark.parametrize("read", [lambda f: viton_hd(f, paired=True), brushbench, edits])
def test_a_folder_of_another_layout_is_refused_with_what_is_missing(read, tmp_path):
    with pytest.raises(BadFolder, match="there is no"):
        list(read(tmp_path))


def test_an_empty_folder_and_no_service_end_in_one_line(try_on, tmp_path, capsys):
    (try_on / "test_pairs.txt").write_text("\n")
    with pytest.raises(BadFolder, match="has no samples"):
        run("viton-hd", try_on, FakePainter(), 10, tmp_path / "out", Metrics)
    assert quality_report.main(["edits", str(tmp_path), "--url", "http://127.0.0.1:9"]) == 1
    assert capsys.readouterr().err.startswith("error: the service at http://127.0.0.1:9: ")


def test_what_cannot_be_measured_says_why(try_on, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    metrics = Metrics()
    picture = draw(tmp_path / "a.png", 1)
    metrics.compare(picture, picture)
    assert metrics.summary() == {
        "SSIM": 1.0,
        "LPIPS": "not measured: torchmetrics is not installed (pip install --group quality)",
    }


class Mean(torch.nn.Module):
    """Three features of an image; no more than a stand-in for Inception."""

    num_features = 3

    def forward(self, images):
        return images.float().mean(dim=(2, 3))


def test_distributions_of_the_same_images_are_no_distance_apart(tmp_path):
    pytest.importorskip("torchmetrics")
    metrics = Metrics(features=Mean())
    for seed in range(4):
        picture = draw(tmp_path / f"{seed}.png", seed)
        metrics.distribute(picture, picture)
    assert metrics.summary()["FID"] == pytest.approx(0, abs=1e-3)


def test_the_clip_score_of_a_local_model_is_the_cosine_of_both_embeddings(tiny_models, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "clip-vit-base-patch16").symlink_to(tiny_models.path("clip"))
    picture = draw(tmp_path / "a.png", 1, (64, 64))
    metrics = Metrics(weights=weights)
    metrics.score_inside(picture, "a red car", np.full((64, 64), 255, np.uint8))
    model, processor = (cls.from_pretrained(tiny_models.path("clip")) for cls in (CLIPModel, CLIPProcessor))
    inputs = processor(text=["a red car"], images=[picture], return_tensors="pt")
    with torch.inference_mode():
        image = model.get_image_features(inputs["pixel_values"]).pooler_output
        text = model.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output
    cosine = float(torch.nn.functional.cosine_similarity(image, text))
    assert metrics.summary()["CLIP score inside"] == pytest.approx(max(0.0, 100 * cosine), abs=1e-3)


def test_of_a_folder_of_weights_what_is_not_there_is_named_and_not_downloaded(tmp_path):
    metrics = Metrics(weights=tmp_path)
    picture = draw(tmp_path / "a.png", 1)
    metrics.score_inside(picture, "a red car", middle())
    assert metrics.summary() == {
        "CLIP score inside": "not measured: FileNotFoundError: "
        "there is no clip-vit-base-patch16 in the folder of weights"
    }


def test_lpips_and_distances_run_on_weights_in_a_folder(tmp_path, monkeypatch):
    pytest.importorskip("torchmetrics")
    inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(1)
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), tmp_path / ALEXNET)
    torch.save({}, tmp_path / "nothing.pth")
    with monkeypatch.context() as patched:  # it reads weights before it can be made, random ones too
        patched.setattr(inception, "load_state_dict", lambda self, state: None)
        random = inception("random", ["2048"], feature_extractor_weights_path=str(tmp_path / "nothing.pth"))
    torch.save(random.state_dict(), tmp_path / INCEPTION)
    same, other = Metrics(weights=tmp_path), Metrics(weights=tmp_path)
    for seed in range(3):
        one, another = (draw(tmp_path / "a.png", seed + shift, (96, 96)) for shift in (0, 10))
        for metrics, painted in ((same, one), (other, another)):
            metrics.compare(painted, one)
            metrics.distribute(painted, one)
    assert same.summary()["LPIPS"] == pytest.approx(0, abs=1e-6)
    assert other.summary()["LPIPS"] > 1e-3
    assert same.summary()["FID"] == pytest.approx(0, abs=1e-2)
    # Through random weights all images look much the same: what counts is that these are further apart.
    assert other.summary()["FID"] > 100 * abs(same.summary()["FID"])
    assert {type(metrics.summary()["KID"]) for metrics in (same, other)} == {float}


def test_an_image_that_is_too_small_for_a_network_costs_that_figure_and_no_other(tmp_path):
    class TooSmall:
        def score(self, image, prompt):
            raise RuntimeError("an image of 1 x 1")

    metrics = Metrics()
    metrics._networks["clip"] = TooSmall()
    picture = draw(tmp_path / "a.png", 1)
    metrics.score_inside(picture, "a red car", middle())
    metrics.compare_outside(picture, picture, middle())
    found = metrics.summary()
    assert found["CLIP score inside"] == "not measured: RuntimeError: an image of 1 x 1"
    assert found["PSNR outside, dB"] == 100.0
