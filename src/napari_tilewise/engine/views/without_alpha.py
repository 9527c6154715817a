"""An image without its alpha, which no operation takes for a channel of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_tilewise.engine.source import Source
    from napari_tilewise.grid import Region


class WithoutAlpha:
    """The channels of an image that are not its alpha.

    Parameters
    ----------
    inner
        The image.
    axis
        Its axis of channels.
    index
        The position of the alpha along it.
    """

    def __init__(self, inner: Source, axis: int, index: int) -> None:
        self.inner, self.axis, self.index = inner, axis, index
        self.shape = tuple(n - (i == axis) for i, n in enumerate(inner.shape))
        self.dtype = inner.dtype
        chunks = inner.chunks
        self.chunks = None if chunks is None else tuple(map(min, chunks, self.shape))

    def beside(self, image: Source) -> Source:
        """Return another image without its alpha, if it has the shape of this one with it.

        Parameters
        ----------
        image
            The image.
        """
        is_alike = tuple(image.shape) == tuple(self.inner.shape)
        return WithoutAlpha(image, self.axis, self.index) if is_alike else image

    def box(self, region: Region) -> tuple[Region, int | None]:
        """Return the box of the channels in a box of the image, and where its alpha lies in that.

        Parameters
        ----------
        region
            The box of the image.
        """
        span, index = region[self.axis], self.index
        channels = slice(span.start - (span.start > index), span.stop - (span.stop > index))
        offset = index - span.start if span.start <= index < span.stop else None
        return self._with(region, channels), offset

    def read(self, region: Region) -> np.ndarray:
        """Return a box; the array may be read-only."""
        pixels = self.inner.read(self._around(region))
        offset = self.index - region[self.axis].start
        if not 0 < offset < pixels.shape[self.axis] - 1:
            return pixels
        return np.delete(pixels, offset, self.axis)

    def alpha(self, region: Region) -> np.ndarray:
        """Return the alpha in a box, which has length one along the axis of channels.

        Parameters
        ----------
        region
            The box; what it says of channels does not count.
        """
        return self.inner.read(self._with(region, slice(self.index, self.index + 1)))

    def prepare(self, region: Region | None = None) -> None:
        """Prepare the image."""
        self.inner.prepare(None if region is None else self._around(region))

    @property
    def waits(self) -> bool:
        """Whether reading the image waits."""
        return self.inner.waits

    def fetch(self, region: Region) -> bool:
        """Begin to read a box."""
        return self.inner.fetch(self._around(region))

    def _around(self, region: Region) -> Region:
        """Return the box of the image that holds a box of the channels."""
        span = region[self.axis]
        start, stop = span.start + (span.start >= self.index), span.stop + (span.stop > self.index)
        return self._with(region, slice(start, max(start, stop)))

    def _with(self, region: Region, span: slice) -> Region:
        return (*region[: self.axis], span, *region[self.axis + 1 :])
