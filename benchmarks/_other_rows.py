"""Other images, data types and parameters than the basket's, for each of its functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _other_images import GREY, LABELS, MASKS, image, labels
from scipy import ndimage as ndi
from skimage import morphology as mo
from skimage import restoration

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES = ("u1", "u2", "i2", "i4", "f4", "f8", "b1")
FLOATS = ("f4", "f8", "u1", "u2", "i4")


class Rows(NamedTuple):
    """A function's variations: images, data types, layouts, and sets of parameters."""

    name: str
    params: tuple[dict[str, Any], ...] = ({},)
    """Of planes, the first with every image; a function among the values gets the image."""
    deep: tuple[dict[str, Any], ...] | None = ({},)
    """Of volumes; None: planes only."""
    dtypes: tuple[str, ...] = TYPES
    kinds: tuple[str, ...] = GREY
    share: int = 1
    """Divides the side of planes, where scikit-image needs long."""
    deep_share: int = 1
    nan: bool = True
    is_labels: bool = False
    coloured: tuple[dict[str, Any], ...] = ()
    """Of images whose last axis holds three channels."""


def P(**params: Any) -> dict[str, Any]:
    """Return parameters."""
    return params


def _footprint(name: str, size: int) -> Any:
    """Return a footprint of scikit-image's, or one that falls into several."""
    function = getattr(mo, name.removesuffix(" sequence"))
    shape = ((size, size),) if name.startswith("footprint_rectangle") else (size,)
    return function(*shape, decomposition="sequence") if "sequence" in name else function(*shape)


BALL, BALL5 = mo.ball(2), mo.ball(5)
BOX3 = np.ones((3, 3, 3), np.uint8)
CORNER = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], np.uint8)
MORPHOLOGY = (
    P(footprint=mo.disk(5)),
    P(),
    P(footprint=np.ones((3, 3), np.uint8)),
    P(footprint=np.ones((25, 25), np.uint8)),
    P(footprint=mo.diamond(4)),
    P(footprint=mo.octagon(5, 3)),
    P(footprint=mo.star(4)),
    P(footprint=mo.disk(25)),
    P(footprint=mo.disk(1)),
    P(footprint=CORNER),
    P(footprint=_footprint("disk sequence", 10)),
    P(footprint=_footprint("footprint_rectangle sequence", 15)),
    P(footprint=np.ones((1, 21), np.uint8)),
    P(footprint=np.ones((21, 1), np.uint8)),
    P(footprint=mo.disk(3), mode="constant", cval=1.0),
    P(footprint=mo.disk(3), mode="wrap"),
    P(footprint=mo.disk(3), mode="min"),
)
DEEP_MORPHOLOGY = (P(footprint=mo.ball(2)), P(), P(footprint=BOX3), P(footprint=mo.ball(5)))
MODES = ("reflect", "constant", "mirror", "wrap")
RANKS = (
    P(footprint=mo.disk(5)),
    P(footprint=mo.disk(2)),
    P(footprint=mo.disk(20)),
    P(footprint=np.ones((11, 11), np.uint8)),
    P(footprint=mo.disk(3), mask=lambda pixels: _mask_of(pixels)),
    P(footprint=mo.disk(3), shift_x=1, shift_y=-1),
)
DEEP_RANKS = (
    P(footprint=BALL),
    P(footprint=BOX3),
    P(footprint=mo.ball(4)),
    P(footprint=BALL, mask=lambda pixels: _mask_of(pixels)),
)
COLUMNS = (
    ("label", "area", "bbox", "centroid"),
    ("label", "bbox"),
    ("label", "area", "mean_intensity", "min_intensity", "max_intensity"),
    ("label", "intensity_mean", "intensity_std", "centroid_weighted"),
    ("label", "perimeter", "area"),
    ("label", "eccentricity", "axis_major_length", "axis_minor_length", "orientation"),
    ("label", "solidity", "area_convex"),
    ("label", "moments", "moments_central", "moments_hu"),
    ("label", "euler_number", "extent", "equivalent_diameter_area", "area_filled"),
)
DEEP_COLUMNS = (*COLUMNS[:4], ("label", "inertia_tensor_eigvals", "axis_major_length"))


