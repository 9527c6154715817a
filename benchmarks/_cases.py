"""What the basket measures: planes, volumes, and planes of other kinds than those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import ndimage as ndi
from skimage import data, morphology

if TYPE_CHECKING:
    from collections.abc import Iterator


class Case(NamedTuple):
    """What is measured."""

    name: str
    label: str
    image: np.ndarray
    params: dict[str, Any]


def photograph(size: int) -> np.ndarray:
    """Return a real picture, repeated and mirrored to the size, with a little noise."""
    coins = data.coins()
    pads = [(0, max(0, size - n)) for n in coins.shape]
    grey = np.pad(coins, pads, mode="symmetric")[:size, :size]
    noise = np.random.default_rng(0).normal(0, 4, grey.shape)
    return np.clip(grey + noise, 0, 255).astype(np.uint8)


def planes(size: int) -> Iterator[Case]:
    """Yield the basket's operations, smaller where scikit-image needs long."""
    u1 = photograph(size)
    u2, f4 = u1.astype(np.uint16) * 257, (u1 / 255).astype(np.float32)
    smooth = ndi.gaussian_filter(f4, 2)
    mask = smooth > 0.45
    labels = ndi.label(mask)[0]
    half, quarter = np.s_[: size // 2, : size // 2], np.s_[: size // 4, : size // 4]
    disk, box = morphology.disk(7), np.ones((5, 5), np.uint8)
    yield Case("filters.gaussian", "uint16", u2, {"sigma": 2})
    yield Case("filters.gaussian", "float32", f4, {"sigma": 2})
    yield Case("filters.difference_of_gaussians", "float32", f4, {"low_sigma": 1, "high_sigma": 4})
    yield Case("filters.unsharp_mask", "float32", f4, {"radius": 2})
    yield Case("filters.median", "uint8 5x5", u1[quarter], {"footprint": box})
    yield Case("filters.median", "uint8 disk 7", u1[quarter], {"footprint": disk})
    yield Case("filters.rank.mean", "uint8 disk 7", u1, {"footprint": disk})
    yield Case("filters.rank.median", "uint8 disk 7", u1, {"footprint": disk})
    yield Case("filters.sobel", "uint8", u1, {})
    yield Case("filters.scharr", "float32", f4, {})
    yield Case("filters.sato", "float32", f4[quarter], {"sigmas": (1, 2), "black_ridges": False})
    yield Case("filters.frangi", "float32", f4[half], {"sigmas": (1, 2), "black_ridges": False})
    yield Case("filters.threshold_local", "uint8", u1, {"block_size": 35})
    yield Case("filters.threshold_sauvola", "uint8", u1, {"window_size": 25})
    yield Case("filters.threshold_otsu", "uint16", u2, {})
    yield Case("filters.apply_hysteresis_threshold", "float32", f4, {"low": 0.4, "high": 0.7})
    yield Case("exposure.equalize_hist", "uint8", u1, {})
    yield Case("exposure.equalize_adapthist", "uint8", u1, {})
    yield Case("morphology.erosion", "uint8 disk 7", u1, {"footprint": disk})
    yield Case("morphology.opening", "uint8 disk 7", u1, {"footprint": disk})
    yield Case("morphology.white_tophat", "uint8 disk 7", u1, {"footprint": disk})
    yield Case("restoration.rolling_ball", "uint8 r25", u1[quarter], {"radius": 25})
    yield Case("restoration.denoise_tv_chambolle", "float32", f4, {})
    yield Case("restoration.denoise_nl_means", "float32", f4[quarter], {"patch_distance": 7})
    yield Case("restoration.denoise_bilateral", "float32", f4[quarter], {"sigma_spatial": 2})
    yield Case("measure.label", "mask", mask, {})
    yield Case("measure.label", "uint8", mask.view(np.uint8), {})
    yield Case("morphology.remove_small_objects", "mask", mask, {})
    yield Case("morphology.remove_small_holes", "mask", mask, {})
    columns = ("label", "area", "centroid", "bbox", "mean_intensity")
    params = {"intensity_image": u2, "properties": columns}
    yield Case("measure.regionprops_table", "uint16", labels, params)
    yield Case("morphology.local_maxima", "uint8", u1, {})
    yield Case("morphology.local_maxima", "float32", smooth, {})
    yield Case("morphology.skeletonize", "mask", mask, {})
    yield Case("feature.canny", "float32", f4, {"sigma": 2})
    yield Case("feature.peak_local_max", "float32", smooth, {"min_distance": 5})
    yield Case("feature.hog", "float32", f4[half], {})
    yield Case("transform.rescale", "float32", f4, {"scale": 0.5, "anti_aliasing": True})
    yield Case("segmentation.expand_labels", "int32", labels, {"distance": 5})
    seeds = ndi.label(morphology.local_minima(ndi.gaussian_filter(f4[half], 3)))[0]
    yield Case("segmentation.watershed", "float32", smooth[half], {"markers": seeds})
    params = {"markers": labels[half], "mask": mask[half]}
    yield Case("segmentation.watershed", "mask", -smooth[half], params)


def volumes(size: int) -> Iterator[Case]:
    """Yield the basket's operations on volumes, smaller where scikit-image needs minutes."""
    grey = photograph(2 * size)[:size, :size]
    rng = np.random.default_rng(0)
    stack = np.stack([np.roll(grey, (z, -z // 2), (0, 1)) for z in range(size)])
    u1 = np.clip(stack + rng.normal(0, 4, stack.shape), 0, 255).astype(np.uint8)
    u2, f4 = u1.astype(np.uint16) * 257, (u1 / 255).astype(np.float32)
    smooth = ndi.gaussian_filter(f4, 2)
    mask = smooth > 0.45
    labels = ndi.label(mask)[0]
    half, quarter = (np.s_[: size // n, : size // n, : size // n] for n in (2, 4))
    ball, box = morphology.ball(3), np.ones((3, 3, 3), np.uint8)
    yield Case("filters.gaussian", "uint16", u2, {"sigma": 2})
    yield Case("filters.gaussian", "float32", f4, {"sigma": 2})
    yield Case("filters.difference_of_gaussians", "float32", f4, {"low_sigma": 1, "high_sigma": 4})
    yield Case("filters.unsharp_mask", "float32", f4, {"radius": 2})
    yield Case("filters.median", "uint8 3x3x3", u1[half], {"footprint": box})
    yield Case("filters.median", "uint16 ball 3", u2[quarter], {"footprint": ball})
    yield Case("filters.rank.mean", "uint8 ball 3", u1[half], {"footprint": ball})
    yield Case("filters.rank.median", "uint8 ball 3", u1[half], {"footprint": ball})
    yield Case("filters.sobel", "float32", f4, {})
    yield Case("filters.sato", "float32", f4[half], {"sigmas": (1, 2), "black_ridges": False})
    yield Case("filters.frangi", "float32", f4[half], {"sigmas": (1, 2), "black_ridges": False})
    yield Case("filters.threshold_local", "uint8", u1, {"block_size": 35})
    yield Case("filters.threshold_sauvola", "uint8", u1[half], {"window_size": 15})
    yield Case("filters.threshold_otsu", "uint16", u2, {})
    yield Case("filters.apply_hysteresis_threshold", "float32", f4, {"low": 0.4, "high": 0.7})
    yield Case("exposure.equalize_hist", "uint8", u1, {})
    yield Case("exposure.equalize_adapthist", "uint8", u1[half], {})
    yield Case("morphology.erosion", "uint8 ball 3", u1, {"footprint": ball})
    yield Case("morphology.opening", "uint16 ball 3", u2[half], {"footprint": ball})
    yield Case("restoration.rolling_ball", "uint8 r10", u1[quarter], {"radius": 10})
    yield Case("restoration.denoise_tv_chambolle", "float32", f4[half], {})
    params = {"patch_size": 3, "patch_distance": 3}
    yield Case("restoration.denoise_nl_means", "float32", f4[quarter], params)
    yield Case("measure.label", "mask", mask, {})
    yield Case("measure.label", "uint8", mask.view(np.uint8), {})
    yield Case("morphology.remove_small_objects", "mask", mask, {})
    yield Case("morphology.remove_small_holes", "mask", mask, {})
    columns = ("label", "area", "centroid", "bbox", "mean_intensity")
    params = {"intensity_image": u2, "properties": columns}
    yield Case("measure.regionprops_table", "uint16", labels, params)
    yield Case("morphology.local_maxima", "uint8", u1[half], {})
    yield Case("morphology.local_maxima", "float32", smooth, {})
    yield Case("morphology.skeletonize", "mask", mask[half], {})
    yield Case("feature.peak_local_max", "float32", smooth, {"min_distance": 5})
    yield Case("transform.rescale", "float32", f4, {"scale": 0.5, "anti_aliasing": True})
    yield Case("segmentation.expand_labels", "int32", labels, {"distance": 5})
    seeds = ndi.label(morphology.local_minima(ndi.gaussian_filter(f4[half], 3)))[0]
    yield Case("segmentation.watershed", "float32", smooth[half], {"markers": seeds})
    part = labels[half]
    params = {"markers": part, "mask": mask[half]}
    yield Case("segmentation.watershed", "mask", -smooth[half], params)
