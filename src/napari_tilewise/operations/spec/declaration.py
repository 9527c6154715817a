"""A declaration answers questions about calls: which neighbours, what comes out, at what cost.

Its answers are in groups, most of them functions of a `Call`; what a declaration leaves out has the
usual answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.operations.spec.accuracy import IDENTICAL, Accuracy
from napari_tilewise.operations.spec.as_step import AsStep
from napari_tilewise.operations.spec.call import CallGeometry, same_channel, same_shape
from napari_tilewise.operations.spec.consistency import checked_part
from napari_tilewise.operations.spec.declared_function import DeclaredFunction
from napari_tilewise.operations.spec.kinds import Exactness, Kind, Output
from napari_tilewise.operations.spec.parameters import is_image
from napari_tilewise.operations.spec.passes import (
    Final,
    HaloLike,
    Part,
    Parts,
    Plan,
    Tiles,
    Value,
    normal_halo,
)
from napari_tilewise.operations.spec.pixel_positions import unmoved
from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Halo
    from napari_tilewise.operations.spec.families import Family
    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.types import Array, DType, Parameters


@dataclass(frozen=True)
class Call(CallGeometry):
    """An operation's parameters, bound, and the image they are applied to (one plane or volume)."""

    operation: Declaration
    params: Parameters
    shape: tuple[int, ...]
    dtype: DType
    channel_axis: int | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a parameter's value."""
        return self.params[name]

    def image_dtype(self, name: str) -> DType:
        """Return a further image's or array's data type in this machine's byte order."""
        return native_dtype(self.params[name].dtype)

    @property
    def wraps(self) -> bool:
        """Whether the border mode continues the image periodically."""
        border = self.operation.neighbourhood.border
        return border is not None and self.params[border] == "wrap"

    @property
    def halo(self) -> Halo:
        """The neighbours that a tile needs, ``((before, after), ...)`` per spatial axis."""
        return normal_halo(self.operation.neighbourhood.halo(self), self.ndim, self.operation.name)

    def function(self, data: np.ndarray, /, **overrides: Any) -> Any:
        """Call the function, or its kernel, on an array with the bound parameters."""
        return self.operation.function(data, **{**self.keywords, **overrides})

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The parameters as scikit-image's function takes them, without the further images."""
        return {
            name: value
            for name, value in self.params.items()
            if not is_image(self.operation.specs[name], value)
        }


def _same_dtype(call: Call) -> DTypeLike:
    return call.dtype


def _no_halo(call: Call) -> HaloLike:
    return 0


def _no_padding(call: Call) -> int:
    return 0


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultSpec:
    """What a function returns, known before any pixel is read."""

    output: Output = Output.IMAGE
    output_of: Callable[[Call], Output] | None = None
    """Where parameters decide what it returns; `output` is then the usual."""
    dtype: Callable[[Call], DTypeLike] = _same_dtype
    shape: Callable[[Call], tuple[int, ...] | None] = same_shape
    """None for a result whose shape is known only once it is computed (points, tables)."""
    channel: Callable[[Call], int | None] = same_channel
    """Which axis of the result is none of the spatial ones (its length is `shape`'s)."""
    split: type[list[Any]] | type[tuple[Any, ...]] | None = None
    """Where scikit-image returns several images of one kind: list or tuple. The result is computed
    as one array with `channel` 0, which `apply` takes apart."""
    parts: Callable[[Call], tuple[Part, ...] | None] | None = None
    """Where scikit-image returns a tuple of different results: what each is (the plan then ends in
    `Parts`). None for a call that returns one result. `output` is the first's."""
    dtype_varies: bool = False
    """Whether scikit-image's dtype depends on the pixels (see `Tiles.dtype`). A lazy result, whose
    dtype is asked for before, has `dtype`'s whatever the pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbourhood:
    """Which pixels around a tile its result depends on, and where those of the result lie."""

    halo: Callable[[Call], HaloLike] = _no_halo
    typical_halo: Callable[[Call], HaloLike] | None = None
    """What images usually need, where `halo` is a bound and the passes find the true one: tiles are
    chosen for it, memory is stated for the bound."""
    border: str | None = None
    """Name of the parameter that holds the border mode."""
    padding: Callable[[Call], int] = _no_padding
    """By how many pixels the function pads every region at each end, wherever it lies."""
    sampling: Callable[[Call, tuple[int, ...]], Samplings] = unmoved
    """Where the pixels of a result of this shape lie, per spatial axis."""
    channels: Callable[[Call], slice] | None = None
    """Which positions along the channel axis its result depends on, and blocks hold; None: all."""
    reads_again: Callable[[Call], bool] = lambda _: True
    """Whether a call reads the image again after its first pass, where its kind takes several."""


def _keeps_axes(call: Call, image: Any) -> bool:
    return False


class SingleAxes(NamedTuple):
    """Whether the function drops axes of one pixel; tiles keep them, and `apply` drops them too."""

    of_image: int | None = None
    """Of the image, before it begins: the first spatial axis that it may drop; the others count as
    the spatial ones. None: it drops none."""
    of_result: Callable[[Call, Any], bool] = _keeps_axes
    """Of the result of a call on an image, as the image has them; the image may be lazy."""


ALL_AXES = SingleAxes()


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Which images a function takes."""

    ndim: tuple[int, int] = (1, 8)
    """Fewest and most spatial axes."""
    single: SingleAxes = ALL_AXES
    """What the function makes of axes of one pixel."""
    dtypes: str = "buif"
    """Kinds of data types, as NumPy abbreviates them."""
    check: Callable[[Call], None] | None = None
    """Raises for what the function cannot take, known before any pixel is read."""
    finite: bool = False
    """Whether NaN and infinity are refused."""
    implied_channel: Callable[[tuple[int, ...]], int | None] | None = None
    """Which axis of an image of this shape holds channels, where no parameter says so."""
    nearest_shape: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
    """The nearest shape that the function takes, where the lengths of axes depend on each other."""
    takes_alpha: bool = False
    """Whether the alpha of a picture is one of the channels that it takes."""


