"""The painting networks again, on fine latents: the coarse ones with a level around them, trained on together.

**controlled** on coarse latents -> deepened -> **fine**. What the coarse training cost is kept: only the detail within
every 2 x 2 cells is new, and the ControlNets' hints have a halving less to learn.
"""

from dataclasses import dataclass
from typing import Final

from torch import nn

from demo_models.recipes.inpainting import ControlledRecipe, InpaintingTrainer
from demo_models.recipes.training import Settings
from demo_models.recipes.workdir import start_folder, trained_folder, weights_folder

NAME: Final = "fine"
COARSE: Final = "controlled"
AUTOENCODER: Final = "vae-fine"
COARSE_AUTOENCODER: Final = "vae"
ELSEWHERE_SHARE: Final = 0.35
_SETTINGS: Final = Settings(minutes=240, batch=16, learning_rate=6e-4, ema_decay=0.998, warmup_steps=60)


@dataclass(kw_only=True)
class FineRecipe(ControlledRecipe):
    """Goes on with everything that paints, on the fine autoencoder's latents; also for what is not of the world."""

    name: str = NAME
    autoencoder: str = AUTOENCODER
    settings: Settings = _SETTINGS
    elsewhere_share: float = ELSEWHERE_SHARE

    def build(self) -> nn.Module:
        """Returns the module to train: earlier fine networks, or the coarse ones made deeper."""
        earlier = start_folder(self.name)
        if earlier is not None:
            return InpaintingTrainer.begin(earlier)
        return InpaintingTrainer.begin(trained_folder(COARSE), deeper=True)


def finest() -> tuple[str, str]:
    """Returns the autoencoder and the painter that belong together: the fine ones if they are there, or the coarse."""
    if weights_folder(AUTOENCODER).exists() and trained_folder(NAME).exists():
        return AUTOENCODER, NAME
    return COARSE_AUTOENCODER, COARSE
