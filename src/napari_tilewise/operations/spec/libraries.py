"""The libraries whose functions are operations, told apart by an operation's key.

A key is the dotted path of a function below `skimage`. Keys that begin with ``ndimage`` are the
functions of `scipy.ndimage`, and a few of NumPy's that images of any size need beside them; keys
that begin with ``numpy`` are NumPy's.
"""

from __future__ import annotations

from typing import NamedTuple


class Library(NamedTuple):
    """A library that has functions which are operations."""

    title: str
    """Its name in sentences."""
    package: str
    """The package, as Python names it."""
    home: str
    """The module below which its functions lie."""
    short_name: str
    """What scripts import that module as."""


SCIKIT_IMAGE = Library("scikit-image", "skimage", "skimage", "ski")
SCIPY = Library("SciPy", "scipy", "scipy.ndimage", "ndi")
NUMPY = Library("NumPy", "numpy", "numpy", "np")
NDIMAGE = "ndimage"
"""The first part of keys of functions that are not scikit-image's."""

NUMPY_FUNCTIONS = {
    "ndimage.percentile": "numpy.percentile",
    "ndimage.quantile": "numpy.quantile",
}
"""Operations beside SciPy's that are functions of NumPy."""


def library_of(name: str) -> Library:
    """Return the library of an operation.

    Parameters
    ----------
    name
        The operation's key.
    """
    if name in NUMPY_FUNCTIONS or name.partition(".")[0] == NUMPY.package:
        return NUMPY
    return SCIPY if name.partition(".")[0] == NDIMAGE else SCIKIT_IMAGE


def function_path(name: str) -> str:
    """Return the dotted path of an operation's function, such as ``skimage.filters.gaussian``.

    Parameters
    ----------
    name
        The operation's key.
    """
    if name.partition(".")[0] == NUMPY.package:
        return name
    return NUMPY_FUNCTIONS.get(name) or f"{library_of(name).package}.{name}"


def script_path(name: str) -> str:
    """Return an operation's function as scripts write it, such as ``ski.filters.gaussian``.

    Parameters
    ----------
    name
        The operation's key.
    """
    library = library_of(name)
    return library.short_name + function_path(name).removeprefix(library.home)
