"""The totals of reductions are watched while they grow: only the pixels decide their size.

A total that will not fit is refused as soon as that shows, with what all tiles come to: some tiles
all over the image tell, where those that were merged may not be like the others.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

UNNOTICED = 2**20
"""Bytes of a total below which the available memory is not looked up."""
UNEVEN = 1.25
"""Factor by which a total may be larger than what is foretold."""
FORETELLING = 1 / 64
"""Share of the tiles from which on their total foretells that of all."""
HOPELESS = 2.0
"""Factor by which a foretold total exceeds its limit until samples are taken."""
SAMPLES, LONGEST = 16, 3.0
"""Pairs of neighbouring tiles that are sampled at most, and for how many seconds."""


class TotalLimit:
    """Watches the total of one reduction.

    Parameters
    ----------
    title
        The operation and what it reduces to, for messages.
    limit
        Bytes that it may take; None: those that are available.
    sufficient
        Returns a memory budget that leaves so many bytes; None where there is no budget.
    count
        Number of tiles.
    sample
        Returns the bytes of the merged contributions of some tiles, by their numbers.
    """

    def __init__(
        self,
        title: str,
        limit: int | None,
        sufficient: Callable[[int], int | None],
        count: int,
        sample: Callable[[list[int]], int] = lambda _: 0,
    ) -> None:
        self._title, self._limit, self._sufficient = title, limit, sufficient
        self._count, self._sample = count, sample
        self._is_sampled = False

    def check(self, total: Any, merged: int) -> None:
        """Raise `MemoryBudgetExceeded` where a total takes more than there is, or will.

        Parameters
        ----------
        total
            The total.
        merged
            Number of tiles that it holds.
        """
        needed = getattr(total, "nbytes", 0)
        if needed < UNNOTICED:
            return
        limit = self._limit or available_memory()
        share = min(1.0, merged / self._count)
        if needed > limit:
            foretold = self._foretold(needed, merged)
            self._refuse(f"more than {format_size(needed)}", limit, foretold)
        is_early = FORETELLING <= share < 0.5 and needed / share > HOPELESS * limit
        if is_early and not self._is_sampled:
            foretold = self._foretold(needed, merged)
            if foretold > UNEVEN * limit:
                self._refuse(f"about {format_size(foretold)}", limit, foretold)

    def _foretold(self, needed: int, merged: int) -> int:
        """Return what the total of all tiles will take: of those to come, samples tell."""
        self._is_sampled = True
        remaining = self._count - merged
        if remaining <= 0:
            return needed
        started, sampled, tiles = time.monotonic(), 0, 0
        pairs = max(1, min(SAMPLES, remaining // 2))
        for number in _spread(pairs):
            first = merged + number * remaining // pairs
            numbers = [first, first + 1] if first + 1 < self._count else [first]
            sampled += self._sample(numbers)
            tiles += len(numbers)
            if time.monotonic() - started > LONGEST:
                break
        return needed + sampled * remaining // tiles

    def _refuse(self, amount: str, limit: int, foretold: int) -> None:
        raise MemoryBudgetExceeded(
            f"{self._title} of this image take {amount}; {format_size(limit)} of the budget are "
            "there for them. Smooth the image so that it has fewer.",
            self._sufficient(int(UNEVEN * foretold)),
        )


def _spread(count: int) -> list[int]:
    """Return the numbers below a count, those far from each other first."""
    return [number for start in (0, 2, 1, 3) for number in range(start, count, 4)]
