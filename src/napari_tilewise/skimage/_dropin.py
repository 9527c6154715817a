"""One function of scikit-image as its drop-in: the same call, and images of any size too.

NumPy in, exactly scikit-image's answer out: from the tiled engine where that is bit for bit the
same and faster, else from scikit-image itself, with the same arguments. Whatever the engine
refuses goes to scikit-image as well, which then answers or raises its own error. A lazy image
(dask, Zarr, anything with `shape`, `dtype` and slicing) always goes to the engine.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter, TilewiseError, UnknownParameter
from napari_tilewise.operations import SCIKIT_IMAGE
from napari_tilewise.operations.not_operations import NOT_OPERATIONS
from napari_tilewise.operations.spec.docstrings import resolve
from napari_tilewise.operations.spec.operation import Exactness, Kind, Operation
from napari_tilewise.sizes import format_size
from napari_tilewise.skimage._lazy import computed, describe, has_lazy, is_lazy
from napari_tilewise.skimage._tiling import TILING, Tiling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LEAST = 2**21
"""Fewest pixels for which tiles in threads gain; below, handing them out costs as much."""

GAINS = frozenset({Kind.NEIGHBOURHOOD, Kind.STATISTIC})
"""Kinds that gain where a tile needs neighbours: the work is then worth more than handing out tiles
and gathering numbers first. Without neighbours scikit-image is done before."""

EXECUTION = frozenset({"workers", "num_workers"})
"""Parameters that say how scikit-image computes, never what: the engine has workers of its own."""

SAFE = frozenset({"util.dtype_limits", "util.apply_parallel"})
"""Functions without an operation that read no pixel of a lazy image, or take it as it is."""

_DIRECT = object()


@functools.cache
def dropin(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a function of scikit-image, under whatever path it was found.

    Parameters
    ----------
    function
        scikit-image's.
    """
    key = next((key for key in _keys(function.__name__) if resolve(key) is function), None)
    return guarded(function) if key is None else tiled(SCIKIT_IMAGE[key])


def _keys(name: str) -> Iterator[str]:
    return (key for key in SCIKIT_IMAGE if key.rpartition(".")[2] == name)


def tiled(operation: Operation) -> Callable[..., Any]:
    """Return the drop-in of an operation.

    Parameters
    ----------
    operation
        The operation.
    """
    route = _Route(operation)
    function = route.function

    def dropin(*args: Any, **kwargs: Any) -> Any:
        args, kwargs, result = route(args, kwargs)
        return function(*args, **kwargs) if result is _DIRECT else result

    made = functools.wraps(function)(_unseen(dropin))
    made.__module__ = f"napari_tilewise.skimage.{operation.category}"
    made.__doc__ = add_note(function, tiling_note(operation))
    return made


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is no operation, guarded against loading a lazy image by accident.

    Parameters
    ----------
    function
        scikit-image's.
    """
    module = public_module(function)
    path = f"{module.partition('skimage.')[2]}.{function.__name__}".lstrip(".")

    def passed_on(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _without_lazy(path, args, kwargs)
        return function(*args, **kwargs)

    made = functools.wraps(function)(_unseen(passed_on))
    made.__module__ = module
    return made


def public_module(function: Callable[..., Any]) -> str:
    """Return the drop-in's module where a function is found: the outermost that has it.

    Parameters
    ----------
    function
        scikit-image's.
    """
    parts = function.__module__.split(".")
    homes = (".".join(parts[:depth]) for depth in range(2, len(parts) + 1))
    name = function.__name__
    home = next(home for home in homes if getattr(import_module(home), name, None) is function)
    return f"napari_tilewise.{home}"


def _unseen(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hide a function's frame from `warnings.warn`, so that warnings point to the user's line.

    scikit-image counts the frames between its warnings and the line that called it. `warnings`
    leaves out those of the import system, which it knows by the names of their files.
    """
    code = function.__code__
    name = f"{code.co_filename} (importlib._bootstrap)"
    function.__code__ = code.replace(co_filename=name)
    return function


