"""How much memory the bodies of all requests, of all answers, or all downloads, may take together."""

from __future__ import annotations

from collections import Counter
from typing import Final

STREAMS_AT_ONCE: Final = 4
"""Files that go to the disk as they come, on each way in; half of them of one client."""


class ByteBudget:
    """Bytes that everybody who takes from it may have at one time."""

    def __init__(self, max_bytes: int) -> None:
        self._left_bytes = max_bytes

    def take(self, size_bytes: int) -> bool:
        """False when there is not so much left; nothing is taken then."""
        if size_bytes > self._left_bytes:
            return False
        self._left_bytes -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """What was taken before."""
        self._left_bytes += size_bytes


class SharedBudget:
    """A budget of which one client may have half, or one thing that is larger: others have the rest."""

    def __init__(self, max_bytes: int) -> None:
        self._budget = ByteBudget(max_bytes)
        self._share_bytes = max_bytes // 2
        self._taken: Counter[str] = Counter()

    def part(self, client: str) -> BudgetPart:
        """For one thing of a client's, with nothing taken yet."""
        return BudgetPart(self, client)

    def take(self, client: str, size_bytes: int, *, part_bytes: int) -> bool:
        """As `ByteBudget.take`, for a part that has so many bytes already."""
        taken = self._taken[client]
        if taken > part_bytes and taken + size_bytes > self._share_bytes:
            return False
        if not self._budget.take(size_bytes):
            return False
        self._taken[client] += size_bytes
        return True

    def give_back(self, client: str, size_bytes: int) -> None:
        self._budget.give_back(size_bytes)
        self._taken[client] -= size_bytes
        if not self._taken[client]:
            del self._taken[client]


class BudgetPart:
    """What one thing has taken of a `SharedBudget`."""

    def __init__(self, budget: SharedBudget, client: str) -> None:
        self._budget, self._client = budget, client
        self.taken_bytes = 0

    def take(self, size_bytes: int) -> bool:
        """False when there is not so much left; nothing is taken then."""
        if not self._budget.take(self._client, size_bytes, part_bytes=self.taken_bytes):
            return False
        self.taken_bytes += size_bytes
        return True

    def release(self) -> None:
        """Give all of it back."""
        self._budget.give_back(self._client, self.taken_bytes)
        self.taken_bytes = 0
