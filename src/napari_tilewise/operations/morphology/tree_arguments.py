"""A precomputed component tree, passed as an argument; it needs the whole image at once.

With one, the functions that use a component tree do not build their own, and ignore `connectivity`.
Its elements are indices into the flat whole image, which mean nothing in a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from skimage.morphology import max_tree

from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec.operation import Constraint
from napari_tilewise.operations.spec.parameters import FunctionSpec
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.operations.spec.operation import Call, Plan
    from napari_tilewise.types import Parameters, Value


@dataclass(frozen=True, kw_only=True)
class TreeArray(FunctionSpec):
    """One of the two arrays that `max_tree` returns; available in Python only."""

    optional: bool = True
    ordered: bool = False
    """Whether it is the second array, which has one axis."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if not (hasattr(value, "shape") and hasattr(value, "dtype")):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        if value.dtype != np.int64 or (self.ordered and len(value.shape) != 1):
            raise InvalidParameter(
                f"{name} has dtype {value.dtype} and shape {tuple(value.shape)}: expected "
                f"{self.describe()}."
            )
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        axes = "with one axis " if self.ordered else ""
        return f"an array of 64-bit integers {axes}as returned by max_tree, or None"


TREE = {
    "parent": TreeArray(advanced=True),
    "tree_traverser": TreeArray(advanced=True, ordered=True),
}
NOTE = (
    "With a precomputed tree (parent and tree_traverser) the whole image is processed at once; "
    "otherwise every tile builds its own tree."
)


def tree_of(prepare: Callable[[np.ndarray], np.ndarray] | None = None) -> Constraint:
    """Return the constraint that both arrays of a tree are those of the image, or left out.

    Parameters
    ----------
    prepare
        Returns the image that the tree is made of, where it is not the input (closings: inverted).
    """

    def satisfy(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
        if solution % 6 not in (1, 2) or min(image.shape) <= 2:
            return {}
        connectivity = 1 + solution // 6 % image.ndim
        parent, order = max_tree(image if prepare is None else prepare(image), connectivity)
        # Half a tree is ignored.
        return {"parent": parent, "tree_traverser": order if solution % 6 == 1 else None}

    return Constraint(names=tuple(TREE), satisfy=satisfy)


def has_tree(call: Call) -> bool:
    """Return whether both arrays of a tree are given; scikit-image ignores a single one."""
    return all(call[name] is not None for name in TREE)


def check_tree(call: Call) -> None:
    """Raise `InvalidParameter` for a tree of an image with another shape."""
    if not has_tree(call):
        return
    for name in TREE:
        if prod(call[name].shape) != prod(call.shape):
            raise InvalidParameter(
                f"{call.operation.name}: {name} has shape {tuple(call[name].shape)}: expected one "
                f"number per pixel of an image of shape {call.shape}, as returned by max_tree. "
                "A stack has a tree for each of its images: apply the operation to one image at a "
                "time, or without a tree."
            )


def from_tree(call: Call) -> Plan:
    """Call scikit-image's function on the whole image with the precomputed tree."""
    tree = {name: np.asarray(call[name]) for name in TREE}
    for name, indices in tree.items():
        if indices.min() < 0 or indices.max() >= indices.size:  # scikit-image does not check
            raise InvalidParameter(
                f"{call.operation.name}: {name} has values from {indices.min()} to "
                f"{indices.max()}: expected pixel indices from 0 to {indices.size - 1}."
            )
    result = yield gather_whole(call, lambda block: call.function(block.data, **tree))
    return handed_out(call, result)
