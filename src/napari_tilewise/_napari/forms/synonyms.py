"""Other names of operations: those of ImageJ's and Fiji's menus, and everyday words.

The first operation of each line comes first in a search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SYNONYMS: dict[str, tuple[str, ...]] = {
    "blur": (
        "filters.gaussian",
        "filters.rank.mean",
        "ndimage.gaussian_filter",
        "ndimage.uniform_filter",
    ),
    "smooth": (
        "filters.gaussian",
        "filters.median",
        "filters.rank.mean",
        "restoration.denoise_bilateral",
    ),
    "gaussian blur": ("filters.gaussian",),
    "mean": ("filters.rank.mean", "ndimage.uniform_filter"),
    "box filter": ("ndimage.uniform_filter", "filters.rank.mean"),
    "despeckle": ("filters.median",),
    "remove outliers": ("filters.median",),
    "noise reduction": (
        "restoration.denoise_nl_means",
        "filters.median",
        "restoration.denoise_tv_chambolle",
    ),
    "denoise": ("filters.median", "filters.gaussian"),
    "sharpen": ("filters.unsharp_mask",),
    "unsharp": ("filters.unsharp_mask",),
    "find edges": ("filters.sobel", "feature.canny"),
    "edge detection": ("filters.sobel", "feature.canny", "filters.scharr"),
    "minimum": ("morphology.erosion", "ndimage.minimum_filter"),
    "maximum": ("morphology.dilation", "ndimage.maximum_filter"),
    "erode": ("morphology.erosion", "morphology.isotropic_erosion", "morphology.binary_erosion"),
    "dilate": (
        "morphology.dilation",
        "morphology.isotropic_dilation",
        "morphology.binary_dilation",
    ),
    "open": ("morphology.opening",),
    "close": ("morphology.closing",),
    "fill holes": ("ndimage.binary_fill_holes", "morphology.remove_small_holes"),
    "skeleton": ("morphology.skeletonize", "morphology.medial_axis"),
    "outline": ("segmentation.find_boundaries", "measure.find_contours"),
    "distance map": ("ndimage.distance_transform_edt",),
    "euclidean distance": ("ndimage.distance_transform_edt",),
    "ultimate points": ("feature.peak_local_max", "ndimage.distance_transform_edt"),
    "find maxima": ("feature.peak_local_max", "morphology.local_maxima", "morphology.h_maxima"),
    "local maxima": ("feature.peak_local_max", "morphology.local_maxima"),
    "spots": ("feature.blob_log", "feature.blob_dog", "feature.peak_local_max"),
    "watershed": ("segmentation.watershed",),
    "split touching objects": ("segmentation.watershed",),
    "analyze particles": ("measure.regionprops_table", "measure.label"),
    "analyse particles": ("measure.regionprops_table", "measure.label"),
    "particle analysis": ("measure.regionprops_table", "measure.label"),
    "measure objects": ("measure.regionprops_table",),
    "connected components": ("measure.label", "ndimage.label"),
    "count objects": ("measure.label",),
    "size filter": ("morphology.remove_small_objects", "morphology.remove_small_holes"),
    "exclude on edges": ("segmentation.clear_border",),
    "subtract background": ("restoration.rolling_ball", "morphology.white_tophat"),
    "background": ("restoration.rolling_ball", "morphology.white_tophat"),
    "rolling ball": ("restoration.rolling_ball",),
    "top hat": ("morphology.white_tophat", "morphology.black_tophat"),
    "threshold": ("filters.threshold_otsu", "filters.threshold_local"),
    "auto threshold": (
        "filters.threshold_otsu",
        "filters.threshold_li",
        "filters.threshold_triangle",
    ),
    "auto local threshold": ("filters.threshold_local", "filters.threshold_sauvola"),
    "otsu": ("filters.threshold_otsu", "filters.threshold_multiotsu"),
    "binarize": ("filters.threshold_otsu",),
    "segment": ("filters.threshold_otsu", "measure.label", "segmentation.watershed"),
    "superpixels": ("segmentation.slic", "segmentation.felzenszwalb"),
    "enhance contrast": ("exposure.rescale_intensity", "exposure.equalize_adapthist"),
    "brightness contrast": ("exposure.rescale_intensity", "exposure.adjust_gamma"),
    "normalize": ("exposure.rescale_intensity",),
    "clahe": ("exposure.equalize_adapthist",),
    "gamma": ("exposure.adjust_gamma",),
    "tubeness": ("filters.sato", "filters.frangi"),
    "vesselness": ("filters.frangi", "filters.sato"),
    "ridge": ("filters.sato", "filters.meijering", "filters.frangi"),
    "bandpass": ("filters.difference_of_gaussians", "filters.butterworth"),
    "fft": ("filters.butterworth",),
    "deconvolution": ("restoration.richardson_lucy", "restoration.wiener"),
    "convolve": ("ndimage.convolve",),
    "variance": ("ndimage.generic_filter", "ndimage.variance"),
    "plot profile": ("measure.profile_line",),
    "line profile": ("measure.profile_line",),
    "glcm": ("feature.graycomatrix",),
    "texture": ("feature.graycomatrix", "feature.local_binary_pattern", "filters.rank.entropy"),
    "colocalization": ("measure.pearson_corr_coeff", "measure.manders_coloc_coeff"),
    "colour deconvolution": ("color.rgb2hed", "color.separate_stains"),
    "color deconvolution": ("color.rgb2hed", "color.separate_stains"),
    "grayscale": ("color.rgb2gray",),
    "bin": ("transform.downscale_local_mean", "measure.block_reduce"),
    "scale": ("transform.rescale", "transform.resize"),
    "downsample": ("transform.downscale_local_mean", "transform.rescale"),
    "z project": ("numpy.max", "numpy.mean", "numpy.sum"),
    "maximum intensity projection": ("numpy.max",),
    "select channel": ("numpy.take",),
    "extract channel": ("numpy.take",),
    "duplicate channel": ("numpy.take",),
    "image calculator": ("numpy.add", "numpy.subtract", "numpy.multiply", "numpy.divide"),
    "pixel classification": ("feature.multiscale_basic_features",),
    "weka": ("feature.multiscale_basic_features",),
}
"""Operations by other names, in lower case."""


def matches(text: str) -> list[str]:
    """Return the operations whose other names contain every word of a text, the best first.

    Parameters
    ----------
    text
        What the user typed; the beginnings of words suffice.
    """
    terms = text.lower().split()
    if not terms:
        return []
    names = [name for name in SYNONYMS if _contains(name.split(), terms)]
    names.sort(key=lambda name: (not name.startswith(text.lower().strip()), len(name)))
    return list(dict.fromkeys(key for name in names for key in SYNONYMS[name]))


def _contains(name: Sequence[str], terms: Iterable[str]) -> bool:
    """Return whether every term begins one of a name's words."""
    return all(any(part.startswith(term) for part in name) for term in terms)
