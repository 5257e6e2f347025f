"""How many rows a forward may have: the configured limit, less when GPU memory is short or ran out before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Size = tuple[int, ...]
"""`Bucket.latent_size`: what a row's memory depends on."""
_SHARE_OF_FREE = 0.8
_RECOVER_AFTER = 64
_PEAKS_KEPT = 64
"""Forwards that a row's cost is judged by: far more than one request changes its batch, so that its dearest counts."""


class RowBudget:
    """Learns from the forwards themselves: no figure of any model is built in.

    `free_bytes` tells the memory that is free now, None where it cannot run short unseen (CPU). It is asked when
    somebody says that the answer may be another one, as asking takes the driver a while.
    """

    def __init__(self, max_rows: int, free_bytes: Callable[[], int | None]) -> None:
        self._max_rows, self._free_bytes = max_rows, free_bytes
        self._free: int | None = None
        self._asked = False
        self._bytes_per_row: dict[Size, deque[float]] = {}
        self._ceiling: dict[Size, int] = {}
        self._successes: dict[Size, int] = {}

    def look_again(self) -> None:
        """Memory may have been taken or freed: ask before the next answer."""
        self._asked = False

    def limit(self, size: Size) -> int:
        """Rows that the next forward of `size` may have, at least 1."""
        rows = min(self._max_rows, self._ceiling.get(size, self._max_rows))
        if not self._asked:
            self._free, self._asked = self._free_bytes(), True
        free, costs = self._free, self._bytes_per_row.get(size)
        if free is not None and costs and (cost := max(costs)) > 0:
            rows = min(rows, int(free * _SHARE_OF_FREE / cost))
        return max(1, rows)

    def note_peak(self, size: Size, rows: int, peak_bytes: int) -> None:
        """A forward of `rows` rows took `peak_bytes` on top of what was there, with nothing computed beside it."""
        self._bytes_per_row.setdefault(size, deque(maxlen=_PEAKS_KEPT)).append(peak_bytes / rows)

    def note_success(self, size: Size) -> None:
        """After enough good forwards at a lowered ceiling, try one row pair more."""
        if size not in self._ceiling:
            return
        self._successes[size] = self._successes.get(size, 0) + 1
        if self._successes[size] >= _RECOVER_AFTER:
            self._successes[size] = 0
            self._ceiling[size] += 2
            if self._ceiling[size] >= self._max_rows:
                del self._ceiling[size]

    def note_out_of_memory(self, size: Size, rows: int) -> None:
        """A forward of `rows` rows did not fit."""
        self.look_again()
        self._ceiling[size] = max(1, rows // 2)
        self._successes[size] = 0
