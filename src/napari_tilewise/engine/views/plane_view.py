"""One plane or volume of a stack, at fixed positions along its looped axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.grid import Region, extent

if TYPE_CHECKING:
    import numpy as np

    from napari_tilewise.engine.source import Source


class PlaneView:
    """One plane or volume of a stack: fixed positions along the looped axes."""

    def __init__(self, stack: Source, loops: tuple[int, ...], index: tuple[int, ...]) -> None:
        self.stack = stack
        self.fixed = dict(zip(loops, index, strict=True))
        """Positions by the looped axes of the stack."""
        self.axes = [i for i in range(len(stack.shape)) if i not in self.fixed]
        """The stack's axis behind each of the plane."""
        self.shape = tuple(stack.shape[i] for i in self.axes)
        self.dtype = stack.dtype
        self.chunks = None if stack.chunks is None else tuple(stack.chunks[i] for i in self.axes)

    def read(self, region: Region) -> np.ndarray:
        """Return a box of the plane."""
        return self.stack.read(self._within_stack(region)).reshape(extent(region))

    def _within_stack(self, region: Region) -> Region:
        boxes = iter(region)
        return tuple(
            slice(self.fixed[i], self.fixed[i] + 1) if i in self.fixed else next(boxes)
            for i in range(len(self.stack.shape))
        )

    def prepare(self, region: Region | None = None) -> None:
        """Prepare this plane of the stack."""
        whole = tuple(slice(0, n) for n in self.shape)
        self.stack.prepare(self._within_stack(whole if region is None else region))

    @property
    def waits(self) -> bool:
        """Whether reading the stack waits."""
        return self.stack.waits

    def fetch(self, region: Region) -> bool:
        """Begin to read a box of the plane."""
        return self.stack.fetch(self._within_stack(region))