def tiling_note(operation: Operation) -> str:
    """Return what tiling means for an operation, in one paragraph.

    Parameters
    ----------
    operation
        The operation.
    """
    exactness = {
        Exactness.IDENTICAL: "bit for bit scikit-image's on the whole image",
        Exactness.CLOSE: f"scikit-image's on the whole image within {operation.tolerance:g}",
        Exactness.APPROXIMATE: "close to scikit-image's on the whole image, not equal",
    }[operation.exactness]
    if operation.output.is_image or operation.output.value == "scalar":
        laziness = "a lazy dask array"
    else:
        laziness = "computed at once"
    how = {
        Kind.WHOLE: "needs the whole image in memory",
    }.get(operation.kind, f"is computed tile by tile ({operation.kind})")
    return (
        f"napari-tilewise: a dask, Zarr or other lazy image {how}; the result is {laziness}, "
        f"{exactness}. From a NumPy array it is exactly scikit-image's."
    )


def add_note(function: Callable[..., Any], paragraph: str) -> str:
    """Return scikit-image's docstring with a paragraph before its sections.

    Parameters
    ----------
    function
        scikit-image's.
    paragraph
        The paragraph, on one line.
    """
    lines = (inspect.getdoc(function) or "").splitlines()
    heads = (i for i in range(1, len(lines)) if set(lines[i].strip()) == {"-"})
    at = next(heads, len(lines) + 1) - 1
    head = "\n".join(lines[:at]).rstrip()
    return "\n\n".join(part for part in (head, paragraph, "\n".join(lines[at:])) if part)


