"""The `PoseEstimator` and `DepthEstimator` ports over the structure runner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from composition.images import DepthMap, Detection, Image, Pose
from runners.remote import RunnerClient
from runners.structure.queries import PoseQuery


class BentoStructure(RunnerClient):
    """`composition.ports.PoseEstimator` and `composition.ports.DepthEstimator`; raises as `ask` does.

    A person's box without area is an InvalidInput.
    """

    def __init__(self, handle: Any) -> None:
        super().__init__(handle, name="structure runner")

    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        if not people:
            return ()
        query = PoseQuery(image=image, people=tuple(person.box for person in people))
        return cast(tuple[Pose, ...], await self.ask("estimate_pose", query))

    async def estimate_depth(self, image: Image) -> DepthMap:
        return cast(DepthMap, await self.ask("estimate_depth", image))
