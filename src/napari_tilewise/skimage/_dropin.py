"""The drop-in of a library's function takes the same call, and also images of any size.

The library is scikit-image or `scipy.ndimage`. For a NumPy array the drop-in returns exactly its
result: from the tiled engine if that is equal bit for bit and faster, otherwise from it, with the
same arguments. Calls that the engine refuses also go to the library, which returns a result or
raises its own error. A lazy image (dask, Zarr, anything with `shape`, `dtype` and slicing) always
goes to the engine.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.errors import InvalidImage, InvalidParameter, TilewiseError, UnknownParameter
from napari_tilewise.operations import BUILT_IN
from napari_tilewise.operations.not_operations import NOT_OPERATIONS
from napari_tilewise.operations.spec.docstrings import resolve
from napari_tilewise.operations.spec.libraries import (
    NDIMAGE,
    SCIKIT_IMAGE,
    SCIPY,
    function_path,
    library_of,
)
from napari_tilewise.operations.spec.operation import Exactness, Kind, Operation
from napari_tilewise.sizes import format_size
from napari_tilewise.skimage._lazy import (
    computed,
    describe,
    has_lazy,
    is_lazy,
    is_named_in_memory,
    lazy_arrays,
)
from napari_tilewise.skimage._tiling import TILING, Tiling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MIN_PIXELS = 2**21
"""Minimum number of pixels for which tiles in threads are faster than the overhead of tiling."""

FASTER_KINDS = frozenset({Kind.NEIGHBOURHOOD, Kind.STATISTIC})
"""Kinds that are faster in tiles if a tile needs neighbours: the work then outweighs the overhead
of tiles and of statistics computed first. Without neighbours, scikit-image is faster."""

EXECUTION = frozenset({"workers", "num_workers"})
"""Parameters that change only how scikit-image computes; the engine has its own workers."""

SAFE_FUNCTIONS = frozenset({"util.dtype_limits", "util.apply_parallel"})
"""Functions without an operation that read no pixels of a lazy image, or support it."""

WORKING_COPIES = 16
"""How many times an image's own size a function without an operation is taken to need: some images
in double precision, made of small integers."""

_DIRECT = object()


@functools.cache
def dropin(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the drop-in of a library's function, whatever the path it was found under.

    Parameters
    ----------
    function
        The function.
    """
    key = next((key for key in _keys(function.__name__) if resolve(key) is function), None)
    return guarded(function) if key is None else tiled(BUILT_IN[key])


def _keys(name: str) -> Iterator[str]:
    return (key for key in BUILT_IN if key.rpartition(".")[2] == name)


def tiled(operation: Operation) -> Callable[..., Any]:
    """Return the drop-in of an operation.

    Parameters
    ----------
    operation
        An operation of a library.
    """
    route = _Route(operation)
    function = route.function

    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs, result = route(args, kwargs)
        return function(*args, **kwargs) if result is _DIRECT else result

    wrapped = functools.wraps(function)(_hidden_from_warnings(call))
    home = "skimage." if library_of(operation.name) is SCIKIT_IMAGE else ""
    wrapped.__module__ = f"napari_tilewise.{home}{operation.category}"
    wrapped.__doc__ = add_note(function, tiling_note(operation))
    return wrapped


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is not an operation, guarded against lazy images beyond the memory.

    Parameters
    ----------
    function
        scikit-image's function.
    """
    module = public_module(function)
    home = module.removeprefix("napari_tilewise.").removeprefix(SCIKIT_IMAGE.home)
    path = f"{home}.{function.__name__}".lstrip(".")

    def passed_on(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _computed_arguments(path, args, kwargs)
        return function(*args, **kwargs)

    wrapped = functools.wraps(function)(_hidden_from_warnings(passed_on))
    wrapped.__module__ = module
    return wrapped


def public_module(function: Callable[..., Any]) -> str:
    """Return the name of the outermost module of the drop-in that has a function.

    Parameters
    ----------
    function
        A library's function.
    """
    if function.__module__.startswith(f"{SCIPY.home}."):
        return f"napari_tilewise.{NDIMAGE}"
    parts = function.__module__.split(".")
    homes = (".".join(parts[:depth]) for depth in range(2, len(parts) + 1))
    name = function.__name__
    home = next(home for home in homes if getattr(import_module(home), name, None) is function)
    return f"napari_tilewise.{home}"


def _hidden_from_warnings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hide a function's frame from `warnings.warn`, so that warnings point to the user's line.

    scikit-image counts the frames between its warnings and the line that called it. `warnings`
    skips frames of the import system, which it recognises by their file names.
    """
    code = function.__code__
    name = f"{code.co_filename} (importlib._bootstrap)"
    function.__code__ = code.replace(co_filename=name)
    return function


