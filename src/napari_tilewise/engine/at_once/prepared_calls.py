"""Calls that differ from an earlier one in their pixels only, on small images in memory.

What the earlier call was bound to is found by its name, shape, data type and parameters. Nothing
else decides about it: operations of users, whose code may change, are not prepared. Calls like the
latest one of their operation are recognized by comparing them with it, which costs least: after a
function that fills the processor's caches every step takes several times as long as in a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from napari_tilewise.operations.spec.operation import Call
    from napari_tilewise.types import Array, DType, Parameters, Value

PLAIN = frozenset({int, float, str, bool, type(None)})
"""Types of parameters that cannot be written into, and whose texts tell their values."""
FEW_BYTES = 2**12
"""Of an array, such as a footprint, by whose items a call is found again."""
FEW_ITEMS = 64
"""Of a list."""
NO_NAMES: frozenset[str] = frozenset()
MOST = 256
"""Calls that are prepared at a time."""

Run: TypeAlias = "Callable[[Array, Parameters], tuple[Value] | None]"
"""Computes the result of an image and of the further ones; None where the longer way is to."""


class _Prepared(NamedTuple):
    run: Run
    dtype: DType
    """The image's data type; another that is equal, such as C's ``long long``, is not it."""


class _ArrayForm(NamedTuple):
    """What an array has to have in common with the one of an earlier call."""

    shape: tuple[int, ...]
    dtype: DType
    items: bytes | None
    """None for a further image, whose pixels may be others."""


class _Latest(NamedTuple):
    """The call of an operation that was prepared or repeated most recently."""

    shape: tuple[int, ...]
    dtype: DType
    values: dict[str, Value]
    """Those that are plain, by which they are recognized as the same objects; forms of arrays."""
    run: Run


_latest: dict[str, _Latest] = {}
_prepared: dict[tuple[str, tuple[int, ...], DType, Hashable], _Prepared] = {}
_images: dict[str, frozenset[str]] = {}
"""Names of the parameters of each operation that were further images of a prepared call."""


def computed_as_before(name: str, image: Array, params: Parameters) -> tuple[Value] | None:
    """Return the result of a call in a tuple; None where it is not prepared, or tiles say why not.

    Parameters
    ----------
    name
        The operation's key.
    image
        All its axes are spatial, or the channels.
    params
        The operation's parameters, not yet checked.
    """
    latest = _latest.get(name)
    run = None if latest is None else _run_of(latest, image, params)
    if run is None:
        run = _earlier_run(name, image, params)
        if run is None:
            return None
    try:
        return run(image, params)
    except TilewiseError:
        raise
    except Exception:  # noqa: BLE001 - the longer way says what is wrong, in the operation's words
        return None


def _run_of(latest: _Latest, image: Array, params: Parameters) -> Run | None:
    """Return what computes the result, if a call is the latest one with other pixels."""
    shape, dtype, values, run = latest
    if image.dtype is not dtype or image.shape != shape or len(params) != len(values):
        return None
    if not image.flags.c_contiguous:
        return None
    for name, value in params.items():
        if name not in values:
            return None
        before = values[name]
        if value is before:
            continue  # nothing that is plain can be written into
        kind = type(value)
        if kind is not np.ndarray:
            # 0.0 and -0.0 are equal; other equal numbers of a type, or texts, are the same.
            if kind is not type(before) or kind not in PLAIN or not value or value != before:
                return None
        elif type(before) is not _ArrayForm:
            return None
        else:
            shape, dtype, items = before
            if value.dtype is not dtype or value.shape != shape or not value.flags.c_contiguous:
                return None
            if items is not None and value.tobytes() != items:
                return None
    return run


def _earlier_run(name: str, image: Array, params: Parameters) -> Run | None:
    """Return what computes the result, if any call before was alike, which is the latest then."""
    images = _images.get(name, NO_NAMES)
    key = _key(params, images)
    if key is None:
        return None
    prepared = _prepared.get((name, image.shape, image.dtype, key))
    if prepared is None or image.dtype is not prepared.dtype or not image.flags.c_contiguous:
        return None
    _set_latest(name, image.shape, prepared, params, images)
    return prepared.run


def _set_latest(
    name: str,
    shape: tuple[int, ...],
    prepared: _Prepared,
    params: Parameters,
    images: frozenset[str],
) -> None:
    """Let later calls be compared with this one, unless a list among its parameters may change."""
    if any(type(value) is list for value in params.values()):
        return
    values = {
        key: _array_form(value, key in images) if type(value) is np.ndarray else value
        for key, value in params.items()
    }
    _latest[name] = _Latest(shape, prepared.dtype, values, prepared.run)


def _array_form(array: Array, is_image: bool) -> _ArrayForm:
    return _ArrayForm(array.shape, array.dtype, None if is_image else array.tobytes())


def prepare_call(call: Call, params: Parameters, further: Sequence[str], run: Run) -> None:
    """Prepare calls of the same name, shape, data type and parameters; none where those are long.

    Parameters
    ----------
    call
        The bound operation.
    params
        Its parameters, as they were passed.
    further
        Names of those that are further images, of which later calls have others of the same shape
        and data type. Other arrays are found again by their items.
    run
        Computes the result of contiguous images.
    """
    name = call.operation.name
    images = _images.get(name, NO_NAMES).union(further)
    if any(type(params.get(key)) is np.ndarray for key in images.difference(further)):
        return  # an image at other times: its form would not tell it from another array
    key = _key(params, images)
    if key is None:
        return
    if len(_prepared) >= MOST:
        _prepared.clear()
    _images[name] = images
    prepared = _prepared[name, call.shape, call.dtype, key] = _Prepared(run, call.dtype)
    _set_latest(name, call.shape, prepared, params, images)


def is_plain(value: Any) -> bool:
    """Return whether a parameter cannot be written into, and its text tells its value.

    Parameters
    ----------
    value
        As it was passed.
    """
    kind = type(value)
    return kind in PLAIN or (kind is tuple and all(map(is_plain, value)))


def is_plain_list(value: Any) -> bool:
    """Return whether a parameter is a short list whose text tells its items.

    Parameters
    ----------
    value
        As it was passed.
    """
    return type(value) is list and len(value) <= FEW_ITEMS and all(map(is_plain, value))


def _key(params: Parameters, images: frozenset[str]) -> Hashable | None:
    """Return what other parameters do not have; None where that is not short.

    1, 1.0 and True are equal, and 0.0 and -0.0 are: their texts are not.
    """
    if not params:
        return ""
    if PLAIN.issuperset(map(type, params.values())) or all(map(is_plain, params.values())):
        return repr(params)
    parts: list[Hashable] = []
    for name, value in params.items():
        part = _part(value, name in images)
        if part is None:
            return None
        parts += (name, part)
    return tuple(parts)


def _part(value: Value, is_image: bool) -> Hashable | None:
    """Return what stands for a parameter in a key: for an image, its form."""
    if type(value) is not np.ndarray:
        return repr(value) if is_plain(value) or is_plain_list(value) else None
    if not value.flags.c_contiguous:
        return None
    dtype = value.dtype
    if is_image:
        return dtype.byteorder, dtype.char, value.shape
    if value.nbytes > FEW_BYTES or dtype.kind not in "buif":
        return None
    return dtype.byteorder, dtype.char, value.shape, value.tobytes()
