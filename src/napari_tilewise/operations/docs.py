"""scikit-image's own words: functions, signatures, titles and tooltips by dotted path."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from docstring_parser import DocstringStyle, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACRONYMS = {
    "otsu": "Otsu", "yen": "Yen", "li": "Li", "sobel": "Sobel", "scharr": "Scharr",
    "prewitt": "Prewitt", "farid": "Farid", "roberts": "Roberts", "laplace": "Laplace",
    "sato": "Sato", "frangi": "Frangi", "meijering": "Meijering", "hessian": "Hessian",
    "niblack": "Niblack", "sauvola": "Sauvola", "canny": "Canny", "hog": "HOG",
    "gaussian": "Gaussian", "gaussians": "Gaussians", "nl": "non-local", "tv": "TV",
    "chambolle": "Chambolle", "rgb2gray": "RGB to gray", "multiotsu": "multi-Otsu",
    "isodata": "ISODATA", "hist": "histogram", "adapthist": "histogram, adaptive (CLAHE)",
    "tophat": "top-hat", "regionprops": "region properties,",
}  # fmt: skip


@cache
def resolve(name: str) -> Callable[..., Any]:
    """Return scikit-image's function from its dotted path below `skimage`."""
    module, _, function = name.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(f"skimage.{module}"), function)
    return found


@cache
def signature(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the function's parameters by name."""
    return inspect.signature(function).parameters


def title(name: str) -> str:
    """Return a readable name: ``filters.rank.median`` is ``Median (rank)``."""
    *modules, function = name.split(".")
    words = [ACRONYMS.get(word, word) for word in function.split("_")]
    text = " ".join(words)
    text = text[0].upper() + text[1:]
    return f"{text} (rank)" if "rank" in modules else text


@cache
def _parsed(function: Callable[..., Any]) -> Any:
    # scikit-image spells this heading with a small p, which the parser does not know.
    text = (inspect.getdoc(function) or "").replace("\nOther parameters\n", "\nOther Parameters\n")
    return parse(text, style=DocstringStyle.NUMPYDOC)


def summary(function: Callable[..., Any]) -> str:
    """Return the docstring's first sentence on one line."""
    return " ".join((_parsed(function).short_description or "").split())


@cache
def parameter_texts(function: Callable[..., Any]) -> Mapping[str, str]:
    """Return what the docstring says of each parameter."""
    texts = {}
    for item in _parsed(function).params:
        for name in item.arg_name.split(","):
            # Sphinx's notes (".. versionadded:: 0.18") stand at the end and mean nothing here.
            text = (item.description or "").split("\n.. ")[0]
            texts[name.strip()] = " ".join(text.split())
    return texts
