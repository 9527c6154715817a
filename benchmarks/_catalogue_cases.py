"""Every operation of the catalogue, with its defaults and the parameters that change its course."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from _cases import Case
from _other_images import image, labels
from scipy import ndimage as ndi
from skimage import morphology
from small_images import parameters

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TYPES = ("u1", "u2", "f4", "f8", "b1", "labels", "rgb u1", "rgb f4", "rgb f8", "rgba f8")
"""The images that each operation meets; what it does not take is left out."""

DISK = morphology.disk(3)


def _circle(pixels: np.ndarray) -> np.ndarray:
    """Return points along a circle within an image."""
    turns = np.linspace(0, 2 * np.pi, 100)
    half = np.array(pixels.shape) / 2
    return np.stack([np.sin(turns), np.cos(turns)], 1) * half * 0.8 + half


def _scattered(pixels: np.ndarray) -> np.ndarray:
    """Return a mask of a thousandth of the pixels of a plane."""
    return np.random.default_rng(1).random(pixels.shape[:2]) < 1e-3


def _seeds(pixels: np.ndarray) -> np.ndarray:
    """Return two seeds in opposite corners."""
    seeds = np.zeros(pixels.shape[:2], np.int32)
    seeds[:9, :9], seeds[-9:, -9:] = 1, 2
    return seeds


def _angles(pixels: np.ndarray) -> np.ndarray:
    return np.linspace(-90, 89, pixels.shape[1]) * np.pi / 180


def _distances(pixels: np.ndarray) -> np.ndarray:
    return np.arange(pixels.shape[0], dtype=float)


def _moved(pixels: np.ndarray) -> np.ndarray:
    """Return the coordinates of an image moved by fractions of a pixel."""
    return np.indices(pixels.shape) + 0.3


def _halves(pixels: np.ndarray) -> tuple[int, ...]:
    return tuple(n // 2 for n in pixels.shape[:2])


def _doubles(pixels: np.ndarray) -> tuple[int, ...]:
    return tuple(n * 3 // 2 for n in pixels.shape[:2])


def P(**values: Any) -> dict[str, Any]:
    """Return parameters; a function of this module among them gets the image."""
    return values


NEEDED: dict[str, dict[str, Any]] = {
    "segmentation.active_contour": P(snake=_circle),
    "segmentation.random_walker": P(labels=_seeds),
    "restoration.denoise_invariant": P(
        denoise_function=ndi.gaussian_filter, denoiser_kwargs=P(sigma=1)
    ),
    "restoration.cycle_spin": P(func=ndi.gaussian_filter, max_shifts=1, func_kw=P(sigma=1)),
    "restoration.inpaint_biharmonic": P(mask=_scattered),
    "transform.hough_line_peaks": P(angles=_angles, dists=_distances),
    "transform.hough_circle_peaks": P(radii=np.arange(10, 12)),
    "ndimage.generic_gradient_magnitude": P(derivative=ndi.sobel),
    "ndimage.generic_filter": P(function=np.max, size=3),
    "ndimage.map_coordinates": P(coordinates=_moved),
    "util.random_noise": P(rng=0),
    "numpy.take": P(indices=3, axis=0),
    "feature.corner_orientations": P(mask=DISK),
}
"""What `small_images.REQUIRED` has no value for."""

FURTHER: dict[str, tuple[dict[str, Any], ...]] = {
    "transform.resize": (
        P(output_shape=_halves, anti_aliasing=True),
        P(output_shape=_halves, order=0),
        P(output_shape=_doubles),
        P(output_shape=_doubles, order=3),
        P(output_shape=_doubles, order=0, preserve_range=True),
    ),
    "transform.rescale": (
        P(scale=2),
        P(scale=0.7, anti_aliasing=True),
        P(scale=1.5, order=0),
        P(scale=0.3, order=3),
    ),
    "transform.rotate": (
        P(angle=90),
        P(angle=30, resize=True),
        P(angle=30, order=0),
        P(angle=30, order=3, mode="reflect"),
    ),
    "transform.warp": (
        P(inverse_map=np.array([[0.9, 0.1, 5], [-0.1, 0.9, 5], [0, 0, 1]])),
        P(inverse_map=np.array([[0.9, 0.1, 5], [-0.1, 0.9, 5], [1e-4, 0, 1]])),
        P(inverse_map=np.eye(3), order=3),
        P(inverse_map=np.eye(3), order=0, preserve_range=True),
    ),
    "transform.swirl": (P(strength=10, radius=200), P(strength=10, radius=200, order=3)),
    "transform.warp_polar": (P(scaling="log"), P(radius=200), P(order=3)),
    "transform.downscale_local_mean": (P(factors=(3, 4)), P(factors=8)),
    "transform.resize_local_mean": (P(output_shape=_doubles),),
    "transform.pyramid_reduce": (P(downscale=3), P(preserve_range=True)),
    "transform.pyramid_expand": (P(upscale=3), P(order=3)),
    "transform.pyramid_gaussian": (P(max_layer=3), P(downscale=3)),
    "transform.pyramid_laplacian": (P(max_layer=3),),
    "transform.hough_line": (P(theta=np.linspace(0, 3, 30)),),
    "transform.hough_circle": (P(radius=np.arange(10, 13)),),
    "transform.radon": (P(theta=np.arange(0, 180, 30), circle=False),),
    "transform.iradon": (P(filter_name=None), P(interpolation="cubic")),
    "transform.integral_image": (P(dtype=float),),
    "exposure.adjust_gamma": (P(gamma=2), P(gamma=0.5, gain=2)),
    "exposure.adjust_log": (P(inv=True),),
    "exposure.adjust_sigmoid": (P(inv=True),),
    "exposure.rescale_intensity": (
        P(in_range=(10, 200)),
        P(out_range="uint8"),
        P(out_range=(0, 1)),
    ),
    "exposure.equalize_hist": (P(nbins=1000),),
    "exposure.histogram": (P(nbins=100), P(normalize=True), P(source_range="dtype")),
    "exposure.cumulative_distribution": (P(nbins=100),),
    "exposure.is_low_contrast": (P(fraction_threshold=0.3),),
    "util.compare_images": (P(method="blend"), P(method="checkerboard")),
    "util.random_noise": (P(mode="poisson"), P(mode="s&p"), P(mode="speckle"), P(mode="localvar")),
    "util.crop": (P(crop_width=((10, 20), (30, 40))), P(crop_width=5, copy=True)),
    "util.invert": (P(signed_float=True),),
    "color.gray2rgba": (P(alpha=0.5),),
    "color.label2rgb": (P(bg_label=0), P(kind="avg")),
    "color.rgb2lab": (P(illuminant="D50"),),
    "color.convert_colorspace": (P(fromspace="RGB", tospace="YCbCr"),),
    "color.rgba2rgb": (P(background=(0, 0.5, 1)),),
    "feature.local_binary_pattern": (
        P(P=8, R=1, method="uniform"),
        P(P=16, R=2, method="ror"),
        P(P=8, R=1, method="var"),
        P(P=24, R=3, method="nri_uniform"),
    ),
    "feature.graycomatrix": (
        P(distances=[1, 3], angles=[0, 1.6]),
        P(distances=[1], angles=[0], symmetric=True, normed=True),
    ),
    "feature.daisy": (P(step=16, radius=24), P(step=8, normalization="daisy")),
    "feature.multiscale_basic_features": (P(sigma_max=4), P(edges=False, texture=False)),
    "feature.match_template": (P(pad_input=True),),
    "feature.shape_index": (P(sigma=3),),
    "feature.corner_fast": (P(n=9, threshold=0.1),),
    "feature.corner_peaks": (P(min_distance=5), P(num_peaks=10)),
    "feature.corner_harris": (P(method="eps"), P(sigma=3)),
    "feature.corner_foerstner": (P(sigma=3),),
    "feature.structure_tensor": (P(sigma=3, order="xy"),),
    "feature.hessian_matrix": (
        P(sigma=3, use_gaussian_derivatives=False),
        P(sigma=3, use_gaussian_derivatives=True),
    ),
    "feature.blob_dog": (P(max_sigma=10, threshold=0.1),),
    "feature.blob_log": (P(max_sigma=10, num_sigma=4, threshold=0.1),),
    "feature.blob_doh": (P(max_sigma=10, num_sigma=4),),
    "restoration.wiener": (P(balance=0.1, psf=np.ones((7, 7)) / 49, clip=False),),
    "restoration.unsupervised_wiener": (P(clip=False),),
    "restoration.richardson_lucy": (P(num_iter=5), P(filter_epsilon=0.01)),
    "restoration.estimate_sigma": (P(average_sigmas=True),),
    "restoration.denoise_wavelet": (P(method="VisuShrink", mode="hard"), P(wavelet="db2")),
    "ndimage.shift": (
        P(shift=(10, 3), order=1),
        P(shift=1.5, order=0),
        P(shift=1.5, mode="wrap"),
        P(shift=(5, 0)),
    ),
    "ndimage.zoom": (
        P(zoom=2),
        P(zoom=0.5, order=1),
        P(zoom=1.5, order=0),
        P(zoom=2, order=1, mode="nearest"),
    ),
    "ndimage.rotate": (P(angle=90), P(angle=30, order=1), P(angle=30, reshape=False, order=0)),
    "ndimage.affine_transform": (
        P(matrix=np.array([[0.9, 0.1], [-0.1, 0.9]]), order=1),
        P(matrix=np.array([0.5, 0.8])),
        P(matrix=np.array([[0.9, 0.1], [-0.1, 0.9]])),
    ),
    "ndimage.map_coordinates": (P(order=1), P(order=0)),
    "ndimage.percentile": (P(q=[1, 99]),),
    "measure.block_reduce": (
        P(block_size=4, func=np.max),
        P(block_size=(3, 4), func=np.mean),
        P(block_size=2, func=np.median),
        P(block_size=2, func=np.min),
    ),
    "measure.profile_line": (P(linewidth=9), P(order=1)),
    "measure.blur_effect": (P(h_size=5),),
    "measure.moments": (P(order=2),),
    "measure.moments_central": (P(order=2),),
    "measure.shannon_entropy": (P(base=10),),
    "measure.euler_number": (P(connectivity=1),),
    "measure.perimeter": (P(neighborhood=8),),
    "measure.perimeter_crofton": (P(directions=2),),
    "segmentation.find_boundaries": (P(mode="inner"), P(mode="outer"), P(mode="subpixel")),
    "segmentation.mark_boundaries": (P(mode="inner"),),
    "numpy.mean": (P(axis=0), P(axis=1)),
    "numpy.max": (P(axis=0), P(axis=1)),
    "numpy.sum": (P(axis=0),),
    "numpy.std": (P(axis=0),),
    "numpy.median": (P(axis=0),),
}
"""Further parameters, each set by itself on the needed ones."""

for _name in ("sum", "mean", "variance", "standard_deviation", "minimum", "maximum", "median",
              "minimum_position", "maximum_position", "extrema", "center_of_mass"):  # fmt: skip
    FURTHER[f"ndimage.{_name}"] = (
        P(labels=lambda pixels: labels("speckle", "i4", pixels.shape)),
        P(
            labels=lambda pixels: labels("speckle", "i4", pixels.shape),
            index=lambda pixels: np.arange(labels("speckle", "i4", pixels.shape).max() + 1),
        ),
    )
CALLED = ("derivative", "function", "func", "denoise_function", "dtype")
"""Parameters whose values are functions for the operation itself."""


@cache
def pixels_of(kind: str, size: int) -> np.ndarray:
    """Return an image by the name of its type."""
    channels, _, dtype = kind.rpartition(" ")
    if kind == "labels":
        return labels("speckle", "i4", (size, size))
    plane = image("photograph", dtype, (size, size))
    if not channels:
        return plane
    planes = [plane, plane.T, plane[::-1], plane[:, ::-1]]
    return np.ascontiguousarray(np.stack(planes[: len(channels)], -1))


def catalogue(only: str) -> Iterator[tuple[str, Callable[[int], Case | None]]]:
    """Yield the label of each case, and what makes it for a side; None: a value is missing."""
    for name in tw.OPERATIONS:
        if name.startswith(only):
            for kind in TYPES:
                for further in ({}, *FURTHER.get(name, ())):
                    text = ", ".join(f"{key}={_text(value)}" for key, value in further.items())
                    label = f"{kind} ({text})"
                    yield f"{name} {label}", partial(_case, name, label, kind, further)


def _text(value: Any) -> str:
    """Return a value in short."""
    if isinstance(value, np.ndarray):
        return "x".join(map(str, value.shape)) + f"/{value.sum():.3g}"
    return str(getattr(value, "__name__", value)).strip("_<>").replace("'", "")


def _case(name: str, label: str, kind: str, further: dict[str, Any], size: int) -> Case | None:
    pixels = pixels_of(kind, size)
    values = {
        key: value(pixels) if callable(value) and key not in CALLED else value
        for key, value in (NEEDED.get(name, {}) | further).items()
    }
    params = parameters(tw.OPERATIONS[name], pixels, values)
    return None if params is None else Case(name, f"{size} {label}", pixels, params)
