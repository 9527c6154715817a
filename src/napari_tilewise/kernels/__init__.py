"""Compiled functions, each of which gives the bits of the function it stands for, faster.

The room knows NumPy, SciPy and the library beside it. Where the library was not built, or
``TILEWISE_KERNELS=0`` is set, no kernel accepts anything and the functions themselves run. A module
is imported when the first of its kernels is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import LEVELS, available, level, levels

if TYPE_CHECKING:
    from napari_tilewise.kernels.bilateral_weights import bilateral_filtered, is_bilateral
    from napari_tilewise.kernels.level_maps import blended_maps, block_counts
    from napari_tilewise.kernels.run_lists import RunLists
    from napari_tilewise.kernels.smoothing.spline_samples import (
        filters_splines,
        sampled_splines,
        samples_splines,
        spline_coefficients,
    )
    from napari_tilewise.kernels.spaced_points import (
        keeps_distance,
        linear_samples,
        samples_between,
        spaced,
    )
    from napari_tilewise.kernels.thinning_tables import thinned
    from napari_tilewise.kernels.total_variation import VariationIteration
    from napari_tilewise.kernels.whole_number_sums import (
        RegionColumns,
        region_columns,
        sums_regions,
    )

_STANDS_FOR = {
    "geometry.affine_maps": ("scipy.ndimage.affine_transform",),
    "background_balls": ("skimage.restoration.rolling_ball",),
    "distances.background_distances": ("scipy.ndimage.distance_transform_edt",),
    "bilateral_weights": ("skimage.restoration.denoise_bilateral",),
    "binary_morphology": (
        "scipy.ndimage.binary_closing",
        "scipy.ndimage.binary_dilation",
        "scipy.ndimage.binary_erosion",
        "scipy.ndimage.binary_opening",
        "skimage.morphology.binary_closing",
        "skimage.morphology.binary_dilation",
        "skimage.morphology.binary_erosion",
        "skimage.morphology.binary_opening",
    ),
    "block_sums": (
        "skimage.measure.block_reduce",
        "skimage.transform.downscale_local_mean",
    ),
    "counted_levels": (
        "skimage.exposure.equalize_hist",
        "skimage.filters.threshold_otsu",
    ),
    "smoothing.edge_magnitudes": (
        "napari_tilewise.operations.feature.canny.thinned_magnitude",
        "skimage.filters.farid",
        "skimage.filters.farid_h",
        "skimage.filters.farid_v",
        "skimage.filters.prewitt",
        "skimage.filters.prewitt_h",
        "skimage.filters.prewitt_v",
        "skimage.filters.scharr",
        "skimage.filters.scharr_h",
        "skimage.filters.scharr_v",
        "skimage.filters.sobel",
        "skimage.filters.sobel_h",
        "skimage.filters.sobel_v",
    ),
    "equal_bins": ("numpy.histogram", "numpy.interp"),
    "extrema_plateaus": (
        "skimage.morphology.local_maxima",
        "skimage.morphology.local_minima",
    ),
    "flooded_markers": ("skimage.segmentation.watershed",),
    "grey_morphology": (
        "scipy.ndimage.maximum_filter",
        "scipy.ndimage.minimum_filter",
        "skimage.morphology.black_tophat",
        "skimage.morphology.closing",
        "skimage.morphology.dilation",
        "skimage.morphology.erosion",
        "skimage.morphology.opening",
        "skimage.morphology.white_tophat",
    ),
    "grey_reconstruction": (
        "skimage.morphology.h_maxima",
        "skimage.morphology.h_minima",
        "skimage.morphology.reconstruction",
    ),
    "distances.grown_labels": (
        "skimage.morphology.isotropic_closing",
        "skimage.morphology.isotropic_dilation",
        "skimage.morphology.isotropic_erosion",
        "skimage.morphology.isotropic_opening",
        "skimage.segmentation.expand_labels",
    ),
    "smoothing.line_correlations": (
        "scipy.ndimage.convolve1d",
        "scipy.ndimage.correlate1d",
        "scipy.ndimage.laplace",
        "scipy.ndimage.prewitt",
        "scipy.ndimage.sobel",
    ),
    "labels.label_boundaries": ("skimage.segmentation.find_boundaries",),
    "labels.label_sums": (
        "scipy.ndimage.mean",
        "scipy.ndimage.standard_deviation",
        "scipy.ndimage.sum",
        "scipy.ndimage.sum_labels",
        "scipy.ndimage.variance",
    ),
    "oriented_cells": ("skimage.feature.hog",),
    "patch_means": ("skimage.restoration.denoise_nl_means",),
    "ranks.ndimage_ranks": (
        "scipy.ndimage.median_filter",
        "scipy.ndimage.percentile_filter",
        "scipy.ndimage.rank_filter",
    ),
    "ranks.rank_windows": ("skimage.filters.median",),
    "ranks.local_ranks": (
        "skimage.filters.rank.enhance_contrast",
        "skimage.filters.rank.gradient",
        "skimage.filters.rank.maximum",
        "skimage.filters.rank.mean",
        "skimage.filters.rank.median",
        "skimage.filters.rank.minimum",
        "skimage.filters.rank.pop",
        "skimage.filters.rank.threshold",
    ),
    "smoothing.ndimage_gaussians": (
        "scipy.ndimage.gaussian_filter",
        "scipy.ndimage.gaussian_filter1d",
        "scipy.ndimage.gaussian_gradient_magnitude",
        "scipy.ndimage.gaussian_laplace",
    ),
    "smoothing.ridge_filters": (
        "napari_tilewise.operations.filters.ridges.hessian_eigenvalues",
        "skimage.filters.frangi",
        "skimage.filters.hessian",
        "skimage.filters.meijering",
        "skimage.filters.sato",
    ),
    "geometry.rotated_planes": ("scipy.ndimage.rotate",),
    "run_lists": (
        "skimage.filters.apply_hysteresis_threshold",
        "skimage.measure.label",
        "skimage.morphology.label",
        "skimage.morphology.remove_small_holes",
        "skimage.morphology.remove_small_objects",
    ),
    "labels.scipy_components": (
        "scipy.ndimage.binary_fill_holes",
        "scipy.ndimage.label",
    ),
    "smoothing.separable": ("skimage.filters.gaussian",),
    "smoothing.smoothed_differences": (
        "skimage.filters._unsharp_mask._unsharp_mask_single_channel",
        "skimage.filters.difference_of_gaussians",
        "skimage.filters.threshold_local",
        "skimage.filters.unsharp_mask",
    ),
    "smoothing.tap_sums": (
        "scipy.ndimage.convolve",
        "scipy.ndimage.correlate",
        "skimage.filters.gabor",
        "skimage.filters.laplace",
        "skimage.filters.roberts",
        "skimage.filters.roberts_neg_diag",
        "skimage.filters.roberts_pos_diag",
    ),
    "thinning_tables": (
        "napari_tilewise.operations.morphology.skeleton.thinned",
        "skimage.morphology.skeletonize",
    ),
    "total_variation": ("skimage.restoration.denoise_tv_chambolle",),
    "whole_number_sums": (
        "numpy.bincount",
        "numpy.take",
    ),
    "smoothing.window_thresholds": (
        "skimage.filters.threshold_niblack",
        "skimage.filters.threshold_sauvola",
    ),
}
"""The functions that the kernels of each module stand for."""

_HOMES = {
    "RegionColumns": "whole_number_sums",
    "RunLists": "run_lists",
    "VariationIteration": "total_variation",
    "bilateral_filtered": "bilateral_weights",
    "blended_maps": "level_maps",
    "block_counts": "level_maps",
    "floods_in_order": "flood_slices",
    "is_bilateral": "bilateral_weights",
    "region_columns": "whole_number_sums",
    "sums_regions": "whole_number_sums",
    "keeps_distance": "spaced_points",
    "linear_samples": "spaced_points",
    "samples_between": "spaced_points",
    "spaced": "spaced_points",
    "filters_splines": "smoothing.spline_samples",
    "samples_splines": "smoothing.spline_samples",
    "sampled_splines": "smoothing.spline_samples",
    "spline_coefficients": "smoothing.spline_samples",
    "thinned": "thinning_tables",
}
"""The module of each part that stands for no function."""


class _Kernels(Mapping[str, Kernel]):
    """The kernels by dotted path, each imported when it is looked up."""

    def __init__(self) -> None:
        self._modules = {path: module for module, paths in _STANDS_FOR.items() for path in paths}
        self._kernels: dict[str, Kernel] = {}

    def __getitem__(self, path: str) -> Kernel:
        """Return the kernel that stands for a function."""
        if path not in self._kernels:
            module = import_module(f"{__name__}.{self._modules[path]}")
            for value in vars(module).values():
                kernels = value if isinstance(value, tuple) else (value,)
                present = [item for item in kernels if isinstance(item, Kernel)]
                self._kernels |= {kernel.stands_for: kernel for kernel in present}
        return self._kernels[path]

    def __iter__(self) -> Iterator[str]:
        """Return the paths."""
        return iter(self._modules)

    def __len__(self) -> int:
        """Return the number of kernels."""
        return len(self._modules)


KERNELS: Mapping[str, Kernel] = _Kernels()
"""Every kernel by the dotted path of the function that it stands for."""

__all__ = [
    "KERNELS",
    "LEVELS",
    "Kernel",
    "RegionColumns",
    "RunLists",
    "VariationIteration",
    "available",
    "bilateral_filtered",
    "blended_maps",
    "block_counts",
    "filters_splines",
    "floods_in_order",
    "is_bilateral",
    "keeps_distance",
    "level",
    "levels",
    "linear_samples",
    "region_columns",
    "sampled_splines",
    "samples_between",
    "samples_splines",
    "spaced",
    "spline_coefficients",
    "sums_regions",
    "thinned",
]


def __getattr__(name: str) -> Any:
    """Import a part when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
