"""A component tree made before: it numbers the pixels of the whole image, and so is used whole.

The functions of a tree answer from a given one instead of making their own, whatever connectivity
it was made with. Tiles could not: their pixels have other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.morphology import max_tree

from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec.operation import Constraint
from napari_tilewise.operations.spec.parameters import FunctionSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_tilewise.operations.spec.operation import Call, Plan


@dataclass(frozen=True, kw_only=True)
class TreeArray(FunctionSpec):
    """One of the two arrays that `max_tree` returns: from Python only."""

    optional: bool = True
    ordered: bool = False
    """Whether it is the second, which has one axis."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if not (hasattr(value, "shape") and hasattr(value, "dtype")):
            raise InvalidParameterType(f"{name}={value!r}: expected {self.describe()}.")
        if value.dtype != np.int64 or (self.ordered and len(value.shape) != 1):
            raise InvalidParameter(
                f"{name} has type {value.dtype} and shape {tuple(value.shape)}: expected "
                f"{self.describe()}."
            )
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        axes = "with one axis " if self.ordered else ""
        return f"an array of 64-bit integers {axes}as max_tree returns it, or None"


TREE = {
    "parent": TreeArray(advanced=True),
    "tree_traverser": TreeArray(advanced=True, ordered=True),
}
NOTE = (
    "A given tree (parent and tree_traverser) numbers the pixels of the whole image, which is then "
    "worked on at once; without one every tile makes its own."
)


def tree_of(prepare: Callable[[np.ndarray], np.ndarray] | None = None) -> Constraint:
    """Return the constraint that both arrays of a tree are those of the image, or left out.

    Parameters
    ----------
    prepare
        Returns the image that the tree is made of, where it is not the input (closings: inverted).
    """

    def satisfy(params: Mapping[str, Any], image: np.ndarray, solution: int) -> Mapping[str, Any]:
        if solution % 6 not in (1, 2) or min(image.shape) <= 2:
            return {}
        connectivity = 1 + solution // 6 % image.ndim
        parent, order = max_tree(image if prepare is None else prepare(image), connectivity)
        # Half a tree is ignored.
        return {"parent": parent, "tree_traverser": order if solution % 6 == 1 else None}

    return Constraint(names=tuple(TREE), satisfy=satisfy)


def has_tree(call: Call) -> bool:
    """Return whether a tree was given; scikit-image takes no notice of half a tree."""
    return all(call[name] is not None for name in TREE)


def check_tree(call: Call) -> None:
    """Refuse a tree that was made of another image."""
    if not has_tree(call):
        return
    for name in TREE:
        if prod(call[name].shape) != prod(call.shape):
            raise InvalidParameter(
                f"{call.operation.name}: {name} has shape {tuple(call[name].shape)}: expected one "
                f"number per pixel of an image of shape {call.shape}, as max_tree returns for it. "
                "Where axes are looped over, every image has a tree of its own: apply the "
                "operation to one image at a time, or without a tree."
            )


def from_tree(call: Call) -> Plan:
    """Call scikit-image's function on the whole image with the tree that was given."""
    tree = {name: np.asarray(call[name]) for name in TREE}
    for name, numbers in tree.items():
        if numbers.min() < 0 or numbers.max() >= numbers.size:  # scikit-image does not look
            raise InvalidParameter(
                f"{call.operation.name}: {name} holds numbers from {numbers.min()} to "
                f"{numbers.max()}: expected those of pixels, 0 to {numbers.size - 1}."
            )
    result = yield gather_whole(call, lambda block: call.function(block.data, **tree))
    return handed_out(call, result)
