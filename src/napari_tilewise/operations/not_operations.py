"""The libraries' public names that are no operation, each with the reason why not.

Every public name is an operation or stands here: a test walks them all, so that a release of
scikit-image or SciPy shows what is missing. The drop-ins pass these names on to the library.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def _all(module: str, names: str, reason: str) -> Iterator[tuple[str, str]]:
    """Give several names of one module the same reason.

    Parameters
    ----------
    module
        The module's path below `skimage`, or `ndimage`.
    names
        The names, separated by blanks.
    reason
        Why none of them is an operation.
    """
    return ((f"{module}.{name}", reason) for name in names.split())


_FOOTPRINT = "makes a footprint, or changes one; takes no image"
_KERNEL = "makes a kernel; takes no image"
_PATTERN = "makes a pattern from a shape; takes no image"
_PLOT = "draws into a figure"
_MODEL = "a model of points or of a map, not of an image"
_POINTS = "works on the coordinates of points; takes no image"
_MOMENTS = "works on a few numbers that an operation made; takes no image"
_DETECTOR = (
    "an object that keeps state between its calls; finds keypoints on pyramids of the whole image, "
    "so that no tile knows them"
)
_DESCRIPTORS = "works on descriptors; takes no image"
_WINDOW = "works on one window of an integral image, at places given one by one"
_CONSTANT = "a constant"
_ERROR = "an exception or a warning"
_SPECTRUM = "works on a spectrum, of which no tile can be made"
_PYTHON = "calls a function of Python's whose reach nobody knows"
_COEFFICIENTS = (
    "makes the coefficients of a spline, which the operations that interpolate make themselves"
)

_GROUPS: Iterable[Iterable[tuple[str, str]]] = (
    _all("filters", "gabor_kernel", _KERNEL),
    _all("filters", "window", _PATTERN),
    _all("filters", "try_all_threshold", _PLOT),
    _all("filters", "LPIFilter2D", "a filter as an object, from a function of Python's"),
    _all("filters", "rank", "a module, whose functions are operations"),
    _all(
        "morphology",
        "ball diamond disk ellipse footprint_from_sequence footprint_rectangle mirror_footprint "
        "octagon octahedron pad_footprint star",
        _FOOTPRINT,
    ),
    _all("restoration", "ball_kernel ellipsoid_kernel", _KERNEL),
    _all("segmentation", "checkerboard_level_set disk_level_set", _PATTERN),
    _all("feature", "BRIEF CENSURE ORB SIFT", _DETECTOR),
    _all("feature", "Cascade", "a trained classifier of windows, read from a file"),
    _all("feature", "fisher_vector learn_gmm match_descriptors", _DESCRIPTORS),
    _all(
        "feature",
        "draw_haar_like_feature draw_multiblock_lbp haar_like_feature haar_like_feature_coord "
        "multiblock_lbp",
        _WINDOW,
    ),
    _all("feature", "graycoprops", "works on the matrix that graycomatrix made; takes no image"),
    _all("feature", "plot_matched_features", _PLOT),
    _all("measure", "CircleModel EllipseModel LineModelND RansacModelProtocol ransac", _MODEL),
    _all(
        "measure",
        "approximate_polygon grid_points_in_poly points_in_poly subdivide_polygon",
        _POINTS,
    ),
    _all("measure", "mesh_surface_area", "works on the vertices of a mesh; takes no image"),
    _all("measure", "moments_coords moments_coords_central", _POINTS),
    _all("measure", "moments_hu moments_normalized", _MOMENTS),
    _all(
        "transform",
        "AffineTransform EssentialMatrixTransform EuclideanTransform FundamentalMatrixTransform "
        "PiecewiseAffineTransform PolynomialTransform ProjectiveTransform SimilarityTransform "
        "ThinPlateSplineTransform estimate_transform",
        _MODEL,
    ),
    _all("transform", "matrix_transform warp_coords", _POINTS),
    _all("transform", "order_angles_golden_ratio", "works on angles; takes no image"),
    _all(
        "color",
        "ahx_from_rgb bex_from_rgb bpx_from_rgb bro_from_rgb fgx_from_rgb gdx_from_rgb "
        "hax_from_rgb hdx_from_rgb hed_from_rgb hpx_from_rgb rbd_from_rgb rgb_from_ahx "
        "rgb_from_bex rgb_from_bpx rgb_from_bro rgb_from_fgx rgb_from_gdx rgb_from_hax "
        "rgb_from_hdx rgb_from_hed rgb_from_hpx rgb_from_rbd color_dict",
        _CONSTANT,
    ),
    _all("color", "xyz_tristimulus_values", "looks three numbers up; takes no image"),
    _all("util", "dtype_limits", "looks at the data type only; takes lazy arrays as it is"),
    _all("util", "regular_grid regular_seeds", _PATTERN),
    _all("util", "apply_parallel", "applies a function of Python's with a halo given by hand"),
    _all("util", "lookfor", "searches docstrings"),
    _all("util", "slice_along_axes", "slices; takes lazy arrays as it is"),
    _all("util", "view_as_blocks view_as_windows", "views with twice the axes, no new pixels"),
    _all("util", "montage", "lays out a stack of small images for a figure"),
    _all("util", "label_points", "makes an image from points; takes none"),
    _all("util", "unique_rows", "works on the rows of a table"),
    _all("util", "FailedEstimationAccessError PendingSkimage2Change", _ERROR),
    _all("ndimage", "generate_binary_structure iterate_structure", _FOOTPRINT),
    _all("ndimage", "fourier_ellipsoid fourier_gaussian fourier_shift fourier_uniform", _SPECTRUM),
    _all("ndimage", "generic_filter1d generic_laplace geometric_transform", _PYTHON),
    _all("ndimage", "vectorized_filter labeled_comprehension", _PYTHON),
    _all("ndimage", "value_indices", "lists the coordinates of every pixel, more than the image"),
    _all("ndimage", "binary_propagation", "morphology.reconstruction does the same, tile by tile"),
    _all("ndimage", "watershed_ift", "segmentation.watershed is the operation"),
    _all(
        "ndimage", "distance_transform_bf", "slow by design; distance_transform_edt gives the same"
    ),
    _all("ndimage", "spline_filter spline_filter1d", _COEFFICIENTS),
)

NOT_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {name: reason for group in _GROUPS for name, reason in group}
)
"""Key, as operations have one -> reason."""
