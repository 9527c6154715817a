"""The placement of a layer: its transforms, units and axis labels as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.utils.transforms import Affine, CompositeAffine

from napari_tilewise.operations.spec.pixel_positions import UNMOVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_tilewise.operations.spec.pixel_positions import Sampling

LayerArguments: TypeAlias = dict[str, Any]
"""Keyword arguments of a layer's class: scale, position, axes, units and the like."""


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

    def sampled(self, samplings: Sequence[Sampling | None]) -> Placement:
        """Return the placement of an image whose pixels lie elsewhere along the axes.

        Parameters
        ----------
        samplings
            Where its pixels lie, in pixels of this one, along each axis; None for an axis of
            angles or radii in place of this one's, which counts its own pixels.
        """
        if all(sampling == UNMOVED for sampling in samplings):
            return self
        if None in samplings:
            return self._partly_sampled(samplings)
        placed = [sampling for sampling in samplings if sampling is not None]
        shift = self.inner.linear_matrix @ [sampling.start for sampling in placed]
        inner = CompositeAffine(
            scale=self.inner.scale * [sampling.step for sampling in placed],
            translate=self.inner.translate + shift,
            rotate=self.inner.rotate,
            shear=self.inner.shear,
            ndim=self.inner.ndim,
            units=[str(unit) for unit in self.inner.units],
            axis_labels=self.inner.axis_labels,
        )
        return Placement(inner, self.outer)

    def _partly_sampled(self, samplings: Sequence[Sampling | None]) -> Placement:
        """Return the placement along the axes that have one: nothing is rotated or sheared."""
        scale, translate, units = [], [], []
        axes = zip(samplings, self.inner.scale, self.inner.translate, self.inner.units, strict=True)
        for sampling, size, position, unit in axes:
            scale.append(1.0 if sampling is None else size * sampling.step)
            translate.append(0.0 if sampling is None else position + size * sampling.start)
            units.append("pixel" if sampling is None else str(unit))
        ndim = len(samplings)
        labels = self.inner.axis_labels
        inner = CompositeAffine(
            scale=scale, translate=translate, ndim=ndim, units=units, axis_labels=labels
        )
        return Placement(inner, Affine(affine_matrix=np.eye(ndim + 1)))

    def arguments(self) -> LayerArguments:
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