def tiling_note(operation: Operation) -> str:
    """Return a paragraph for the docstring: memory, laziness and exactness of an operation.

    Parameters
    ----------
    operation
        An operation of scikit-image.
    """
    library = library_of(operation.name).title
    exactness = {
        Exactness.IDENTICAL: f"bit for bit {library}'s on the whole image",
        Exactness.CLOSE: f"{library}'s on the whole image within {operation.tolerance:g}",
        Exactness.APPROXIMATE: f"close to {library}'s on the whole image, not equal",
    }[operation.exactness]
    if operation.output.is_image or operation.output.value == "scalar":
        laziness = "a lazy dask array"
    else:
        laziness = "computed at once"
    memory = {
        Kind.WHOLE: "needs the whole image in memory",
    }.get(operation.kind, f"is computed tile by tile ({operation.kind})")
    return (
        f"napari-tilewise: a dask, Zarr or other lazy image {memory}; the result is {laziness}, "
        f"{exactness}. From a NumPy array it is exactly {library}'s."
    )


def add_note(function: Callable[..., Any], paragraph: str) -> str:
    """Return a function's docstring with a paragraph before its sections.

    Parameters
    ----------
    function
        A library's function.
    paragraph
        The paragraph, on one line.
    """
    lines = (inspect.getdoc(function) or "").splitlines()
    heads = (i for i in range(1, len(lines)) if set(lines[i].strip()) == {"-"})
    index = next(heads, len(lines) + 1) - 1
    head = "\n".join(lines[:index]).rstrip()
    return "\n\n".join(part for part in (head, paragraph, "\n".join(lines[index:])) if part)


