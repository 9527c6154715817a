"""The titles of operations: what a person would call them, where the function's name is not it."""

from __future__ import annotations

from napari_tilewise.operations.spec.libraries import SCIKIT_IMAGE, library_of

TITLES = {
    "filters.apply_hysteresis_threshold": "Hysteresis threshold",
    "filters.correlate_sparse": "Sparse correlation",
    "filters.filter_forward": "Linear filter",
    "filters.filter_inverse": "Inverse linear filter",
    "filters.roberts_neg_diag": "Roberts, negative diagonal",
    "filters.roberts_pos_diag": "Roberts, positive diagonal",
    "filters.wiener": "Wiener filter",
    "filters.rank.modal": "Mode (rank)",
    "filters.rank.otsu": "Otsu threshold (rank)",
    "filters.rank.pop": "Population (rank)",
    "filters.rank.threshold_percentile": "Threshold at a percentile (rank)",
    "exposure.adjust_log": "Logarithmic correction",
    "exposure.is_low_contrast": "Check for low contrast",
    "morphology.convex_hull_image": "Convex hull",
    "morphology.convex_hull_object": "Convex hull of each object",
    "morphology.h_maxima": "H-maxima",
    "morphology.h_minima": "H-minima",
    "morphology.max_tree": "Max-tree",
    "morphology.max_tree_local_maxima": "Local maxima (max-tree)",
    "morphology.reconstruction": "Morphological reconstruction",
    "morphology.thin": "Thinning",
    "measure.moments_central": "Central moments",
    "measure.profile_line": "Line profile",
    "segmentation.chan_vese": "Chan-Vese segmentation",
    "segmentation.felzenszwalb": "Felzenszwalb segmentation",
    "segmentation.morphological_chan_vese": "Morphological Chan-Vese segmentation",
    "segmentation.quickshift": "Quickshift segmentation",
    "segmentation.slic": "SLIC superpixels",
    "restoration.cycle_spin": "Cycle spinning",
    "restoration.denoise_invariant": "J-invariant denoising",
    "restoration.denoise_nl_means": "Non-local means denoising",
    "restoration.denoise_tv_bregman": "Total variation denoising (Bregman)",
    "restoration.denoise_tv_chambolle": "Total variation denoising (Chambolle)",
    "restoration.estimate_sigma": "Noise estimate",
    "restoration.inpaint_biharmonic": "Biharmonic inpainting",
    "restoration.richardson_lucy": "Richardson-Lucy deconvolution",
    "restoration.unsupervised_wiener": "Unsupervised Wiener deconvolution",
    "restoration.wiener": "Wiener deconvolution",
    "feature.blob_dog": "Blobs (difference of Gaussians)",
    "feature.blob_doh": "Blobs (determinant of Hessian)",
    "feature.blob_log": "Blobs (Laplacian of Gaussian)",
    "feature.canny": "Canny edges",
    "feature.corner_fast": "FAST corners",
    "feature.corner_foerstner": "Foerstner corners",
    "feature.corner_harris": "Harris corners",
    "feature.corner_kitchen_rosenfeld": "Kitchen-Rosenfeld corners",
    "feature.corner_moravec": "Moravec corners",
    "feature.corner_shi_tomasi": "Shi-Tomasi corners",
    "feature.corner_subpix": "Subpixel corners",
    "feature.daisy": "DAISY descriptors",
    "feature.graycomatrix": "Gray-level co-occurrence matrix (GLCM)",
    "feature.hessian_matrix_det": "Determinant of Hessian",
    "feature.hog": "Histogram of oriented gradients (HOG)",
    "feature.peak_local_max": "Peaks (local maxima)",
    "transform.downscale_local_mean": "Downscale by local mean",
    "transform.frt2": "Finite Radon transform",
    "transform.hough_circle": "Hough transform (circles)",
    "transform.hough_circle_peaks": "Hough transform, peaks of circles",
    "transform.hough_ellipse": "Hough transform (ellipses)",
    "transform.hough_line": "Hough transform (lines)",
    "transform.hough_line_peaks": "Hough transform, peaks of lines",
    "transform.ifrt2": "Inverse finite Radon transform",
    "transform.integrate": "Sums of windows",
    "transform.iradon": "Inverse Radon transform",
    "transform.iradon_sart": "Inverse Radon transform (SART)",
    "transform.probabilistic_hough_line": "Probabilistic Hough transform (lines)",
    "transform.pyramid_gaussian": "Gaussian pyramid",
    "transform.pyramid_laplacian": "Laplacian pyramid",
    "transform.radon": "Radon transform",
    "transform.resize_local_mean": "Resize by local mean",
    "transform.warp_polar": "Polar coordinates",
    "color.convert_colorspace": "Convert colour space",
    "util.map_array": "Map values",
    "ndimage.binary_fill_holes": "Fill holes",
    "ndimage.distance_transform_cdt": "Distance transform, chamfer",
    "ndimage.distance_transform_edt": "Distance transform, Euclidean",
    "ndimage.gaussian_laplace": "Laplacian of Gaussian",
    "ndimage.sum_labels": "Sum of labels",
    "numpy.max": "Maximum value",
    "numpy.maximum": "Maximum of two images",
    "numpy.min": "Minimum value",
    "numpy.minimum": "Minimum of two images",
    "numpy.std": "Standard deviation",
    "numpy.take": "Take along an axis",
    "numpy.where": "Choose where",
}
"""Titles by key that follow no rule, without the library's name."""

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


def title(key: str) -> str:
    """Return a readable name: ``filters.rank.median`` is ``Median (rank)``.

    Names of functions that are not scikit-image's end in their library's.

    Parameters
    ----------
    key
        The operation's key.
    """
    library = library_of(key)
    text = TITLES.get(key) or _patterned(key)
    if library is not SCIKIT_IMAGE:
        return f"{text} ({library.title})"
    return f"{text} (rank)" if "rank" in key.split(".") and key not in TITLES else text


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
