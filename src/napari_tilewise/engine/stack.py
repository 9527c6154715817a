"""A stack is one operation on every plane or volume of an image; the other axes are looped over.

It is a source like any other. Each plane has its own node.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.node import Node
from napari_tilewise.engine.passes.joined_planes import (
    in_memory,
    join_contours,
    join_points,
    join_tables,
)
from napari_tilewise.engine.planes import Planes
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.grid import Grid, Halo, Region, extent
from napari_tilewise.operations.shared.stored_columns import ColumnStore
from napari_tilewise.operations.spec.operation import Output, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.passes.pass_runner import PassRunner
    from napari_tilewise.engine.source import Source
    from napari_tilewise.types import DType

CHANNEL = "channel"
"""The column of a table with the names of the channels, beside that with their numbers."""


class Stack:
    """One result of an operation over an image with looped axes (none of them is a stack of one).

    Parameters
    ----------
    planes
        The operation's passes on each plane.
    number
        Which of the operation's results it is, from 0; the first, or only one, unless given.
    has_alpha
        Whether the result has the alpha that the operation's image is read without.
    """

    def __init__(
        self, planes: Planes, number: int | None = None, *, has_alpha: bool = False
    ) -> None:
        self.planes = planes
        self.call = planes.looped.call
        self.loops = planes.looped.loops
        self.source = planes.source
        self.images = planes.images
        self.session = planes.session
        self._names = planes.looped.names
        parts = self.call.operation.parts(self.call)
        self.number = number or 0 if parts is not None else None
        self.part: Part = (
            self.call.operation.whole_part(self.call) if parts is None else parts[self.number or 0]
        )
        self.count = None if parts is None else len(parts)
        self._probe = self.node((0,) * len(self.loops))
        self.dtype: DType = self._probe.dtype
        self.plane_shape = self._probe.shape
        self._layout = self._arrange()
        source = planes.source
        self._alpha = source if has_alpha and isinstance(source, WithoutAlpha) else None
        computed = self._order(planes.lengths, self._probe.shape or ())
        self.shape = computed if self._alpha is None else self._alpha.inner.shape
        self.chunks = self.chunks_of(planes.tile)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the planes and the number; another process runs the passes again."""
        return partial(Stack, has_alpha=self.has_alpha), (self.planes, self.number)

    @property
    def has_alpha(self) -> bool:
        """Whether the result has the alpha of its image, unchanged."""
        return self._alpha is not None

    @property
    def keeps_samples(self) -> bool:
        """Whether each channel of the result is what the same one of the image is."""
        if self.call.channel_axis is None:
            return True
        family, axis = self.call.operation.family, self.channel
        is_mixed = family is not None and family.mixes_channels
        origin = None if axis is None else self.origins[axis]
        if is_mixed or axis is None or origin is None:
            return False
        return bool(self.shape[axis] == self.source.shape[origin] + self.has_alpha)

    def results(self) -> tuple[Stack, ...]:
        """Return one stack per result of an operation that gives several; the passes are shared."""
        if self.count is None:
            return (self,)
        return tuple(Stack(self.planes, number) for number in range(self.count))

    def on(
        self, source: Source, images: Mapping[str, Source], tile: tuple[int, ...] | None = None
    ) -> Stack:
        """Return the same operation, as it is bound, on other sources of the same description.

        Parameters
        ----------
        source
            The whole image, of the same shape and data type.
        images
            Further images by parameter name.
        tile
            Tile lengths along the spatial axes, in pixels; those of this stack unless given.
        """
        tile = self.planes.tile if tile is None else self.tile_within(tile)
        if isinstance(self.source, WithoutAlpha):
            images = {name: self.source.beside(image) for name, image in images.items()}
            source = self.source.beside(source)
        planes = Planes(self.planes.looped, source, images, tile, self.session)
        return Stack(planes, self.number, has_alpha=self.has_alpha)

    def tile_within(self, tile: Sequence[int]) -> tuple[int, ...]:
        """Return tile lengths that are no longer than the image.

        Parameters
        ----------
        tile
            Lengths along the spatial axes, in pixels.
        """
        return tuple(map(min, tile, self.call.spatial_shape))

    @property
    def is_image(self) -> bool:
        """Whether the result is an array of pixels."""
        return bool(self.part.output.is_image)

    def _arrange(self) -> list[int]:
        """Return how output axes are ordered: loop axes are numbered from 0, plane axes follow.

        Spatial axes keep their places among the looped ones; so does the channel axis, unless it
        is gone. One that is new stands beside its neighbours within the plane.
        """
        n_loops, plane_ndim = len(self.loops), len(self.plane_shape or ())
        if not self.is_image:
            return list(range(n_loops + plane_ndim))
        layout: list[int] = []
        of_plane = itertools.count()
        result = 0
        for axis in range(len(self.source.shape)):
            if axis in self.loops:
                layout.append(self.loops.index(axis))
                continue
            is_channel = next(of_plane) == self.call.channel_axis
            if self.part.channel == result:
                layout.append(n_loops + result)
                result += 1
            if not is_channel and result < plane_ndim:
                layout.append(n_loops + result)
                result += 1
        return [*layout, *range(n_loops + result, n_loops + plane_ndim)]

    @property
    def channel(self) -> int | None:
        """Which axis of the result is neither looped nor spatial."""
        if self.part.channel is None or not self.is_image:
            return None
        return self._layout.index(len(self.loops) + self.part.channel)

    @property
    def looped(self) -> tuple[int, ...]:
        """The axes of the result along which each position is made on its own."""
        return tuple(i for i, item in enumerate(self._layout) if item < len(self.loops))

    @property
    def loop_of_axis(self) -> dict[int, int]:
        """The number of the looped axis by the axis of the result that it is."""
        return {axis: self._layout[axis] for axis in self.looped}

    @property
    def origins(self) -> tuple[int | None, ...]:
        """The source's axis behind each axis of the result; None for one that is new."""
        if not self.is_image:
            return ()
        plane = [i for i in range(len(self.source.shape)) if i not in self.loops]
        channel = self.call.channel_axis
        behind: list[int | None] = [axis for i, axis in enumerate(plane) if i != channel]
        if self.part.channel is not None:
            behind.insert(self.part.channel, None if channel is None else plane[channel])
        ndim = len(self.plane_shape or ())
        behind = [*behind, *[None] * ndim][:ndim]
        return self._order(self.loops, behind)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the result's axes, where the source's were given."""
        if self._names is None or not self.is_image:
            return None
        loops = [self._names[i] for i in self.loops]
        plane = [name for i, name in enumerate(self._names) if i not in self.loops]
        channel = self.call.channel_axis
        spatial = [name for i, name in enumerate(plane) if i != channel]
        if self.part.channel is not None:
            name = plane[channel] if channel is not None else "q" if "c" in self._names else "c"
            spatial.insert(self.part.channel, name)
        if len(spatial) != len(self.plane_shape or ()):
            return None
        return self._order(loops, spatial)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that are looped over; empty where they are not known."""
        loop = self._loop_of_channels
        names = self.planes.looped.channels
        return names if loop is not None and len(names) == self.planes.lengths[loop] else ()

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the channels of the result, its alpha included; empty where none is known."""
        names, axes = self.planes.looped.channels, self.names
        if axes is None or "c" not in axes:
            return ()
        if not self.keeps_samples:
            names = self.call.operation.step.samples
        if self._alpha is not None:
            before = [*(names or [""] * (self._alpha.shape[self._alpha.axis]))]
            before.insert(self._alpha.index, _axes.ALPHA)
            names = tuple(before)
        return names if len(names) == self.shape[axes.index("c")] else ()

    @property
    def _loop_of_channels(self) -> int | None:
        """Which of the looped axes holds channels."""
        letters = [self._names[axis] for axis in self.loops] if self._names else []
        return letters.index("c") if "c" in letters else None

    def _order(self, loop_items: Sequence[Any], plane_items: Sequence[Any]) -> tuple[Any, ...]:
        items = [*loop_items, *plane_items]
        return tuple(items[i] for i in self._layout)

    def chunks_of(self, tile: Sequence[int]) -> tuple[int, ...]:
        """Return the lengths of the result's tiles along all its axes.

        Parameters
        ----------
        tile
            Tile lengths of the passes along the spatial axes, in pixels.
        """
        probe = self._probe
        plane: Sequence[int] = [max(1, n) for n in probe.shape or ()]
        if self.is_image:
            plane = probe.result_tile(tile)
        return self._with_alpha(self._order([1] * len(self.loops), plane))

    def _with_alpha(self, tile: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of a tile, which hold all channels or one of them."""
        if self._alpha is None or self._alpha.axis in self.looped:
            return tile
        axis = self._alpha.axis
        return (*tile[:axis], tile[axis] + 1, *tile[axis + 1 :])

    @property
    def halo(self) -> Halo:
        """The halo that tiles are chosen for, along the spatial axes."""
        return self.call.operation.halo_for_tiles(self.call)

    @property
    def node_grid(self) -> Grid:
        """The tiles of one plane's passes."""
        return Grid(self.call.spatial_shape, self.planes.tile)

    def spatial_of(self, items: Sequence[int]) -> list[int]:
        """Return the items of the spatial axes from items per axis of the result."""
        n_loops = len(self.loops)
        channel = self.part.channel
        lengths = dict(zip(self._layout, items, strict=True))
        return [
            value
            for item, value in sorted(lengths.items())
            if item >= n_loops and item - n_loops != channel
        ]

    def runner(self, index: tuple[int, ...]) -> PassRunner:
        """Return what runs the passes on one plane, the same object at every call.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        """
        return self.planes.runner(index)

    def node(self, index: tuple[int, ...]) -> Node:
        """Return the node of one plane."""
        return Node(self.runner(index), self.part, self.number)

    def prepare(self, region: Region | None = None) -> None:
        """Find what is global for the planes that a box meets.

        Parameters
        ----------
        region
            The box; None: all, when there is only one plane (others gather as they are read).
        """
        if not self.loops:
            self.node(()).prepare()
        elif region is not None:
            loops, _ = self._boxes(region)
            for index in itertools.product(*(range(s.start, s.stop) for s in loops)):
                self.node(index).prepare()

    @property
    def waits(self) -> bool:
        """Whether any of its images waits to be read."""
        return self.source.waits or any(image.waits for image in self.images.values())

    def fetch(self, region: Region) -> bool:
        """Begin to read what a box needs; False where there is no room for it."""
        if not self.waits:
            return True
        loops, plane = self._boxes(region)
        indices = itertools.product(*(range(s.start, s.stop) for s in loops))
        return all(self.node(index).fetch(plane) for index in indices)

    def read(self, region: Region) -> np.ndarray:
        """Return a box of the result, looped axes included."""
        if self._alpha is None:
            return self._read(region)
        box, offset = self._alpha.box(region)
        if offset is None:
            return self._read(box)
        alpha = self._alpha.alpha(region).astype(self.dtype, copy=False)
        axis = self._alpha.axis
        if box[axis].start == box[axis].stop:
            return alpha
        before, after = np.split(self._read(box), [offset], axis)
        return np.concatenate([before, alpha, after], axis)

    def _read(self, region: Region) -> np.ndarray:
        """Return a box of what is computed."""
        loops, plane = self._boxes(region)
        if not loops:
            return self._read_plane((), plane)
        out = np.empty([*(s.stop - s.start for s in loops), *extent(plane)], self.dtype)
        for index in itertools.product(*(range(s.start, s.stop) for s in loops)):
            offset = tuple(i - s.start for i, s in zip(index, loops, strict=True))
            out[offset] = self._read_plane(index, plane)
        return out.transpose(self._layout)

    def _boxes(self, region: Region) -> tuple[Region, Region]:
        """Return a box of the result as one over the looped axes and one of a plane."""
        if self._alpha is not None:
            region, _ = self._alpha.box(region)
        boxes: list[slice] = [slice(0)] * len(self._layout)
        for box, item in zip(region, self._layout, strict=True):
            boxes[item] = box
        return tuple(boxes[: len(self.loops)]), tuple(boxes[len(self.loops) :])

    def _read_plane(self, index: tuple[int, ...], region: Region) -> np.ndarray:
        node = self.node(index)
        if self.is_image:
            return node.read(region).astype(self.dtype, copy=False)
        return np.asarray(node.value(), dtype=self.dtype)[region]

    def grid(self, tile: Sequence[int] | None = None) -> Grid:
        """Return the tiles of the result.

        Parameters
        ----------
        tile
            Lengths along the result's spatial axes; those of the passes unless given.
        """
        if tile is None:
            return Grid(self.shape, self.chunks)
        lengths = self._with_alpha(self._order([1] * len(self.loops), self._probe.tile_for(tile)))
        return Grid(self.shape, tuple(min(t, n) for t, n in zip(lengths, self.shape, strict=True)))

    @property
    def final_dtype(self) -> DType:
        """scikit-image's own dtype of the result, which the passes may decide.

        `read` always gives `dtype`, which lazy results and later steps rely on.
        """
        if not self.is_image or not self.call.operation.result.dtype_varies:
            return self.dtype
        return np.result_type(*(self.node(index).final_dtype for index in self.planes.indices()))

    def recorded(self) -> Any:
        """Return the numbers that the passes values and a record tells; None where there are none.

        With looped axes, an array over them; several by name are a mapping, of lists over all
        planes.
        """
        scalars = map(self._scalar, self.planes.indices())
        first = next(scalars, None)
        if not self.loops or first is None:
            return first
        values = [first, *scalars]
        if isinstance(first, Mapping):
            names = dict.fromkeys(name for value in values for name in value)
            return {name: [value.get(name) for value in values] for name in names}
        array = np.stack([np.asarray(value) for value in values])
        return array.reshape(*self.planes.lengths, *np.shape(values[0]))

    def _scalar(self, index: tuple[int, ...]) -> Any:
        if self.number is None:
            return self.planes.scalar(index)
        return getattr(self.node(index).final(), "scalar", None)

    def value(self) -> Any:
        """Return the result that is not an image, in memory."""
        return in_memory(self.stored_value())

    def stored_value(self) -> Any:
        """Return the result that is not an image, the planes' gathered into one.

        Columns, points and contours that outgrow their share of memory are files.

        Scalars become an array over the looped axes; points, contours and tables get one leading
        column per looped axis; anything else becomes a list, one item per plane.
        """
        if len(self.loops) == len(self.planes.looped.dropped):
            return self.node((0,) * len(self.loops)).value()
        planes = ((index, self.node(index).value()) for index in self.planes.indices())
        output = self.part.output
        if output is Output.SCALAR:
            arrays = [np.asarray(value) for _, value in planes]
            return np.stack(arrays).reshape(*self.planes.lengths, *arrays[0].shape)
        store = ColumnStore(self.session.tables or available_memory())
        if output is Output.POINTS:
            return join_points(planes, store)
        if output is Output.CONTOURS:
            return join_contours(planes, store)
        if output is Output.TABLE:
            return join_tables(planes, self._columns_of_loops, store)
        return [value for _, value in planes]

    def _columns_of_loops(self, index: tuple[int, ...]) -> dict[str, Any]:
        """Return what a table tells of a plane: its position, and the name of its channel."""
        columns: dict[str, Any] = {}
        for number, axis in enumerate(self.loops):
            name = self._names[axis] if self._names else f"axis-{axis}"
            columns[name] = index[number]
            if self.channels and number == self._loop_of_channels:
                columns[CHANNEL] = np.array(self.channels)[index[number], None]
        return columns