class _Route:
    """Decides who computes a call: the engine or scikit-image."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.function = resolve(operation.name)
        self._signature = inspect.signature(self.function)
        self._first = next(iter(self._signature.parameters))
        self._gains = (
            operation.exactness is Exactness.IDENTICAL
            and operation.kind in GAINS
            and not operation.deprecated
        )

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """Return the arguments for scikit-image, and the engine's result or `_DIRECT`."""
        image = args[0] if args else kwargs.get(self._first)
        lazy = has_lazy(args) or has_lazy(kwargs.values())
        if not lazy and not self._wanted(image):
            return args, kwargs, _DIRECT
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return args, kwargs, _DIRECT  # which says what is wrong
        if not lazy:
            return args, kwargs, self._from_numpy(bound)
        images = {self._first, *self.operation.images}
        for name, value in bound.arguments.items():
            if name not in images or (is_lazy(value) and value.shape == ()):
                bound.arguments[name] = computed(value)
        if any(is_lazy(bound.arguments.get(name)) for name in images):
            return args, kwargs, self._from_lazy(bound)
        args, kwargs = bound.args, bound.kwargs
        wanted = self._wanted(bound.arguments.get(self._first))
        return args, kwargs, self._from_numpy(bound) if wanted else _DIRECT

    def _wanted(self, image: Any) -> bool:
        """Return whether a NumPy array goes to the engine."""
        if type(image) not in (np.ndarray, np.memmap) or not image.dtype.isnative:
            return False
        return TILING.get() is not None or (self._gains and image.size >= LEAST)

    def _from_numpy(self, bound: inspect.BoundArguments) -> Any:
        """Return the engine's result, or `_DIRECT` where it refuses."""
        mode = TILING.get() or Tiling("auto", None)
        image = bound.arguments[self._first]
        refused = None
        try:
            self._refuse_what_is_scikit_images(bound)
            if TILING.get() is None and not self._needs_neighbours(image, bound):
                return _DIRECT
            tiles = mode.tiles
            if callable(tiles):
                tiles = tiles(self.operation, self._spatial_shape(image, bound))
            result = self._apply(image, bound, tiles)
        except TilewiseError as error:
            result, refused = _DIRECT, error
        else:
            self._warn()
        if mode.told is not None:
            mode.told(self.operation.name, refused)
        return result

    def _refuse_what_is_scikit_images(self, bound: inspect.BoundArguments) -> None:
        """Leave arrays for the result and deprecated names to scikit-image, and what it warns of.

        A lazy image has nobody else: the engine takes what it can of them.
        """
        known = {self._first, *self.operation.specs, *EXECUTION}
        for name, value in bound.arguments.items():
            if name not in known and value is not self._default(name):
                raise UnknownParameter(
                    f"{self.operation.name}: {name!r} is left to scikit-image for NumPy images."
                )

    def _needs_neighbours(self, image: np.ndarray, bound: inspect.BoundArguments) -> bool:
        call = self.operation.call(image.shape, image.dtype, self._params(bound))
        return any(map(any, self.operation.halo_for_tiles(call)))

    def _spatial_shape(self, image: np.ndarray, bound: inspect.BoundArguments) -> tuple[int, ...]:
        name = self.operation.channel
        axis = None if name is None else bound.arguments.get(name, self._default(name))
        if not isinstance(axis, int):
            return image.shape
        return tuple(n for i, n in enumerate(image.shape) if i != axis % image.ndim)

    def _default(self, name: str) -> Any:
        return self._signature.parameters[name].default

    def _from_lazy(self, bound: inspect.BoundArguments) -> Any:
        self._warn()
        image = bound.arguments[self._first]
        if not is_lazy(image):
            import dask.array as da

            image = da.from_array(np.asarray(image), name=False)
        return self._apply(image, bound, "auto")

    def _warn(self) -> None:
        """Warn of what is deprecated, in scikit-image's words, which its docstring begins with."""
        text = (self.function.__doc__ or "").partition("**Deprecated:** ")[2]
        if self.operation.deprecated and text:
            warnings.warn(text.splitlines()[0], FutureWarning, stacklevel=4)

    def _apply(self, image: Any, bound: inspect.BoundArguments, tiles: Any) -> Any:
        from napari_tilewise.engine.apply import apply

        return apply(self.operation.name, image, tiles=tiles, **self._params(bound))

    def _params(self, bound: inspect.BoundArguments) -> dict[str, Any]:
        """Return the parameters as the operation takes them, with scikit-image's defaults."""
        operation = self.operation
        given = {name: value for name, value in bound.arguments.items() if name != self._first}
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                given |= given.pop(name, {})
        self._check_meaning(given)
        for name in operation.adapter.overrides:
            given.setdefault(name, self._default(name))
        return {
            name: value
            for name, value in given.items()
            if name in operation.specs or not self._needless(name, value)
        }

    def _needless(self, name: str, value: Any) -> bool:
        """Return whether a parameter that the operation does not have changes nothing."""
        if name in EXECUTION or name in self.operation.adapter.fixed:
            return True
        parameter = self._signature.parameters.get(name)
        return parameter is not None and value is parameter.default

    def _check_meaning(self, given: Mapping[str, Any]) -> None:
        """Refuse a call that means something else than the operation."""
        remedy = "If the image fits into memory, pass numpy.asarray(image)."
        if self.operation.adapter.pick is not None:
            raise InvalidParameter(
                f"{self.operation.name} returns several things, of which the operation makes only "
                f"one. {remedy}"
            )
        for name, value in self.operation.adapter.fixed.items():
            meant = given.get(name, self._default(name))
            if name not in EXECUTION and meant != value:
                raise InvalidParameter(
                    f"{self.operation.name}: {name}={meant!r} has no tiled form: expected "
                    f"{name}={value!r}. {remedy}"
                )


def _without_lazy(
    path: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with lazy scalars computed; refuse lazy arrays."""
    if path in SAFE or not (has_lazy(args) or has_lazy(kwargs.values())):
        return args, kwargs
    for value in (*args, *kwargs.values()):
        if is_lazy(value) and value.shape != ():
            reason = NOT_OPERATIONS.get(path, "")
            raise InvalidImage(
                f"skimage.{path} is not computed tile by tile{reason and f' ({reason})'}: it would "
                f"load {describe(value)}, {format_size(_bytes(value))}, into memory. If that fits, "
                "pass numpy.asarray(image)."
            )
    return tuple(map(computed, args)), {name: computed(v) for name, v in kwargs.items()}


def _bytes(array: Any) -> int:
    return int(np.prod([int(n) for n in array.shape]) * np.dtype(array.dtype).itemsize)