IN_ONE_CALL = 2**18
"""Pixels up to which images go whole through what takes up to some 50 ns for a pixel. Tiles cost
0.3 to 2 ms of their own: of 300 x 300 pixels they took 1.1 to 30 times what these functions take,
and 1.1 to 4 times what their passes take over one tile, in processor time and in wall time with two
threads on a busy machine (`benchmarks/small_images.py`)."""
SLOW = 2**16
"""The same of what takes longer, such as ranks (100 to 600 ns): several threads gain more there
than tiles cost."""


class AtOnce(NamedTuple):
    """Up to how many pixels an image in memory goes through a function whole, in one call."""

    function: int | None = None
    """Through the function itself: its plan checks nothing that the declaration does not. Unless
    given, `IN_ONE_CALL` where the plan is `tiled`, and none where it is the operation's own; where
    it is on the whole image, `IN_MEMORY` in any case."""
    kernel: int = 2**18
    """Through a kernel that stands for the function."""
    finite: bool = False
    """Whether the plan has its own answer to NaN and infinity: the function gets no such images."""
    counted: bool = False
    """Whether the function takes memory by the range of integers: images of a long one get
    tiles."""
    when: Callable[[Call], bool] | None = None
    """The calls of which the function holds; None: all."""
    passes: int = IN_ONE_CALL
    """Through its passes, as one tile in the calling thread: those that take less time for it than
    handing out tiles."""
    suits: Callable[[Array], bool] | None = None
    """The images of which it does, where their pixels decide; None: all."""
    shown: Callable[[Call, Array, Any], bool] | None = None
    """Whether a result shows that NaN and infinity had no part in it, as a sum of all pixels does:
    the pixels of later images are looked at only where it does not. None: no result does."""
    rows: bool = False
    """Whether a pointwise function may get any rows of an image by themselves, though its plan does
    more with tiles. Where the plan is `tiled`, it may in any case."""
    copies: int | None = None
    """What the kernel takes, in images of the image's own data type, image and result included;
    unless given, what `Cost` says."""


IN_MEMORY = 2**24
"""Pixels up to which a function gets an image whole that takes less time for all of it than tiles
take together: joining objects across tiles, and waiting between passes, cost more than two
processors save."""
KERNELS_AT_ONCE = AtOnce()
SLOW_AT_ONCE = AtOnce(passes=SLOW)
"""Of passes that take more than some 50 ns for a pixel."""
LIGHT = AtOnce(function=IN_MEMORY)
"""Of functions that take little more time than their result takes to be written: a copy of bands
or tiles into it takes as long again."""
SMALL_WHOLE = AtOnce(function=IN_ONE_CALL, finite=True)
"""Of functions whose plans refuse nothing but NaN and infinity, and need more time for one tile."""
IN_BANDS = AtOnce(kernel=2**26, copies=4)
"""Of kernels that go through an image by bands, each in memory that the next one uses again."""
WIDENED_IN_BANDS = AtOnce(kernel=2**26)
"""Of those whose result, and an image in between, are of floating-point numbers."""


class Trial(NamedTuple):
    """The largest images to try an operation on; None: of any size."""

    length: int | None = None
    """Longest axis."""
    volume_length: int | None = None
    """The same in three dimensions, where a halo reaches through every volume of such a size."""
    levels: int | None = None
    """Most grey levels of images of integers, where the function takes a time that grows with a
    power of their number."""


ANY_IMAGE = Trial()
PER_PIXEL = 32
"""Bytes that passes gather for a pixel at most, where they gather a value, a place or a label of
each: what `Cost.numbers` is unless a declaration measures its own."""


