"""Reading ``.npy``: the file is mapped into memory; it holds pixels and nothing else."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.readers.checked_arrays import (
    DECODE_ERRORS,
    CheckedArray,
    CheckedMap,
    check_length,
    read_error,
)

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".npy",)
"""Suffixes of files of this format."""
MAGIC = b"\x93NUMPY"
"""The first bytes of the file."""


def open_npy(path: Path, name: str) -> Image:
    """Open a ``.npy`` without reading it.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    """
    try:
        data = _open_mapped(str(path), name)
    except DECODE_ERRORS as exc:
        if "Python objects" in str(exc):
            raise SourceUnreadable(
                f"{name!r} holds Python objects, which are not read, as reading them runs code; "
                "expected numbers: save the array with a data type of numbers."
            ) from exc
        raise read_error(exc, name) from exc
    return bare(data, name, "npy")


def _open_mapped(path: str, name: str) -> CheckedArray:
    check_length(path, _end(path))
    pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    reopen = partial(_open_mapped, path, name)
    return CheckedArray(CheckedMap(pixels), name, reopen=reopen, files=[path])


def _end(path: str) -> int:
    """Return where the pixels end, as the header says; 0 for objects, which NumPy refuses."""
    with open(path, "rb") as file:
        is_first = np.lib.format.read_magic(file) == (1, 0)
        read = (
            np.lib.format.read_array_header_1_0
            if is_first
            else (np.lib.format.read_array_header_2_0)
        )
        shape, _, dtype = read(file)
        return 0 if dtype.hasobject else file.tell() + prod(shape) * dtype.itemsize
