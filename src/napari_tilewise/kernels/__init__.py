"""Compiled functions, each of which gives the bits of the function it stands for, faster.

The room knows NumPy, SciPy and the library beside it. Where the library was not built, or
``TILEWISE_KERNELS=0`` is set, no kernel accepts anything and the functions themselves run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.kernels.background_balls import ROLLING_BALL
from napari_tilewise.kernels.bilateral_weights import (
    DENOISE_BILATERAL,
    bilateral_filtered,
    is_bilateral,
)
from napari_tilewise.kernels.blended_maps import blended_maps, block_counts
from napari_tilewise.kernels.edge_magnitudes import EDGES
from napari_tilewise.kernels.extrema_plateaus import LOCAL_MAXIMA, LOCAL_MINIMA
from napari_tilewise.kernels.flooded_markers import WATERSHED
from napari_tilewise.kernels.grey_morphology import (
    BLACK_TOPHAT,
    CLOSING,
    DILATION,
    EROSION,
    MAXIMUM_FILTER,
    MINIMUM_FILTER,
    OPENING,
    WHITE_TOPHAT,
)
from napari_tilewise.kernels.grown_labels import EXPAND_LABELS
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import LEVELS, available, level, levels
from napari_tilewise.kernels.line_correlations import CORRELATE1D, NDIMAGE_SOBEL
from napari_tilewise.kernels.oriented_cells import HOG
from napari_tilewise.kernels.rank_windows import MEDIAN, RANK_MEAN, RANK_MEDIAN
from napari_tilewise.kernels.ridge_filters import FRANGI, GAUSSIAN_FILTER, HESSIAN_EIGENVALUES, SATO
from napari_tilewise.kernels.run_lists import (
    LABEL,
    NDIMAGE_LABEL,
    REMOVE_SMALL_HOLES,
    REMOVE_SMALL_OBJECTS,
    RunLists,
)
from napari_tilewise.kernels.separable import GAUSSIAN
from napari_tilewise.kernels.smoothed_differences import (
    DIFFERENCE_OF_GAUSSIANS,
    THRESHOLD_LOCAL,
    UNSHARP_MASK,
)
from napari_tilewise.kernels.thinning_tables import SKELETONIZE, THINNED, thinned
from napari_tilewise.kernels.total_variation import DENOISE_TV_CHAMBOLLE, VariationIteration
from napari_tilewise.kernels.whole_number_sums import (
    BINCOUNT,
    TAKE,
    THRESHOLD_NIBLACK,
    THRESHOLD_SAUVOLA,
    RegionColumns,
    region_columns,
    sums_regions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KERNELS: Mapping[str, Kernel] = {
    kernel.stands_for: kernel
    for kernel in (
        BINCOUNT,
        BLACK_TOPHAT,
        CLOSING,
        CORRELATE1D,
        DENOISE_BILATERAL,
        DENOISE_TV_CHAMBOLLE,
        DIFFERENCE_OF_GAUSSIANS,
        DILATION,
        EROSION,
        *EDGES,
        EXPAND_LABELS,
        FRANGI,
        GAUSSIAN,
        GAUSSIAN_FILTER,
        HESSIAN_EIGENVALUES,
        HOG,
        LABEL,
        LOCAL_MAXIMA,
        LOCAL_MINIMA,
        MAXIMUM_FILTER,
        MEDIAN,
        MINIMUM_FILTER,
        NDIMAGE_LABEL,
        NDIMAGE_SOBEL,
        OPENING,
        RANK_MEAN,
        RANK_MEDIAN,
        REMOVE_SMALL_HOLES,
        REMOVE_SMALL_OBJECTS,
        ROLLING_BALL,
        SATO,
        SKELETONIZE,
        TAKE,
        THINNED,
        THRESHOLD_LOCAL,
        THRESHOLD_NIBLACK,
        THRESHOLD_SAUVOLA,
        UNSHARP_MASK,
        WATERSHED,
        WHITE_TOPHAT,
    )
}
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
    "is_bilateral",
    "level",
    "levels",
    "region_columns",
    "sums_regions",
    "thinned",
]
