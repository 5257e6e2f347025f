"""Every control type. Their order is the one in which ControlNets' residuals are summed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from composition.controls.canny import CANNY
from composition.controls.control import Control
from composition.controls.depth import DEPTH
from composition.controls.pose import POSE
from composition.controls.tile import TILE
from composition.request import ControlType

CONTROLS: Final[Mapping[ControlType, Control]] = {control.name: control for control in (POSE, DEPTH, CANNY, TILE)}
