"""Arrays on disk whose damage is noticed: a chunk that cannot be decoded is an error that names it.

Four faults are caught. Every exception of a decoder becomes `SourceUnreadable` with the name of
the source and the region. A Blosc chunk cut short, which the decoder reads past its end, giving
arbitrary pixels, is found by comparing its length with the length it declares. A mapped file that
was cut short since it was opened is found before it is read. And where a local Zarr has no chunk,
which stands for fill values, its metadata must still be there: else the Zarr itself is gone.
"""

from __future__ import annotations

import lzma
import os
import struct
import tokenize
import weakref
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.source_files import state_of
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.network import is_of_network, network_error
from napari_tilewise.types import native_dtype, with_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.types import Array, DType

DECODE_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    ArithmeticError,  # a length of zero
    AssertionError,
    SyntaxError,  # what Pillow raises for a broken PNG
    tokenize.TokenError,  # what NumPy raises for a broken header
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
"""The exceptions of decoders for damaged data."""


def show_region(key: object, shape: tuple[int, ...]) -> str:
    """Return a selection as text: ``[0:512, 512:1000]``.

    Parameters
    ----------
    key
        The selection, as given to ``__getitem__``.
    shape
        Shape of the array.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, slice) for part in parts):
        return f"[{', '.join(map(str, parts))}]"
    bounds = (part.indices(n) for part, n in zip(parts, shape, strict=False))
    return f"[{', '.join(f'{start}:{stop}' for start, stop, _ in bounds)}]"


def read_error(exc: BaseException, name: str, region: str = "") -> SourceUnreadable:
    """Return the error that says which region of which source could not be read.

    Parameters
    ----------
    exc
        The exception of the decoder.
    name
        The source, as the user named it.
    region
        The region, as `show_region` writes it.

    Raises
    ------
    SourceUnreadable
        When the exception is one already.
    """
    if isinstance(exc, SourceUnreadable):
        raise exc  # returned, it would become its own cause, which cannot be pickled
    subject = f"Region {region} of {name!r}" if region else f"{name!r}"
    if is_of_network(exc, name):
        return network_error(exc, subject)
    if isinstance(exc, FileNotFoundError):
        return SourceUnreadable(
            f"{subject} cannot be read: a file of it is missing ({exc}); expected all to stay "
            "until the end. Put it back, and start again."
        )
    reason = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    return SourceUnreadable(
        f"{subject} cannot be decoded ({reason}); expected intact pixel data, "
        "so restore the file from its original."
    )


class CheckedArray:
    """A read-only array on disk whose decoder's exceptions become `SourceUnreadable`.

    Parameters
    ----------
    array
        The array: `shape`, `dtype`, slicing and, where known, `chunks`.
    name
        The source, as the user named it.
    reopen
        Opens the array in another process, for arrays that cannot be pickled.
    close
        Called when the array is no longer used.
    waits
        Whether reading waits for a network rather than for this machine; None: unknown.
    files
        All the files of this machine that hold its pixels, which `reopen` opens; empty: unknown.
    """

    def __init__(
        self,
        array: Any,
        name: str,
        *,
        reopen: Callable[[], CheckedArray] | None = None,
        close: Callable[[], object] | None = None,
        waits: bool | None = False,
        files: Sequence[str] = (),
    ) -> None:
        self._array = array
        self._reopen = reopen
        self.files = tuple(files)
        self.state_when_opened = state_of(self.files)
        self.name = name
        self.waits = waits
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.dtype: DType = native_dtype(array.dtype)
        chunks = getattr(array, "chunks", None)
        self.chunks: tuple[int, ...] | None = None
        if chunks is not None:  # dask gives the length of every chunk along an axis
            self.chunks = tuple(max(c) if isinstance(c, tuple) else int(c) for c in chunks)
        if close is not None:
            weakref.finalize(self, close)

    @property
    def array(self) -> Any:
        """The array that is read."""
        return self._array

    @property
    def name_in_files(self) -> str | None:
        """Which array of its files it is; None where that is not known."""
        reopen = self._reopen
        if not (self.files and isinstance(reopen, partial)):
            return None
        return f"{reopen.func.__qualname__}{reopen.args!r}{reopen.keywords!r}"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, uncompressed."""
        return self.size * self.dtype.itemsize

    @property
    def undecoded_bytes(self) -> int:
        """Bytes that the first read takes where it decodes the whole image; 0 for tiled formats."""
        return int(getattr(self._array, "undecoded_bytes", 0))

    def __getitem__(self, key: Any) -> Array:
        try:
            block = np.asarray(self._read(key))
        except IndexError:
            raise  # the caller's own mistake
        except DECODE_ERRORS as exc:
            raise read_error(exc, self.name, show_region(key, self.shape)) from exc
        except MemoryError as exc:
            raise SourceUnreadable(
                f"Region {show_region(key, self.shape)} of {self.name!r} cannot be decoded: memory "
                "does not suffice for one of its chunks, whose length the file says; close other "
                "programs, or restore the file from its original if it is damaged."
            ) from exc
        except Exception as exc:
            if not is_of_network(exc, self.name):
                raise
            raise read_error(exc, self.name, show_region(key, self.shape)) from exc
        return with_dtype(block, self.dtype)

    def _read(self, key: Any) -> Any:
        return self._array[key]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        block = self[(slice(None),) * self.ndim]
        return block if dtype is None else block.astype(dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{self.name!r} {'x'.join(map(str, self.shape))} {self.dtype}>"

    def __reduce__(self) -> tuple[Callable[..., CheckedArray], tuple[Any, ...]]:
        if self._reopen is not None:
            return self._reopen, ()
        return partial(type(self), waits=self.waits), (self._array, self.name)


def check_length(path: str | os.PathLike[str], end: int) -> None:
    """Raise `EOFError` with both numbers if a file ends before its pixels.

    Parameters
    ----------
    path
        An existing file.
    end
        Where its pixels end, in bytes.
    """
    length = os.path.getsize(path)
    if length < end:
        raise EOFError(f"the file is {length} bytes long, its pixels end at byte {end}")


class CheckedMap:
    """A mapped file whose length is checked before each read: reading past its end is fatal.

    Parameters
    ----------
    pixels
        The map of a file.
    """

    def __init__(self, pixels: np.memmap[Any, Any]) -> None:
        if pixels.filename is None:
            raise ValueError("a map without a file")
        self._pixels = pixels
        self._path = pixels.filename
        self._end = pixels.offset + pixels.nbytes
        self.shape = pixels.shape
        self.dtype = pixels.dtype

    def __getitem__(self, key: Any) -> Array:
        check_length(self._path, self._end)
        # Copied at once: a view would read the file later, without the check.
        return np.array(self._pixels[key])
