"""Structure control: mask -> **condition** -> diffuse.

One module per control type, listed in `registry.CONTROLS`; router, pipelines, configuration, model store and API take
what they need to know from there.
"""

from __future__ import annotations

from composition.controls.control import Control, ControlSource, Need
from composition.controls.registry import CONTROLS

__all__ = ["CONTROLS", "Control", "ControlSource", "Need"]
