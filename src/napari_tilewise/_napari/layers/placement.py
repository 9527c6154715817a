"""The placement of a layer: its transforms, units and axis labels as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine, CompositeAffine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer


@dataclass(frozen=True)
class Placement:
    """The position of a layer's pixels in world coordinates."""

    inner: CompositeAffine
    """Scale, translate, rotate and shear, with the units and axis labels."""
    outer: Affine
    """The layer's additional affine."""

    @classmethod
    def of(cls, layer: Layer) -> Placement:
        """Return a layer's placement.

        Parameters
        ----------
        layer
            Any layer.
        """
        inner = CompositeAffine(
            scale=layer.scale,
            translate=layer.translate,
            rotate=layer.rotate,
            shear=layer.shear,
            ndim=layer.ndim,
            units=layer.units,
            axis_labels=layer.axis_labels,
        )
        return cls(inner, Affine(affine_matrix=layer.affine.affine_matrix))

    def for_axes(self, axes: Sequence[int]) -> Placement:
        """Return the placement of an image with some of the axes.

        Parameters
        ----------
        axes
            The remaining axes, in order.
        """
        axes = list(axes)
        if len(axes) == self.inner.ndim:
            return self
        return Placement(self.inner.set_slice(axes), self.outer.set_slice(axes))

    def with_axis(self, index: int, name: str) -> Placement:
        """Return the placement of an image with one more axis.

        Parameters
        ----------
        index
            The position of the new axis.
        name
            Its label.
        """
        inner = self.inner.expand_dims([index])
        labels, units = list(self.inner.axis_labels), [str(unit) for unit in self.inner.units]
        while name in labels:
            name = f"{name} (colour)"
        inner = CompositeAffine(
            scale=inner.scale,
            translate=inner.translate,
            rotate=inner.rotate,
            shear=inner.shear,
            ndim=inner.ndim,
            units=[*units[:index], "pixel", *units[index:]],
            axis_labels=[*labels[:index], name, *labels[index:]],
        )
        return Placement(inner, self.outer.expand_dims([index]))

    def resized(self, ratio: Sequence[float]) -> Placement:
        """Return the placement of an image with the same extent and another pixel size.

        The edges of both images coincide: the first pixel's centre moves by half the difference.

        Parameters
        ----------
        ratio
            Input pixels per output pixel, along each axis.
        """
        factors = np.asarray(ratio, dtype=float)
        if np.all(factors == 1):
            return self
        shift = self.inner.linear_matrix @ ((factors - 1) / 2)
        inner = CompositeAffine(
            scale=self.inner.scale * factors,
            translate=self.inner.translate + shift,
            rotate=self.inner.rotate,
            shear=self.inner.shear,
            ndim=self.inner.ndim,
            units=[str(unit) for unit in self.inner.units],
            axis_labels=self.inner.axis_labels,
        )
        return Placement(inner, self.outer)

    def arguments(self) -> dict[str, Any]:
        """Return the placement as a layer's constructor takes it."""
        return {
            "scale": self.inner.scale,
            "translate": self.inner.translate,
            "rotate": self.inner.rotate,
            "shear": self.inner.shear,
            "affine": self.outer.affine_matrix,
            "units": tuple(str(unit) for unit in self.inner.units),
            "axis_labels": tuple(self.inner.axis_labels),
        }
