from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from composition.config import RoutingConfig
from composition.decision import Decision, ReferenceKind, Signals
from composition.images import Box, Detection
from composition.request import EditOptions
from composition.routing import Router
from prompt_reading.reader import GrammarPromptReader

Decide = Callable[..., Decision]


def seen(**scores: float) -> tuple[Detection, ...]:
    return tuple(
        Detection(label=label, score=score, box=Box(x0=0, y0=0, x1=9, y1=9)) for label, score in scores.items()
    )


@pytest.fixture
def decide() -> Decide:
    def _decide(
        prompt: str,
        *,
        options: EditOptions | None = None,
        config: RoutingConfig | None = None,
        objects: Mapping[str, float] | None = None,
        reference: Mapping[ReferenceKind, float] | None = None,
        clip: float | None = None,
    ) -> Decision:
        options = options or EditOptions()
        router = Router(config or RoutingConfig(), GrammarPromptReader())
        return router.decide(
            router.read(prompt, options),
            options=options,
            signals=Signals(
                objects=seen(**(objects or {})), references=(reference,) if reference else (), prompt_structural=clip
            ),
            has_reference=bool(reference),
        )

    return _decide