class OnDisk(NamedTuple):
    """What reductions gather that goes to disk where it outgrows its share."""

    nbytes: int = PER_PIXEL
    """Bytes per pixel of the image at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cost:
    """What computing takes."""

    memory: float = 4.0
    """Peak working memory per pixel of a region (or of the output, where that is larger), in
    float64 images, input and output included."""
    whole: float | None = None
    """The same where the whole image is computed at once, for an operation that may need that;
    measured, not guessed, as nothing else runs then. Unless given, it is what tiles take."""
    in_order: Callable[[Call], int] | None = None
    """The most bytes that a `Walk` of a call uses; those that do not fit are on disk. 0 for a call
    that needs none."""
    numbers: int | OnDisk | Callable[[Call], int] | None = None
    """Bytes that reductions gather per pixel of the image at most, for those that gather more than
    a few numbers; or the function for them. Unless given, kinds of operations whose passes find
    what holds for the whole image gather a few numbers, and the rest `PER_PIXEL`."""
    at_once: AtOnce = KERNELS_AT_ONCE
    """Which images in memory go through the function in one call."""
    largest_region: Callable[[Call], int] | None = None
    """Pixels of the largest region that passes visit besides tiles, or of what parameters take
    however small the image is, such as a kernel of weights, where that may be more."""
    holds_gil: bool = False
    """Whether it holds Python's global lock for most of its time: threads do not make it faster."""
    trial: Trial = ANY_IMAGE
    """Which images to try it on, where scikit-image's own function is slow."""

    def padded(self, call: Call, box: Iterable[int]) -> int:
        """Return the pixels of a box as the function pads it.

        Parameters
        ----------
        call
            The parameters.
        box
            Lengths along the spatial axes.
        """
        padding = call.operation.neighbourhood.padding(call)
        return prod(length + 2 * padding for length in box)

    def least(self, call: Call) -> int:
        """Return the pixels that have to be in memory, however small the tiles.

        Parameters
        ----------
        call
            The parameters.
        """
        largest = 0 if self.largest_region is None else self.largest_region(call)
        return max(largest, self.padded(call, [1] * call.ndim))


def tiled(call: Call) -> Tiles:
    """Apply scikit-image's function to every tile with its neighbours: a plan of nothing else."""
    return Tiles(
        lambda block: np.asarray(call.function(block.data, **block.images)),
        halo=call.operation.neighbourhood.halo(call),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Declaration(DeclaredFunction):
    """One scikit-image function and how it tiles, as the groups of the declaration say it."""

    kind: Kind
    title: str = ""
    """A readable name; unless given, what the function's name says (`titles`)."""
    family: Family | None = None
    """Where users look for it; its category, unless given."""
    plan_of: Callable[[Call], Plan | Final] = tiled
    result: ResultSpec = field(default_factory=ResultSpec)
    accuracy: Accuracy = IDENTICAL
    neighbourhood: Neighbourhood = field(default_factory=Neighbourhood)
    limits: Limits = field(default_factory=Limits)
    cost: Cost = field(default_factory=Cost)
    step: AsStep = field(default_factory=AsStep)
    note: str = ""
    is_step: bool = False
    """Whether this is what `Operation.as_step` made."""

    @property
    def output(self) -> Output:
        """What it usually returns."""
        return self.result.output

    @property
    def exactness(self) -> Exactness:
        """How close tiled results are to the whole image's."""
        return self.accuracy.exactness

    @property
    def tolerance(self) -> float:
        """The largest difference, relative to the larger of 1 and the largest magnitude."""
        return self.accuracy.tolerance

    def parts(self, call: Call) -> tuple[Part, ...] | None:
        """Return what each of several results is; None where there is one."""
        parts = None if self.result.parts is None else self.result.parts(call)
        return None if parts is None else tuple(checked_part(self.name, p, call) for p in parts)

    def whole_part(self, call: Call) -> Part:
        """Return what the only result is."""
        result = self.result
        output = result.output if result.output_of is None else result.output_of(call)
        part = Part(output, result.dtype(call), result.shape(call), result.channel(call))
        return checked_part(self.name, part, call)

    @property
    def moves_pixels(self) -> bool:
        """Whether the axes of its result, or where pixels lie along them, are not the image's."""
        result = self.result
        is_same = result.shape is same_shape and result.channel is same_channel
        return not is_same or self.neighbourhood.sampling is not unmoved

    @property
    def takes_alpha(self) -> bool:
        """Whether the alpha of a picture is one of the channels that it takes.

        It is where it follows the colours: where pixels are moved, resampled or converted.
        """
        is_moved = self.family is not None and self.family.moves_pixels
        return self.limits.takes_alpha or is_moved

    def halo_for_tiles(self, call: Call) -> Halo:
        """Return the halo that tiles are chosen for, per spatial axis."""
        typical = self.neighbourhood.typical_halo
        return call.halo if typical is None else normal_halo(typical(call), call.ndim, self.name)

    def plan(self, call: Call) -> Plan:
        """Return the passes of a call as a generator: what a plan is, module `operation` says."""
        planned = self.plan_of(call)
        if isinstance(planned, Tiles | Value | Parts):
            return planned
        return (yield from planned)
