"""What an image file may say of how it was made: an edit's parameters, blend -> **account** -> encode.

Only what shapes the image, and none of what is somebody's own: no image, no key, no address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from composition.jobs import EditPayload
from composition.request import EditOptions

OF_THE_DELIVERY: Final = frozenset({"seed", "output_format", "return_mask", "embed_metadata"})
"""Options that say nothing of how the image was made; the seed is told for each candidate."""


def parameters_of(payload: EditPayload, account: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The parameters of one candidate, JSON-serialisable; of the options those that differ from their defaults.

    Args:
        payload: what the job executed.
        account: of its result, as in `JobResult.account`.
        seed: the candidate's.
    """
    defaults = asdict(EditOptions())
    options = {
        name: value
        for name, value in asdict(payload.options).items()
        if value != defaults[name] and name not in OF_THE_DELIVERY
    }
    edits = [{"prompt": edit.prompt, "negative_prompt": edit.negative_prompt, **edit.options} for edit in payload.edits]
    parameters = {
        "prompt": payload.prompt or None,
        "negative_prompt": payload.negative_prompt,
        "edits": [{name: value for name, value in edit.items() if value is not None} for edit in edits],
        "generation_prompt": account["metadata"]["routing"]["generation_prompt"],
        "seed": seed,
        "pipeline": account["pipeline_used"],
        "models": list(account["models_used"]),
        "config": options,
    }
    return {name: value for name, value in parameters.items() if value not in (None, {}, [])}
