"""The `PoseEstimator` and `DepthEstimator` ports over the structure runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from composition.images import DepthMap, Detection, Image, Pose
from runners.remote import RunnerClient
from runners.structure.queries import PoseQuery


class BentoStructure:
    """`composition.ports.PoseEstimator` and `composition.ports.DepthEstimator`.

    Args:
        handle: the runner, as `bentoml.depends(StructureRunner)` gives it.
    """

    def __init__(self, handle: Any) -> None:
        self._runner = RunnerClient(handle, name="structure runner")

    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        """See the port. Raises: InvalidInput (a box without area), NotReady, Timeout, ModelError, OutOfMemory."""
        if not people:
            return ()
        query = PoseQuery(image=image, people=tuple(person.box for person in people))
        return cast(tuple[Pose, ...], await self._runner.ask("estimate_pose", query))

    async def estimate_depth(self, image: Image) -> DepthMap:
        """See the port. Raises: NotReady, Timeout, ModelError, OutOfMemory."""
        return cast(DepthMap, await self._runner.ask("estimate_depth", image))

    async def state(self) -> Mapping[str, Any]:
        """The runner's models and batch counters. Raises: NotReady, Timeout, ModelError."""
        return cast(Mapping[str, Any], await self._runner.call("state"))
