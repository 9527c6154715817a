"""Which passes a tile needs: its operation's on its plane, and those of all that it pulls from.

An upper bound is enough. A task that lacks the results of a pass does that pass itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.source import ChunkedSource
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.operations.spec.parameters import OtherImage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.engine.planes import Planes
    from napari_tilewise.engine.source import Source
    from napari_tilewise.grid import Position

Box = tuple[range | None, ...]
"""A box of an image; None: the whole axis."""
PassKey = tuple[Any, ...]
"""The name of a layer of passes, and the plane's position along the looped axes."""

MOST_PLANES = 64
"""Planes of an expression whose passes a tile waits for, where nothing says which it needs."""


@dataclass(frozen=True, eq=False)
class PassNames:
    """The names of the layers of passes that a result may need."""

    of_planes: dict[str, str] = field(default_factory=dict)
    """By the key of the operation on its planes."""
    of_expressions: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = field(default_factory=dict)
    """Those in dask expressions, with the lengths of their loops, by the key of the source."""


def needed_by_plane(planes: Planes, index: Position, names: PassNames) -> list[PassKey]:
    """Return the keys of all passes that the passes on a plane need.

    Parameters
    ----------
    planes
        The operation on its images.
    index
        The plane's position along the looped axes.
    names
        The names of layers.
    """
    box: list[range | None] = [None] * len(planes.source.shape)
    for axis, i in zip(planes.looped.loops, index, strict=True):
        box[axis] = range(i, i + 1)
    search = _PassSearch(names)
    search.pulled(planes, tuple(box))
    return list(search.keys)


def needed_by_block(stack: Stack, block: Mapping[int, int], names: PassNames) -> list[PassKey]:
    """Return the keys of all passes that tiles of a result need.

    Parameters
    ----------
    stack
        The result.
    block
        The positions of the tiles in the grid by axis; along other axes they are anywhere.
    names
        The names of layers.
    """
    box: list[range | None] = [None] * len(stack.shape)
    lengths = stack.grid().tile if stack.shape else ()
    for axis, number in block.items():
        start = number * lengths[axis]
        box[axis] = range(start, min(start + lengths[axis], stack.shape[axis]))
    search = _PassSearch(names)
    search.of_stack(stack, tuple(box))
    return list(search.keys)


class _PassSearch:
    """Follows a box to all that it is pulled from."""

    def __init__(self, names: PassNames) -> None:
        self.keys: dict[PassKey, None] = {}
        self._names = names

    def of_stack(self, stack: Stack, box: Box) -> None:
        """Note the passes that a box of a result needs."""
        planes = stack.planes
        loops = [range(n) for n in planes.lengths]
        for axis, number in stack.loop_of_axis.items():
            positions = box[axis] or loops[number]
            # Where the image's alpha is carried, the result has a position more.
            first = max(0, positions.start - stack.has_alpha)
            loops[number] = range(first, min(positions.stop, len(loops[number])))
        name = self._names.of_planes.get(planes.key)
        if name is not None:
            self.keys.update(dict.fromkeys((name, *index) for index in itertools.product(*loops)))
        source: list[range | None] = [None] * len(planes.source.shape)
        for number, axis in enumerate(planes.looped.loops):
            source[axis] = loops[number]
        halo = iter(stack.call.halo)
        grown = [next(halo) for _ in stack.call.spatial_axes]
        spatial = [axis for axis in range(len(source)) if axis not in planes.looped.loops]
        spatial = [spatial[axis] for axis in stack.call.spatial_axes]
        behind = {origin: axis for axis, origin in enumerate(stack.origins)}
        for axis, (before, after) in zip(spatial, grown, strict=True):
            length = planes.source.shape[axis]
            span = box[behind[axis]] if axis in behind else None
            if span is not None and stack.shape[behind[axis]] == length and not stack.call.wraps:
                source[axis] = range(max(0, span.start - before), min(length, span.stop + after))
        self.pulled(planes, tuple(source))

    def pulled(self, planes: Planes, box: Box) -> None:
        """Note the passes that a box of an operation's images needs."""
        self._of_source(planes.source, box, planes)
        specs = planes.looped.call.operation.specs
        for name, image in planes.images.items():
            ndim = len(box)
            everything: Box = (None,) * len(image.shape)
            if image.shape[:ndim] == planes.source.shape and not isinstance(
                specs[name], OtherImage
            ):
                everything = (*box, *everything[ndim:])
            self._of_source(image, everything, planes)

    def _of_source(self, source: Source, box: Box, planes: Planes) -> None:
        if isinstance(source, PlaneView):
            spans = iter(box)
            inner = (
                range(source.fixed[axis], source.fixed[axis] + 1)
                if axis in source.fixed
                else next(spans)
                for axis in range(len(source.stack.shape))
            )
            self._of_source(source.stack, tuple(inner), planes)
        elif isinstance(source, WithoutAlpha):  # an upper bound: all channels
            axis = source.axis
            self._of_source(source.inner, (*box[:axis], None, *box[axis + 1 :]), planes)
        elif isinstance(source, Materialized):
            self.of_stack(source.stack, box)
        elif isinstance(source, Stack):
            self.of_stack(source, box)
        elif isinstance(source, ChunkedSource):
            for name, lengths in self._names.of_expressions.get(source.key, ()):
                self._of_expression(name, lengths, box, planes)

    def _of_expression(self, name: str, lengths: Sequence[int], box: Box, planes: Planes) -> None:
        """Note passes in an expression: of the same planes, where it has as many."""
        spans = [range(n) for n in lengths]
        if tuple(lengths) == planes.lengths:
            along = (box[axis] for axis in planes.looped.loops)
            spans = [span or whole for span, whole in zip(along, spans, strict=True)]
        if prod(map(len, spans)) <= MOST_PLANES:
            self.keys.update(dict.fromkeys((name, *i) for i in itertools.product(*spans)))
