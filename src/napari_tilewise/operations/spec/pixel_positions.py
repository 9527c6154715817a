"""Where the pixels of a result lie along the axes of the image that they come from.

Declarations answer with one `Sampling` per spatial axis of a result. The functions below are the
usual answers; what is known of an image's place (coordinates of its pixels) follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.call import CallGeometry


@dataclass(frozen=True)
class Sampling:
    """The positions of pixels along one axis, in pixels of the image."""

    step: float = 1.0
    """Distance between the centres of two pixels."""
    start: float = 0.0
    """Centre of the first pixel; 0 is the centre of the image's first."""


UNMOVED = Sampling()
"""Each pixel lies where the image's pixel of the same number does."""

Samplings = tuple[Sampling | None, ...]
"""One per spatial axis; None for an axis that is not one of the image."""


def unmoved(call: CallGeometry, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of a result whose pixels stay in place; None where lengths differ.

    Parameters
    ----------
    call
        The image's shape.
    shape
        The result's shape along the spatial axes.
    """
    lengths = zip(call.spatial_shape, shape, strict=True)
    return tuple(UNMOVED if before == after else None for before, after in lengths)


def unplaced(call: CallGeometry, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of a result whose axes are not those of the image (angles, radii).

    Parameters
    ----------
    call
        The image's shape.
    shape
        The result's shape along the spatial axes.
    """
    return (None,) * len(shape)


def resampled(call: CallGeometry, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of a result of another size whose edges are the image's.

    Parameters
    ----------
    call
        The image's shape.
    shape
        The result's shape along the spatial axes.
    """
    steps = (before / after for before, after in zip(call.spatial_shape, shape, strict=True))
    return tuple(Sampling(step, (step - 1) / 2) for step in steps)


def between_ends(call: CallGeometry, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of a result whose first and last pixels lie on the image's.

    Parameters
    ----------
    call
        The image's shape.
    shape
        The result's shape along the spatial axes.
    """
    lengths = zip(call.spatial_shape, shape, strict=True)
    return tuple(
        UNMOVED
        if before == after or before == 1
        else Sampling((before - 1) / (after - 1))
        if after > 1
        else None
        for before, after in lengths
    )


def in_blocks(blocks: Sequence[int]) -> Samplings:
    """Return the sampling of a result whose pixels are blocks of the image's.

    Parameters
    ----------
    blocks
        The block's length along each axis.
    """
    return tuple(Sampling(float(block), (block - 1) / 2) for block in blocks)


def shifted(starts: Sequence[float]) -> Samplings:
    """Return the sampling of a result that is a box of the image, or of one padded.

    Parameters
    ----------
    starts
        The box's first pixel along each axis; negative where the image is padded.
    """
    return tuple(Sampling(1.0, float(start)) for start in starts)


def same_frame(call: CallGeometry, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of a result of any size whose first pixel lies on the image's.

    Parameters
    ----------
    call
        The image's shape.
    shape
        The result's shape along the spatial axes.
    """
    return (UNMOVED,) * len(shape)