def _half(pixels: np.ndarray) -> tuple[int, ...]:
    """Return a shape of about half the image's, the axes by different factors."""
    return tuple(max(2, n * (4 + k) // 9) for k, n in enumerate(pixels.shape))


def _cone(radius: int) -> np.ndarray:
    """Return a rolling ball's kernel that is none of scikit-image's."""
    rows, columns = np.indices((2 * radius + 1, 2 * radius + 1)) - radius
    return np.where(np.hypot(rows, columns) <= radius, np.hypot(rows, columns), np.inf)


def _mask_of(pixels: np.ndarray) -> np.ndarray:
    return image("discs", "b1", pixels.shape)


def _seeds(pixels: np.ndarray) -> np.ndarray:
    """Return markers at the lowest places of a smoothed copy."""
    smooth = ndi.gaussian_filter(np.nan_to_num(pixels.astype(float)), 3)
    lowest = ndi.minimum_filter(smooth, 15) == smooth
    components = np.asarray(ndi.label(lowest & (_rng(pixels) < 0.9))[0])
    return (
        components
        if components.any()
        else np.pad(np.ones((1,) * pixels.ndim, int), [(0, n - 1) for n in pixels.shape])
    )


def _rng(pixels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(3).random(pixels.shape)


def _points(pixels: np.ndarray) -> np.ndarray:
    """Return a thousand markers that are one pixel each."""
    rng = np.random.default_rng(5)
    seeds = np.zeros(pixels.size, np.int32)
    places = rng.choice(pixels.size, min(1000, pixels.size // 20), replace=False)
    seeds[places] = np.arange(1, len(places) + 1)
    return seeds.reshape(pixels.shape)


def _labels_of(pixels: np.ndarray) -> np.ndarray:
    return labels("discs", "i4", pixels.shape)


def _other_grey(pixels: np.ndarray) -> np.ndarray:
    return image("photograph", "u2", pixels.shape)


def _other_float(pixels: np.ndarray) -> np.ndarray:
    return image("photograph", "f4", pixels.shape)


def _tables(columns: Sequence[tuple[str, ...]]) -> tuple[dict[str, Any], ...]:
    with_grey = [
        P(properties=c, intensity_image=_other_grey)
        if "intensity" in " ".join(c)
        else P(properties=c)
        for c in columns
    ]
    return (*with_grey, P(properties=columns[2], intensity_image=_other_float))


FUNCTIONS: tuple[Rows, ...] = (
    Rows(
        "filters.gaussian",
        (P(sigma=1), P(sigma=0.5), P(sigma=5), P(sigma=20), P(sigma=(3, 0)), P(sigma=(1, 6)),
         *(P(sigma=2, mode=mode) for mode in MODES), P(sigma=2, mode="constant", cval=1.0),
         P(sigma=2, truncate=2.0), P(sigma=2, truncate=8.0),
         P(sigma=2, preserve_range=True), P(sigma=3, mode="mirror", truncate=3.0)),
        (P(sigma=1), P(sigma=4), P(sigma=(0, 1, 3)), P(sigma=2, mode="wrap"),
        P(sigma=1, preserve_range=True)),
        coloured=(P(sigma=2, channel_axis=-1), P(sigma=(1, 3), channel_axis=-1, mode="wrap")),
    ),
    Rows(
        "filters.median",
        (P(footprint=np.ones((5, 5))), P(), P(footprint=np.ones((3, 3), np.uint8)),
        P(footprint=np.ones((7, 7), np.uint8)),
         P(footprint=np.ones((11, 11), np.uint8)), P(footprint=mo.ellipse(3, 5)),
         P(footprint=mo.disk(2)), P(footprint=mo.disk(15)),
         *(P(footprint=np.ones((5, 5), np.uint8), mode=mode) for mode in MODES),
         P(footprint=mo.disk(7), behavior="rank"), P(footprint=np.ones((4, 6), np.uint8))),
        (P(footprint=BOX3), P(), P(footprint=BALL), P(footprint=mo.ball(4)),
        P(footprint=np.ones((5, 5, 5), np.uint8)), P(footprint=np.ones((1, 5, 5), np.uint8))),
        share=4, deep_share=2,
    ),
    Rows("morphology.erosion", MORPHOLOGY, DEEP_MORPHOLOGY, share=2),
    Rows("morphology.opening", MORPHOLOGY, DEEP_MORPHOLOGY, share=2),
    Rows("filters.rank.mean", RANKS, DEEP_RANKS, ("u1", "u2/12", "u2/10", "b1", "f4"),
         share=2, nan=False),
    Rows("filters.rank.median", RANKS, DEEP_RANKS, ("u1", "u2/12", "u2/10", "b1", "f4"),
         share=2, nan=False),
    Rows("filters.sobel", (P(), P(axis=0), P(mode="constant", cval=0.5), P(mode="wrap"),
         P(mode="nearest"), P(mask=_mask_of)),
         (P(), P(axis=1), P(mode="wrap"))),
    Rows("filters.unsharp_mask", (P(), P(radius=5, amount=2), P(radius=20), P(radius=0.5),
         P(preserve_range=True), P(radius=(1, 3))),
         (P(), P(radius=3, amount=0.5), P(preserve_range=True)),
         coloured=(P(channel_axis=2), P(radius=3, channel_axis=2))),
    Rows("filters.sato", (P(sigmas=[2]), P(), P(sigmas=[1, 5]),
         P(sigmas=[0.5], mode="constant", cval=1), P(sigmas=[2], black_ridges=False),
         P(sigmas=[3], mode="wrap"), P(sigmas=[8])),
         (P(sigmas=[1]), P(sigmas=[2], black_ridges=False)), FLOATS, share=4, deep_share=2),
    Rows("filters.frangi", (P(sigmas=[2]), P(sigmas=[1, 4]), P(sigmas=[1], black_ridges=False),
         P(sigmas=[2], gamma=15, alpha=0.8, beta=0.3), P(sigmas=[2], mode="constant"), P()),
         (P(sigmas=[2]), P(sigmas=[1], black_ridges=False)), FLOATS, share=4, deep_share=2),
    Rows("filters.threshold_local", (P(block_size=25), P(block_size=3), P(block_size=101),
         P(block_size=(5, 51)), P(block_size=25, method="mean"),
         P(block_size=101, method="mean", offset=5),
          P(block_size=5, method="median"), P(block_size=3, method="median"),
          P(block_size=25, param=3), P(block_size=25, mode="constant", cval=3),
          P(block_size=25, mode="wrap"), P(block_size=11, mode="nearest", method="mean")),
         (P(block_size=9), P(block_size=9, method="mean"), P(block_size=3, method="median"))),
    Rows("filters.threshold_sauvola", (P(), P(window_size=3), P(window_size=75),
         P(window_size=(5, 31)), P(window_size=25, k=0.5, r=100)),
         (P(window_size=7), P(window_size=(3, 5, 15)))),
    Rows("restoration.rolling_ball", (P(radius=10), P(radius=5), P(radius=50), P(radius=100),
         P(radius=20, nansafe=True), P(radius=3.5),
         P(kernel=restoration.ellipsoid_kernel((15, 21), 10)), P(kernel=_cone(12))),
         (P(radius=3), P(radius=8)), share=4, deep_share=2),
    Rows("restoration.denoise_tv_chambolle", (P(), P(weight=0.3), P(weight=0.01), P(eps=1e-3),
         P(eps=1e-6, max_num_iter=20), P(max_num_iter=5), P(max_num_iter=50, eps=0)),
         (P(), P(weight=0.02), P(max_num_iter=10)), FLOATS, share=2,
         coloured=(P(channel_axis=-1), P(weight=0.3, channel_axis=-1))),
    Rows("restoration.denoise_nl_means", (P(patch_distance=5),
         P(patch_size=3, patch_distance=5), P(patch_size=5, patch_distance=3, h=0.05),
         P(patch_distance=5, sigma=0.1),
          P(patch_size=3, patch_distance=2, fast_mode=False),
          P(patch_size=5, patch_distance=3, fast_mode=False, sigma=0.05),
          P(patch_size=6, patch_distance=4), P(patch_distance=5, preserve_range=True)),
         (P(patch_size=3, patch_distance=2),
         P(patch_size=3, patch_distance=2, fast_mode=False, sigma=0.1),
         P(patch_size=5, patch_distance=2)), FLOATS, share=4, deep_share=3,
         coloured=(P(patch_distance=5, channel_axis=-1),
                   P(patch_size=3, patch_distance=2, fast_mode=False, channel_axis=-1))),
    Rows("restoration.denoise_bilateral", (P(), P(win_size=3), P(win_size=11, sigma_spatial=3),
         P(sigma_color=0.05), P(sigma_color=0.5, sigma_spatial=2), P(bins=100), P(mode="edge"),
         P(mode="wrap"), P(mode="symmetric", cval=1)),
         None, FLOATS, share=4, coloured=(P(channel_axis=-1), P(win_size=3, channel_axis=-1))),
    Rows("exposure.equalize_adapthist", (P(), P(kernel_size=16), P(kernel_size=(31, 100)),
         P(nbins=64), P(nbins=1024), P(clip_limit=0.1), P(clip_limit=0)),
         (P(), P(kernel_size=12), P(nbins=64))),
    Rows("exposure.equalize_hist", (P(), P(nbins=64), P(nbins=1024), P(mask=_mask_of)), (P(),
         P(mask=_mask_of))),
    Rows("filters.threshold_otsu", (P(), P(nbins=64), P(nbins=1024)), (P(), P(nbins=64))),
    Rows("measure.label", (P(), P(connectivity=1), P(background=1), P(background=-1),
         P(return_num=True), P(connectivity=1, background=1)), (P(), P(connectivity=1),
         P(connectivity=2), P(background=1)),
         ("b1", "u1", "u2", "i4", "i8"), MASKS),
    Rows("measure.label", (P(), P(connectivity=1), P(background=-1)), (P(), P(connectivity=1)),
         ("i4", "i8", "u1"), LABELS, is_labels=True),
    Rows("morphology.remove_small_objects", (P(), P(max_size=500), P(max_size=3),
         P(max_size=20, connectivity=2), P(max_size=0)), (P(), P(max_size=500, connectivity=3)),
         ("b1",), MASKS),
    Rows("morphology.remove_small_objects", (P(), P(max_size=500)), (P(), P(max_size=100)),
         ("i4", "u1", "u2", "i8"), LABELS, is_labels=True),
    Rows("morphology.remove_small_holes", (P(), P(max_size=500), P(max_size=3),
         P(max_size=20, connectivity=2)), (P(), P(max_size=500, connectivity=3)), ("b1",), MASKS),
    Rows("measure.regionprops_table", _tables(COLUMNS), _tables(DEEP_COLUMNS),
         ("i4", "i8", "u1", "u2"), LABELS, share=2, is_labels=True),
    Rows("feature.canny", (P(), P(sigma=0), P(sigma=3), P(sigma=1, mask=_mask_of),
         P(sigma=1, low_threshold=0.7, high_threshold=0.9, use_quantiles=True),
         P(mask=_mask_of, low_threshold=0.7, high_threshold=0.9, use_quantiles=True),
         P(low_threshold=0.05, high_threshold=0.1), P(mode="nearest"), P(mode="wrap")),
         None, nan=False),
    Rows("transform.rescale", (P(scale=0.3), P(scale=1.7),
         *(P(scale=0.3, order=order) for order in (0, 2, 3)),
         *(P(scale=1.7, order=order) for order in (0, 2, 3)),
          P(scale=0.5, anti_aliasing=True), P(scale=0.3, anti_aliasing=False),
          P(scale=(0.5, 1.5)), P(scale=0.5, mode="edge"), P(scale=0.4, preserve_range=True),
          P(scale=0.6, order=4), P(scale=1.4, order=5), P(scale=0.7, order=3, mode="wrap")),
         (P(scale=0.5), P(scale=1.5), P(scale=0.5, order=0), P(scale=1.3, order=3)),
         coloured=(P(scale=0.5, channel_axis=-1), P(scale=1.5, order=3, channel_axis=-1),
                   P(scale=0.5, order=0, channel_axis=-1))),
    Rows("transform.resize", (P(output_shape=_half), P(output_shape=_half, order=3),
         P(output_shape=_half, anti_aliasing=False), P(output_shape=_half, anti_aliasing_sigma=2),
         P(output_shape=_half, order=2, mode="edge"), P(output_shape=_half, order=0),
         P(output_shape=_half, mode="constant", cval=0.5, clip=False)),
         (P(output_shape=_half), P(output_shape=_half, order=3)), share=2),
    Rows("segmentation.expand_labels", (P(), P(distance=10), P(distance=30), P(distance=1.5),
         P(distance=4, spacing=(1, 2))), (P(), P(distance=6)), ("i4", "i8", "u1", "u2"),
         LABELS, is_labels=True),
    Rows("morphology.local_maxima", (P(), P(connectivity=1), P(allow_borders=False),
         P(indices=True), P(footprint=np.ones((3, 3)))), (P(), P(connectivity=1),
         P(indices=True, allow_borders=False))),
    Rows("feature.peak_local_max", (P(min_distance=5), P(), P(min_distance=20),
         P(min_distance=5, labels=_labels_of), P(num_peaks=50),
         P(min_distance=3, exclude_border=False), P(min_distance=5, exclude_border=7),
         P(min_distance=5, p_norm=2), P(min_distance=5, threshold_abs=0.5),
         P(min_distance=2, threshold_rel=0.6), P(footprint=mo.disk(3))),
         (P(min_distance=3), P(), P(min_distance=3, labels=_labels_of), P(num_peaks=10))),
    Rows("segmentation.watershed", (P(markers=_seeds), P(markers=_points),
         P(markers=_seeds, mask=_mask_of), P(markers=_seeds, connectivity=2),
         P(markers=_seeds, watershed_line=True), P(markers=_seeds, compactness=0.01),
         P(markers=_points, compactness=10.0), P(), P(markers=200)),
         (P(markers=_seeds), P(markers=_points, mask=_mask_of),
         P(markers=_seeds, watershed_line=True)), share=2),
    Rows("feature.hog", (P(), P(pixels_per_cell=(16, 16)), P(pixels_per_cell=(4, 6),
         cells_per_block=(2, 2)), P(orientations=6, feature_vector=False), P(block_norm="L1"),
         P(transform_sqrt=True), P(visualize=True), P(block_norm="L2", cells_per_block=(1, 1))),
         None, share=2, coloured=(P(channel_axis=-1), P(visualize=True, channel_axis=-1))),
    Rows("morphology.skeletonize", (P(), P(method="lee"), P(method="zhang")), (P(),
         P(method="lee")), ("b1", "u1", "i4"), MASKS, share=2),
)  # fmt: skip
