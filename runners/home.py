"""image -> **home or elsewhere** -> which of a role's two models is asked.

A model that was trained on one kind of image answers all others too, wrongly and surely. Where a manifest gives a
role a second model for everything else (part `elsewhere`), a small network (part `home`) tells which image is for
which: `image` float32 (N, 3, 128, 128), RGB in 0..1 -> `known` (N, 1), the probability that it is for the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import cv2
import numpy as np

from composition.images import Image
from runners.network import Network, module_of, run_in_batches

SIDE_PX = 128
KNOWN = 0.8
"""From this probability on. Of scenes of the demo's world the least has 0.91, of photographs the most 0.62."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Home:
    """Knows the images that a model was made for; its network is described above."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def module(self) -> object:
        return module_of(self._network)

    def knows(self, images: Sequence[Image]) -> list[bool]:
        """Of each image (H, W, 3) whether it is of that kind. Images may differ in size."""
        if not images:
            return []
        small = [cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for image in images]
        batch = np.ascontiguousarray(np.stack(small).transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)
        (known,) = run_in_batches(self._network, batch)
        return [bool(share > KNOWN) for share in known[:, 0]]


def ask_by_home(
    home: Home,
    items: Sequence[Item],
    image_of: Callable[[Item], Image],
    here: Callable[[Sequence[Item]], Sequence[Result]],
    elsewhere: Callable[[Sequence[Item]], Sequence[Result]],
) -> list[Result]:
    """Ask `here` about the items whose image is known, `elsewhere` about the others; answers in the items' order."""
    known = home.knows([image_of(item) for item in items])
    answers: dict[int, Result] = {}
    for ask, wanted in ((here, True), (elsewhere, False)):
        places = [place for place, knows in enumerate(known) if knows is wanted]
        if places:
            answers |= zip(places, ask([items[place] for place in places]), strict=True)
    return [answers[place] for place in range(len(items))]
