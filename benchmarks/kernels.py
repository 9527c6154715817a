"""Each kernel against the function that it stands for: processor time, one thread, in turns.

Processor time, because a machine that others use too makes wall time mean nothing. The results are
compared before anything is measured.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage import feature, filters, measure, morphology, restoration, segmentation

from napari_tilewise.kernels import KERNELS, available, level

Case = tuple[str, str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def images(size: int) -> dict[str, np.ndarray]:
    """Return grey images, a mask of blobs and one of noise, labels."""
    rng = np.random.default_rng(0)
    smooth = ndi.gaussian_filter(rng.random((size, size), dtype=np.float32), 4)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    grey = np.clip(smooth + rng.normal(0, 0.05, smooth.shape), 0, 1).astype(np.float32)
    return {
        "f4": grey,
        "u1": (grey * 255).astype(np.uint8),
        "u2": (grey * 4095).astype(np.uint16),
        "blobs": smooth > 0.5,
        "noise": rng.random(smooth.shape) > 0.5,
        "volume": ndi.gaussian_filter(rng.random((size // 16,) * 3, dtype=np.float32), 2),
    }


def cases(image: dict[str, np.ndarray]) -> Iterator[Case]:
    """Yield what is measured: kernel, label, function, arguments, parameters."""
    for name in ("u1", "u2", "f4"):
        grey = image[name]
        for sigma in (2, 5):
            yield gaussian(grey, f"gaussian {name} s{sigma}", sigma)
        yield from windows(name, grey)
    yield gaussian(image["volume"], "gaussian 3-D f4 s2", 2)
    small = morphology.remove_small_objects, morphology.remove_small_holes
    for name in ("blobs", "noise"):
        mask = image[name]
        yield "skimage.measure.label", f"label {name}", measure.label, (mask,), {}
        grey = mask.astype(np.uint8)
        yield "skimage.measure.label", f"label u1 {name}", measure.label, (grey,), {}
        for function in small:
            path = f"skimage.morphology.{function.__name__}"
            yield path, f"{function.__name__} {name}", function, (mask,), {}
        thin = morphology.skeletonize
        yield "skimage.morphology.skeletonize", f"skeletonize {name}", thin, (mask,), {}
    for name in ("u1", "f4"):
        grey = image[name]
        maxima = morphology.local_maxima
        yield "skimage.filters.sobel", f"sobel {name}", filters.sobel, (grey,), {}
        yield "skimage.morphology.local_maxima", f"local_maxima {name}", maxima, (grey,), {}
    yield from parts(image)
    yield from volumes(image["volume"])
    variation = restoration.denoise_tv_chambolle
    path = "skimage.restoration.denoise_tv_chambolle"
    yield path, "denoise_tv_chambolle f4", variation, (image["f4"][:512, :512],), {}


def parts(image: dict[str, np.ndarray]) -> Iterator[Case]:
    """Yield what takes scikit-image so long that a part of the image shows as much."""
    for name in ("u1", "u2", "f4"):
        grey = image[name][:256, :256]
        ball = restoration.rolling_ball
        path = "skimage.restoration.rolling_ball"
        yield path, f"rolling_ball {name} r25", ball, (grey,), {"radius": 25}
    grey = image["f4"][:256, :256].copy()
    bilateral = restoration.denoise_bilateral
    path = "skimage.restoration.denoise_bilateral"
    yield path, "denoise_bilateral f4 s2", bilateral, (grey,), {"sigma_spatial": 2}
    for sigmas in ((1, 2, 3), (2, 4)):
        for function in (filters.sato, filters.frangi):
            label = f"{function.__name__} f4 {sigmas}"
            yield (
                f"skimage.filters.{function.__name__}",
                label,
                function,
                (grey,),
                {"sigmas": sigmas},
            )
    path, means = "skimage.restoration.denoise_nl_means", restoration.denoise_nl_means
    yield path, "denoise_nl_means f4", means, (grey,), {}
    path = "skimage.feature.hog"
    yield path, "hog f4", feature.hog, (image["f4"][:512, :512],), {}
    sauvola = filters.threshold_sauvola
    path = "skimage.filters.threshold_sauvola"
    yield path, "threshold_sauvola u1 w25", sauvola, (image["u1"],), {"window_size": 25}
    levels = image["u2"].ravel()
    yield "numpy.bincount", "bincount u2", np.bincount, (levels,), {}
    for name in ("u1", "f4"):
        grey = image[name]
        seeds = ndi.label(morphology.local_minima(ndi.gaussian_filter(grey, 3)))[0]
        flood = segmentation.watershed
        yield "skimage.segmentation.watershed", f"watershed {name}", flood, (grey, seeds), {}


def volumes(image: np.ndarray) -> Iterator[Case]:
    """Yield what volumes have a kernel of their own for."""
    mask = image > np.median(image)
    labels = ndi.label(image > np.quantile(image, 0.9))[0]
    thin, expand = morphology.skeletonize, segmentation.expand_labels
    means = restoration.denoise_nl_means
    near = {"patch_size": 3, "patch_distance": 3}
    part = image[:32, :32, :32].copy()
    yield "skimage.morphology.skeletonize", "skeletonize 3-D", thin, (mask,), {}
    yield "skimage.segmentation.expand_labels", "expand_labels 3-D", expand, (labels, 5), {}
    yield "skimage.restoration.denoise_nl_means", "denoise_nl_means 3-D f4", means, (part,), near


def gaussian(grey: np.ndarray, label: str, sigma: float) -> Case:
    """Return the case of a Gaussian."""
    return "skimage.filters.gaussian", label, filters.gaussian, (grey,), {"sigma": sigma}


def windows(name: str, grey: np.ndarray) -> Iterator[Case]:
    """Yield what works over windows."""
    box, disk = np.ones((5, 5)), morphology.disk(7)
    # SciPy and the rank filters need seconds: a part of the image shows as much.
    part = grey[:256, :256]
    yield "skimage.filters.median", f"median {name} 5x5", filters.median, (part, box), {}
    path, percentile = "scipy.ndimage.percentile_filter", ndi.percentile_filter
    yield path, f"percentile_filter {name} 5x5", percentile, (part, 25, 5), {}
    for function in (morphology.erosion, morphology.opening):
        path = f"skimage.morphology.{function.__name__}"
        yield path, f"{function.__name__} {name} disk 7", function, (part, disk), {}
    if grey.dtype.kind == "u":
        yield "skimage.filters.median", f"median {name} disk 7", filters.median, (part, disk), {}
        for rank in (filters.rank.mean, filters.rank.median):
            path = f"skimage.filters.rank.{rank.__name__}"
            yield path, f"rank.{rank.__name__} {name} disk 7", rank, (part, disk), {}


def seconds(function: Callable[[], Any]) -> float:
    """Return the processor seconds of one call."""
    begin = time.process_time()
    function()
    return time.process_time() - begin


def best_of(case: Case, rounds: int) -> tuple[float, float]:
    """Return the best processor seconds of the function and of the kernel."""
    path, label, function, args, params = case
    kernel = KERNELS[path]
    warnings.simplefilter("ignore")  # of rank filters on deep images
    if not kernel.accepts(*args, **params):
        raise SystemExit(f"{label}: the kernel does not accept this call")
    np.testing.assert_equal(kernel.run(*args, **params), function(*args, **params))
    best = [float("inf")] * 2
    for _ in range(rounds):
        best[0] = min(best[0], seconds(lambda: function(*args, **params)))
        best[1] = min(best[1], seconds(lambda: kernel.run(*args, **params)))
    return best[0], best[1]


def main() -> None:
    """Print a table of ratios and their geometric mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=5, help="of which the best counts")
    parser.add_argument("--only", default="", help="part of a case's label")
    options = parser.parse_args()
    if not available():
        print("0 cases: kernels are off, or were not compiled")
        return
    print(f"instruction set: {level()}; {options.size} x {options.size}; processor milliseconds")
    print(f"{'case':38}{'function':>10}{'kernel':>10}{'ratio':>8}")
    ratios = []
    for case in cases(images(options.size)):
        if options.only not in case[1]:
            continue
        theirs, ours = best_of(case, options.rounds)
        ratios.append(theirs / max(ours, 1e-6))
        print(f"{case[1]:38}{theirs * 1e3:10.2f}{ours * 1e3:10.2f}{ratios[-1]:8.1f}")
    if ratios:
        print(f"geometric mean of {len(ratios)}: {np.exp(np.mean(np.log(ratios))):.2f}")


if __name__ == "__main__":
    main()
