"""The libraries' own words: functions, signatures, titles and tooltips by key."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import numpy as np
from docstring_parser import DocstringStyle, parse

from napari_tilewise.operations.spec.libraries import SCIKIT_IMAGE, function_path, library_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.types import AnyFunction

ACRONYMS = {
    "otsu": "Otsu", "yen": "Yen", "li": "Li", "sobel": "Sobel", "scharr": "Scharr",
    "prewitt": "Prewitt", "farid": "Farid", "roberts": "Roberts", "laplace": "Laplace",
    "sato": "Sato", "frangi": "Frangi", "meijering": "Meijering", "hessian": "Hessian",
    "niblack": "Niblack", "sauvola": "Sauvola", "canny": "Canny", "hog": "HOG",
    "gaussian": "Gaussian", "gaussians": "Gaussians", "nl": "non-local", "tv": "TV",
    "chambolle": "Chambolle", "multiotsu": "multi-Otsu",
    "isodata": "ISODATA", "hist": "histogram", "adapthist": "histogram, adaptive (CLAHE)",
    "tophat": "top-hat", "regionprops": "region properties,",
    "crofton": "(Crofton)", "euler": "Euler", "shannon": "Shannon", "pearson": "Pearson",
    "manders": "Manders", "corr": "correlation", "coloc": "colocalization",
    "coeff": "coefficient", "eigvals": "eigenvalues",
    "deltaE": "colour difference,", "cie76": "CIE 76", "ciede94": "CIEDE 94",
    "ciede2000": "CIEDE 2000", "cmc": "CMC l:c",
    "gabor": "Gabor", "butterworth": "Butterworth", "wiener": "Wiener", "lucy": "Lucy",
    "richardson": "Richardson", "bregman": "Bregman", "filter1d": "filter, 1-D",
    "img": "image", "bool": "binary", "ubyte": "8-bit", "uint": "16-bit", "int": "16-bit signed",
    "float": "float", "float32": "32-bit float", "float64": "64-bit float",
    "correlate1d": "correlate, 1-D", "convolve1d": "convolve, 1-D", "edt": "(EDT)", "cdt": "(CDT)",
}  # fmt: skip


SPACES = {
    "rgb": "RGB", "rgba": "RGBA", "rgbcie": "RGB CIE", "hsv": "HSV", "lab": "Lab", "lch": "LCh",
    "luv": "Luv", "xyz": "XYZ", "hed": "HED", "yuv": "YUV", "yiq": "YIQ", "ypbpr": "YPbPr",
    "ycbcr": "YCbCr", "ydbdr": "YDbDr", "gray": "gray", "label": "labels",
}  # fmt: skip
"""Colour spaces, which titles spell as ``RGB to Lab`` for ``rgb2lab``."""


UFUNC_OF_TWO = (
    Parameter("x1", Parameter.POSITIONAL_ONLY),
    Parameter("x2", Parameter.POSITIONAL_ONLY),
    Parameter("out", Parameter.POSITIONAL_OR_KEYWORD, default=None),
    *(
        Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in {
            "where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True,
            "signature": None,
        }.items()
    ),
)  # fmt: skip
"""The parameters of a ufunc of two arrays, which NumPy tells from 2.4 on."""


@cache
def resolve(name: str) -> AnyFunction:
    """Return the library's function from an operation's key."""
    module, _, function = function_path(name).rpartition(".")
    resolved: AnyFunction = getattr(import_module(module), function)
    return resolved


@cache
def signature(function: AnyFunction) -> Mapping[str, inspect.Parameter]:
    """Return the function's parameters by name."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        ufunc = inspect.unwrap(function)
        if not (isinstance(ufunc, np.ufunc) and ufunc.nin == 2):
            raise
        return {parameter.name: parameter for parameter in UFUNC_OF_TWO}


def title(name: str) -> str:
    """Return a readable name: ``filters.rank.median`` is ``Median (rank)``.

    Names of functions that are not scikit-image's end in their library's.
    """
    *modules, function = name.split(".")
    parts = [_word(word) for word in function.split("_")]
    text = " ".join(parts).rstrip(",")
    text = text[0].upper() + text[1:]
    library = library_of(name)
    if library is not SCIKIT_IMAGE:
        return f"{text} ({library.title})"
    return f"{text} (rank)" if "rank" in modules else text


def _word(word: str) -> str:
    source, _, target = word.partition("2")
    if source in SPACES and target in SPACES:
        return f"{SPACES[source]} to {SPACES[target]}"
    return ACRONYMS.get(word, word)


@cache
def _parsed(function: AnyFunction) -> Any:
    # scikit-image spells this heading with a small p, which the parser does not know.
    text = (inspect.getdoc(function) or "").replace("\nOther parameters\n", "\nOther Parameters\n")
    return parse(text, style=DocstringStyle.NUMPYDOC)


def summary(function: AnyFunction) -> str:
    """Return the docstring's first sentence on one line; a ufunc's begins with its signature."""
    parsed = _parsed(function)
    text = " ".join((parsed.short_description or "").split())
    if text.startswith(f"{getattr(function, '__name__', '')}("):
        text = " ".join((parsed.long_description or "").split("\n\n")[0].split())
    return text


@cache
def result_names(function: AnyFunction) -> tuple[str, ...]:
    """Return the names that the docstring gives the results, in order."""
    names = (item.return_name or "" for item in _parsed(function).many_returns)
    return tuple(part.strip() for name in names for part in name.split(","))


@cache
def parameter_texts(function: AnyFunction) -> Mapping[str, str]:
    """Return what the docstring says of each parameter."""
    texts = {}
    for item in _parsed(function).params:
        for name in item.arg_name.split(","):
            # Sphinx's notes (".. versionadded:: 0.18") stand at the end and mean nothing here.
            text = (item.description or "").split("\n.. ")[0]
            texts[name.strip()] = " ".join(text.split())
    return texts
