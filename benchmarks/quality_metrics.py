"""How good painted images are: SSIM, PSNR, LPIPS, FID, KID, CLIP score; each a mean, or a word on why there is none.

SSIM (Wang et al. 2004) and PSNR by scikit-image; LPIPS, FID and KID by torchmetrics (group `quality` of
pyproject.toml); CLIP score (arXiv 2104.08718, times 100 instead of 2.5, as torchmetrics has it) by transformers alone.
Their networks come from a folder, or are downloaded at first use. What cannot be had, the report says, and goes on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from composition.images import Image, Mask

CLIP_MODEL = "openai/clip-vit-base-patch16"
ALEXNET = "checkpoints/alexnet-owt-7be5be79.pth"
INCEPTION = "checkpoints/weights-inception-2015-12-05-6726825d.pth"
WEIGHTS = {"lpips": ALEXNET, "FID": INCEPTION, "KID": INCEPTION, "clip": CLIP_MODEL.rpartition("/")[2]}
"""Where each network is in a folder of weights: as torch.hub keeps files, and a folder in the hub's layout."""
OWN = ("clip",)
"""What needs no torchmetrics."""
UNCHANGED_DB = 100.0
"""In place of infinity, where not a pixel differs."""
_LEAST_FOR_DISTRIBUTION = 2
_KID_SUBSET = 50


class Metrics:
    """Collects pairs and images of one method; `summary` tells the means.

    Args:
        features: the network that FID and KID look through; None takes torchmetrics' own (Inception).
        weights: a folder with the networks, by `WEIGHTS`; nothing is downloaded then. None downloads them.
    """

    def __init__(self, features: torch.nn.Module | None = None, weights: Path | None = None) -> None:
        self._weights = weights
        self._sums: dict[str, list[float]] = {}
        self._missing: dict[str, str] = {}
        self._features = features
        self._torchmetrics = importlib.util.find_spec("torchmetrics") is not None
        self._distributions: dict[str, Any] = {}
        self._networks: dict[str, Any] = {}
        self._count = 0

    def compare(self, painted: Image, truth: Image) -> None:
        """A painted image with what it should be."""
        self._note("SSIM", float(structural_similarity(painted, truth, channel_axis=2)))
        self._with("LPIPS", "lpips", lambda lpips: float(lpips(_unit(painted), _unit(truth))))

    def compare_outside(self, painted: Image, original: Image, mask: Mask) -> None:
        """What was not to be changed, against the original; inside, both are the original."""
        outside = np.where(mask[:, :, None] > 0, original, painted)
        same = np.array_equal(outside, original)
        psnr = UNCHANGED_DB if same else float(peak_signal_noise_ratio(original, outside))
        self._note("PSNR outside, dB", min(psnr, UNCHANGED_DB))
        self._with("LPIPS outside", "lpips", lambda lpips: float(lpips(_unit(outside), _unit(original))))

    def score_inside(self, painted: Image, prompt: str, mask: Mask) -> None:
        """How well the repainted part shows what was asked for."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return
        part = painted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        self._with("CLIP score inside", "clip", lambda clip: clip.score(part, prompt))

    def distribute(self, painted: Image, real: Image) -> None:
        """One image of the painted and one of the real ones: FID and KID compare all of each."""
        self._count += 1
        for name in ("FID", "KID"):
            metric = self._get(name, name)
            if metric is not None:
                metric.update(_bytes(painted), real=False)
                metric.update(_bytes(real), real=True)
                self._distributions[name] = metric

    def summary(self) -> dict[str, float | str]:
        """By metric its mean over all, or why it was not measured."""
        found: dict[str, float | str] = {name: float(np.mean(values)) for name, values in self._sums.items()}
        for name, metric in self._distributions.items():
            if self._count < _LEAST_FOR_DISTRIBUTION:
                self._missing[name] = "too few images"
                continue
            try:
                found[name] = self._distance(name, metric)
            except Exception as error:  # after an hour of painting, the other figures are worth having
                self._missing[name] = _reason(error)
        return {**found, **{name: f"not measured: {why}" for name, why in self._missing.items()}}

    def _distance(self, name: str, metric: Any) -> float:
        if name == "FID":
            return float(metric.compute())
        metric.subset_size = min(_KID_SUBSET, self._count)  # torchmetrics refuses more than there are
        return float(metric.compute()[0])

    def _note(self, name: str, value: float) -> None:
        self._sums.setdefault(name, []).append(value)

    def _with(self, name: str, network: str, measure: Callable[[Any], float]) -> None:
        found = self._get(name, network)
        if found is None:
            return
        try:
            self._note(name, measure(found))
        except Exception as error:  # an image too small for a network, most of all
            self._missing[name] = _reason(error)
            self._sums.pop(name, None)
            self._networks[network] = None

    def _get(self, name: str, network: str) -> Any:
        """A metric's network, opened once; None where it cannot be had."""
        if not self._torchmetrics and network not in OWN:
            self._missing[name] = "torchmetrics is not installed (pip install --group quality)"
            return None
        if network not in self._networks:
            try:
                self._networks[network] = self._open(network)
            except Exception as error:  # its own, torchvision's and those of whatever downloads
                self._networks[network] = None
                self._missing[name] = _reason(error)
        if self._networks[network] is None:
            self._missing.setdefault(name, "its network cannot be had")
        return self._networks[network]

    def _open(self, network: str) -> Any:
        local = None if self._weights is None else self._weights / WEIGHTS[network]
        if local is not None:
            if not local.exists() and not (self._features is not None and network in ("FID", "KID")):
                raise FileNotFoundError(f"there is no {WEIGHTS[network]} in the folder of weights")
            torch.hub.set_dir(str(self._weights))
        if network == "lpips":
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        if network == "clip":
            return ClipScore(CLIP_MODEL if local is None else str(local))
        if network == "FID":
            from torchmetrics.image.fid import FrechetInceptionDistance

            return FrechetInceptionDistance(feature=self._features if self._features is not None else 2048)
        from torchmetrics.image.kid import KernelInceptionDistance

        return KernelInceptionDistance(feature=self._features if self._features is not None else 2048)


class ClipScore:
    """How near an image and a sentence are for CLIP. `model`: a folder, or a repository of the hub."""

    def __init__(self, model: str) -> None:
        from transformers import CLIPModel, CLIPProcessor

        self._model: Any = CLIPModel.from_pretrained(model).eval()
        self._processor: Any = CLIPProcessor.from_pretrained(model)

    def score(self, image: Image, prompt: str) -> float:
        """100 x the cosine of their embeddings, at least 0."""
        inputs = self._processor(text=[prompt], images=[image], return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            scaled = self._model(**inputs).logits_per_image / self._model.logit_scale.exp()
        return max(0.0, 100 * float(scaled))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"


def _bytes(image: Image) -> torch.Tensor:
    """(1, 3, H, W), uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def _unit(image: Image) -> torch.Tensor:
    """(1, 3, H, W) in 0..1."""
    return _bytes(image).float() / 255
