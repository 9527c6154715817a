"""Titles of operations that declare none: what the function's name says, spelled as people do."""

from __future__ import annotations

from napari_tilewise.operations.spec.libraries import SCIKIT_IMAGE, library_of

PATTERNS = {
    ("filters.threshold_", ""): "{} threshold",
    ("restoration.denoise_", ""): "{} denoising",
    ("exposure.adjust_", ""): "{} correction",
    ("filters.", "_h"): "{}, horizontal edges",
    ("filters.", "_v"): "{}, vertical edges",
    ("filters.rank.", "_percentile"): "{} between percentiles",
    ("filters.rank.", "_bilateral"): "bilateral {}",
}
"""Titles by what keys begin and end with, around the part between."""

SPELLINGS = {
    "otsu": "Otsu", "yen": "Yen", "li": "Li", "sobel": "Sobel", "scharr": "Scharr",
    "prewitt": "Prewitt", "farid": "Farid", "roberts": "Roberts", "laplace": "Laplace",
    "sato": "Sato", "frangi": "Frangi", "meijering": "Meijering", "hessian": "Hessian",
    "niblack": "Niblack", "sauvola": "Sauvola", "gaussian": "Gaussian", "gaussians": "Gaussians",
    "multiotsu": "multi-Otsu", "isodata": "ISODATA", "pop": "population",
    "hist": "histogram", "adapthist": "histogram, adaptive (CLAHE)",
    "tophat": "top-hat", "regionprops": "region properties,",
    "crofton": "(Crofton)", "euler": "Euler", "shannon": "Shannon", "pearson": "Pearson",
    "manders": "Manders", "corr": "correlation", "coloc": "colocalization",
    "coeff": "coefficient", "eigvals": "eigenvalues",
    "deltaE": "colour difference,", "cie76": "CIE 76", "ciede94": "CIEDE 94",
    "ciede2000": "CIEDE 2000", "cmc": "CMC l:c",
    "gabor": "Gabor", "butterworth": "Butterworth", "filter1d": "filter, 1-D",
    "img": "image", "bool": "binary", "ubyte": "8-bit", "uint": "16-bit", "int": "16-bit signed",
    "float": "float", "float32": "32-bit float", "float64": "64-bit float",
    "correlate1d": "correlate, 1-D", "convolve1d": "convolve, 1-D",
}  # fmt: skip
"""The words of the other names that are not spelled as they are."""

SPACES = {
    "rgb": "RGB", "rgba": "RGBA", "rgbcie": "RGB CIE", "hsv": "HSV", "lab": "Lab", "lch": "LCh",
    "luv": "Luv", "xyz": "XYZ", "hed": "HED", "yuv": "YUV", "yiq": "YIQ", "ypbpr": "YPbPr",
    "ycbcr": "YCbCr", "ydbdr": "YDbDr", "gray": "gray", "label": "labels",
}  # fmt: skip
"""Colour spaces, which titles spell as ``RGB to Lab`` for ``rgb2lab``."""


def usual_title(key: str) -> str:
    """Return a readable name: ``filters.rank.median`` is ``Median (rank)``.

    Names of functions that are not scikit-image's end in their library's.

    Parameters
    ----------
    key
        The operation's key.
    """
    library = library_of(key)
    text = _patterned(key)
    if library is not SCIKIT_IMAGE:
        return f"{text} ({library.title})"
    return f"{text} (rank)" if "rank" in key.split(".") else text


def _patterned(key: str) -> str:
    function, pattern = key.rpartition(".")[2], "{}"
    for (start, end), candidate in PATTERNS.items():
        between = key.removeprefix(start).removesuffix(end)
        if key == f"{start}{between}{end}":
            function, pattern = between, candidate
            break
    text = pattern.format(" ".join(_word(word) for word in function.split("_")).rstrip(","))
    return text[0].upper() + text[1:]


def _word(word: str) -> str:
    source, _, target = word.partition("2")
    if source in SPACES and target in SPACES:
        return f"{SPACES[source]} to {SPACES[target]}"
    return SPELLINGS.get(word, word)