class _Route:
    """Decides who computes a call: the engine or the library."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.function = resolve(operation.name)
        self._signature = inspect.signature(self.function)
        self._first = next(iter(self._signature.parameters))
        self._is_faster = (
            operation.exactness is Exactness.IDENTICAL
            and operation.kind in FASTER_KINDS
            and not operation.deprecated
        )

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """Return the arguments for the library, and the engine's result or `_DIRECT`."""
        image = args[0] if args else kwargs.get(self._first)
        lazy = has_lazy(args) or has_lazy(kwargs.values())
        if not lazy and not self._uses_engine(image) and not self.operation.accuracy.deviations:
            return args, kwargs, _DIRECT
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return args, kwargs, _DIRECT  # the library raises its own error
        if not lazy:
            if self._deviates(image, bound):
                return args, kwargs, self._apply(image, bound, "auto")
            if not self._uses_engine(image):
                return args, kwargs, _DIRECT
            return args, kwargs, self._from_numpy(bound)
        images = {self._first, *self.operation.images}
        for name, value in bound.arguments.items():
            is_scalar = is_lazy(value) and value.shape == ()
            # What is in memory beside a NumPy image gives a NumPy result.
            beside = name != self._first and not is_lazy(image) and is_named_in_memory(value)
            if name not in images or is_scalar or beside:
                bound.arguments[name] = computed(value)
        if any(is_lazy(bound.arguments.get(name)) for name in images):
            return args, kwargs, self._from_lazy(bound)
        args, kwargs = bound.args, bound.kwargs
        uses_engine = self._uses_engine(bound.arguments.get(self._first))
        return args, kwargs, self._from_numpy(bound) if uses_engine else _DIRECT

    def _deviates(self, image: Any, bound: inspect.BoundArguments) -> bool:
        """Return whether the library's own answer to a call is not a function of its input."""
        deviations = self.operation.accuracy.deviations
        if not deviations or type(image) not in (np.ndarray, np.memmap):
            return False
        defaults = {name: self._default(name) for name in self.operation.specs}
        params = defaults | dict(bound.arguments)
        return any(item.applies(image, params) for item in deviations)

    def _uses_engine(self, image: Any) -> bool:
        """Return whether a NumPy array goes to the engine."""
        if type(image) not in (np.ndarray, np.memmap) or not image.dtype.isnative:
            return False
        return TILING.get() is not None or (self._is_faster and image.size >= MIN_PIXELS)

    def _from_numpy(self, bound: inspect.BoundArguments) -> Any:
        """Return the engine's result, or `_DIRECT` if it refuses the call."""
        mode = TILING.get() or Tiling("auto", None)
        image = bound.arguments[self._first]
        refused = None
        try:
            self._check_supported(bound)
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
        if mode.callback is not None:
            mode.callback(self.operation.name, refused)
        return result

    def _check_supported(self, bound: inspect.BoundArguments) -> None:
        """Refuse output arrays and deprecated names, which the library itself handles.

        For lazy images there is no alternative: the engine takes all arguments that it supports.
        """
        names = {self._first, *self.operation.specs, *EXECUTION}
        for name, value in bound.arguments.items():
            if name not in names and value is not self._default(name):
                raise UnknownParameter(
                    f"{self.operation.name}: for NumPy images, the library handles {name!r}."
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
        """Warn that the function is deprecated, with the sentence of scikit-image's docstring."""
        text = (self.function.__doc__ or "").partition("**Deprecated:** ")[2]
        if self.operation.deprecated and text:
            warnings.warn(text.splitlines()[0], FutureWarning, stacklevel=4)

    def _apply(self, image: Any, bound: inspect.BoundArguments, tiles: Any) -> Any:
        from napari_tilewise.engine.apply import apply

        return apply(self.operation.name, image, tiles=tiles, **self._params(bound))

    def _params(self, bound: inspect.BoundArguments) -> dict[str, Any]:
        """Return the operation's parameters, with the library's defaults."""
        operation = self.operation
        params = {name: value for name, value in bound.arguments.items() if name != self._first}
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                params |= params.pop(name, {})
        self._check_form(params)
        for name in operation.adapter.overrides:
            params.setdefault(name, self._default(name))
        return {
            name: value
            for name, value in params.items()
            if name in operation.specs or not self._has_no_effect(name, value)
        }

    def _has_no_effect(self, name: str, value: Any) -> bool:
        """Return whether a parameter that the operation does not have is without effect."""
        if name in EXECUTION or name in self.operation.adapter.fixed:
            return True
        parameter = self._signature.parameters.get(name)
        return parameter is not None and value is parameter.default

    def _check_form(self, params: Mapping[str, Any]) -> None:
        """Refuse a form of the call that the operation does not compute."""
        remedy = "If the image fits into memory, pass numpy.asarray(image)."
        if self.operation.adapter.pick is not None:
            raise InvalidParameter(
                f"{self.operation.name} returns several results, of which the operation computes "
                f"only one. {remedy}"
            )
        for name, value in self.operation.adapter.fixed.items():
            explicit = params.get(name, self._default(name))
            if name not in EXECUTION and explicit != value:
                raise InvalidParameter(
                    f"{self.operation.name}: {name}={explicit!r} has no tiled form: expected "
                    f"{name}={value!r}. {remedy}"
                )


def _computed_arguments(
    path: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with lazy arrays computed; refuse those that do not fit into memory."""
    if path in SAFE_FUNCTIONS or not (has_lazy(args) or has_lazy(kwargs.values())):
        return args, kwargs
    arrays = [array for value in (*args, *kwargs.values()) for array in lazy_arrays(value)]
    size = sum(map(_nbytes, arrays))
    available = available_memory()
    if size * WORKING_COPIES > available:
        reason = NOT_OPERATIONS.get(path, "")
        reason = reason and f" ({reason})"
        raise InvalidImage(
            f"{function_path(path)} is not computed tile by tile{reason}: it would load "
            f"{describe(max(arrays, key=_nbytes))}, {format_size(size)} in all, and needs about "
            f"{WORKING_COPIES} times as much: expected arrays of "
            f"{format_size(available // WORKING_COPIES)} or less on this machine now. If it fits "
            "all the same, pass numpy.asarray(image)."
        )
    return tuple(map(computed, args)), {name: computed(v) for name, v in kwargs.items()}


def _nbytes(array: Any) -> int:
    return int(np.prod([int(n) for n in array.shape]) * np.dtype(array.dtype).itemsize)
