"""Passes in one: several gathers over the same tiles, and arrays that tiles contribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.operations.shared.collected import Collected
from napari_tilewise.operations.spec.operation import Block, HaloLike, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class _Totals(list[Any]):
    """The running totals of several gathers."""

    @property
    def nbytes(self) -> int:
        return sum(getattr(total, "nbytes", 0) for total in self)


def together(*gathers: Reduce) -> Reduce:
    """Return one pass for several gathers with the same halo; its result is a list of theirs."""

    def of(block: Block) -> _Totals:
        return _Totals(gather.of(block) for gather in gathers)

    def merge(totals: _Totals, parts: _Totals) -> _Totals:
        items = zip(gathers, totals, parts, strict=True)
        return _Totals(gather.merge(total, part) for gather, total, part in items)

    def finish(totals: _Totals) -> list[Any]:
        items = zip(gathers, totals, strict=True)
        return [g.finish(total) if g.finish is not None else total for g, total in items]

    return Reduce(
        of, merge, halo=gathers[0].halo, finish=finish, description=gathers[0].description
    )


def collected(
    of: Callable[[Block], tuple[np.ndarray, ...]], *, halo: HaloLike = 0, description: str
) -> Reduce:
    """Return the pass that joins the arrays that tiles contribute, in no particular order."""
    return Reduce(
        lambda block: Collected(*of(block)),
        Collected.extend,
        halo=halo,
        finish=Collected.joined,
        description=description,
    )
