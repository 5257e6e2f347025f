"""Which seeds are for what: training, the recipes' own scores, judging. A scene is decided by its seed alone.

Written here once; whatever draws a scene takes its seed from here, so no model is trained on what it is judged by.
"""

from typing import Final

import numpy as np

JUDGING: Final = range(1_000_000, 500_000_000)
"""Scenes that benchmarks judge by; also the numbers of the edits that they judge by, see ``EDITS``."""
HELD_OUT: Final = range(500_000_000, 500_000_300)
"""Scenes that recipes are scored on while they train."""
HELD_OUT_BOARDS: Final = range(600_000_000, 600_000_040)
HELD_OUT_LOOKALIKES: Final = range(610_000_000, 610_000_100)
"""Boards, and people who may be taken for them, that the safety checker is scored on."""
TRAINING: Final = range(1_000_000_000, 1 << 40)
"""Scenes that recipes train on: the first thousands rendered beforehand, others drawn while they run."""
ELSEWHERE: Final = range(1 << 41, 1 << 42)
"""Pictures that are not of this world (``demo_models/elsewhere``), to train painters on."""
TRAINING_HIDDEN: Final = range(1 << 42, 1 << 43)
"""Scenes to train on in which something stands before the subject."""
SCENES_PER_EDIT: Final = 1000
"""Edits try scenes in turn until one shows a visible change."""
HELD_OUT_EDITS: Final = range(400_000, 401_000)
"""Numbers of the edits that recipes are scored on."""
EDITS: Final = range(10**13, 10**13 + SCENES_PER_EDIT * JUDGING.stop)
"""Scenes of edits, whatever an edit's number."""


def training_seed(rng: np.random.Generator) -> int:
    """Draws the seed of a scene to train on."""
    return int(rng.integers(TRAINING.start, TRAINING.stop))


def edit_scene(number: int, attempt: int) -> int:
    """Returns the seed of an edit's scene at an attempt of ``SCENES_PER_EDIT``; no two edits share one."""
    return EDITS.start + number * SCENES_PER_EDIT + attempt
