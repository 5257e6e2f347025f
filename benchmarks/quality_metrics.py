"""How good painted images are: SSIM, PSNR, LPIPS, FID, KID, CLIP score; each a mean, or a word on why there is none.

SSIM (Wang et al. 2004) and PSNR by scikit-image; the others by torchmetrics (group `quality` of pyproject.toml), whose
networks are downloaded at first use. Where they cannot be had, the report says so and goes on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from composition.images import Image, Mask

CLIP_MODEL = "openai/clip-vit-base-patch16"
UNCHANGED_DB = 100.0
"""In place of infinity, where not a pixel differs."""
_LEAST_FOR_DISTRIBUTION = 2


class Metrics:
    """Collects pairs and images of one method; `summary` tells the means.

    Args:
        features: the network that FID and KID look through; None takes torchmetrics' own (Inception, downloaded).
    """

    def __init__(self, features: torch.nn.Module | None = None) -> None:
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
        self._with("CLIP score inside", "clip", lambda clip: float(clip(_bytes(part)[0], prompt)))

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
            elif name == "KID":
                found[name] = float(metric.compute()[0])
            else:
                found[name] = float(metric.compute())
        return {**found, **{name: f"not measured: {why}" for name, why in self._missing.items()}}

    def _note(self, name: str, value: float) -> None:
        self._sums.setdefault(name, []).append(value)

    def _with(self, name: str, network: str, measure: Callable[[Any], float]) -> None:
        found = self._get(name, network)
        if found is not None:
            self._note(name, measure(found))

    def _get(self, name: str, network: str) -> Any:
        """A metric's network, opened once; None where it cannot be had."""
        if not self._torchmetrics:
            self._missing[name] = "torchmetrics is not installed (pip install --group quality)"
            return None
        if network not in self._networks:
            try:
                self._networks[network] = self._open(network)
            except Exception as error:  # its own, torchvision's and those of whatever downloads
                self._networks[network] = None
                self._missing[name] = (
                    f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
                )
        if self._networks[network] is None:
            self._missing.setdefault(name, "its network cannot be had")
        return self._networks[network]

    def _open(self, network: str) -> Any:
        if network == "lpips":
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        if network == "clip":
            from torchmetrics.multimodal.clip_score import CLIPScore

            return CLIPScore(model_name_or_path=CLIP_MODEL)
        if network == "FID":
            from torchmetrics.image.fid import FrechetInceptionDistance

            return FrechetInceptionDistance(feature=self._features if self._features is not None else 2048)
        from torchmetrics.image.kid import KernelInceptionDistance

        features = self._features if self._features is not None else 2048
        return KernelInceptionDistance(feature=features, subset_size=50 if self._features is None else 2)


def _bytes(image: Image) -> torch.Tensor:
    """(1, 3, H, W), uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def _unit(image: Image) -> torch.Tensor:
    """(1, 3, H, W) in 0..1."""
    return _bytes(image).float() / 255
