"""The declared operations against scikit-image: two workers, in turns in one process.

Each case runs with compiled kernels and, in a process of its own, without. The results are compared
before anything is measured; what is printed is scikit-image's best wall time over that of
`tw.apply`. On a machine that others use too, only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage import data, morphology

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Case = tuple[str, str, np.ndarray, dict[str, Any]]


def photograph(size: int) -> np.ndarray:
    """Return a real picture, repeated and mirrored to the size, with a little noise."""
    coins = data.coins()
    pads = [(0, max(0, size - n)) for n in coins.shape]
    grey = np.pad(coins, pads, mode="symmetric")[:size, :size]
    noise = np.random.default_rng(0).normal(0, 4, grey.shape)
    return np.clip(grey + noise, 0, 255).astype(np.uint8)


def cases(size: int) -> Iterator[Case]:
    """Yield what is measured: operation, label, image, parameters."""
    u1 = photograph(size)
    u2, f4 = u1.astype(np.uint16) * 257, (u1 / 255).astype(np.float32)
    small = f4[: size // 4, : size // 4]
    mask = ndi.gaussian_filter(f4, 2) > 0.45
    disk, box = morphology.disk(7), np.ones((5, 5), np.uint8)
    yield "filters.gaussian", "uint16", u2, {"sigma": 2}
    yield "filters.gaussian", "float32", f4, {"sigma": 2}
    yield "filters.difference_of_gaussians", "float32", f4, {"low_sigma": 1, "high_sigma": 4}
    yield "filters.unsharp_mask", "float32", f4, {"radius": 2}
    yield "filters.median", "uint8 5x5", u1, {"footprint": box}
    yield "filters.median", "uint8 disk 7", u1[: size // 2, : size // 2], {"footprint": disk}
    yield "filters.rank.mean", "uint8 disk 7", u1, {"footprint": disk}
    yield "filters.rank.median", "uint8 disk 7", u1, {"footprint": disk}
    yield "filters.sobel", "uint8", u1, {}
    yield "filters.scharr", "float32", f4, {}
    yield "filters.sato", "float32", small, {"sigmas": (1, 2)}
    yield "filters.threshold_local", "uint8", u1, {"block_size": 35}
    yield "filters.threshold_sauvola", "uint8", u1, {"window_size": 25}
    yield "filters.threshold_otsu", "uint16", u2, {}
    yield "exposure.equalize_hist", "uint8", u1, {}
    yield "morphology.erosion", "uint8 disk 7", u1, {"footprint": disk}
    yield "morphology.opening", "uint8 disk 7", u1, {"footprint": disk}
    yield "morphology.white_tophat", "uint8 disk 7", u1, {"footprint": disk}
    yield "restoration.rolling_ball", "uint8 r25", u1[: size // 4, : size // 4], {"radius": 25}
    yield "measure.label", "mask", mask, {}
    yield "morphology.remove_small_objects", "mask", mask, {}
    yield "morphology.remove_small_holes", "mask", mask, {}
    yield "morphology.skeletonize", "mask", mask, {}
    yield "filters.apply_hysteresis_threshold", "float32", f4, {"low": 0.4, "high": 0.7}
    yield "feature.canny", "float32", f4, {"sigma": 2}
    labels = ndi.label(mask)[0]
    yield "segmentation.expand_labels", "int32", labels, {"distance": 5}


def seconds(function: Callable[[], Any]) -> float:
    """Return the wall seconds of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def ratio(case: Case, rounds: int) -> float:
    """Return how many times faster than scikit-image's function an operation is."""
    name, label, image, params = case
    operation = tw.OPERATIONS[name]
    defaults = {key: p.default for key, p in operation.parameters.items() if not p.required}
    arguments = {**defaults, **params}
    calls = (
        lambda: operation.reference(image, **arguments),
        lambda: tw.apply(name, image, **params),
    )
    expected, result = (np.asarray(call()) for call in calls)
    if expected.dtype != result.dtype:
        raise SystemExit(f"{name} {label}: {result.dtype} instead of {expected.dtype}")
    scale = max(1.0, float(np.abs(expected).max())) if expected.dtype.kind == "f" else 1.0
    np.testing.assert_allclose(result, expected, rtol=0, atol=operation.tolerance * scale)
    best = [float("inf")] * 2
    for _ in range(rounds):
        best = [min(b, seconds(call)) for b, call in zip(best, calls, strict=True)]
    return best[0] / best[1]


def measure(size: int, rounds: int) -> None:
    """Print the ratio of each case, one a line, then their geometric mean."""
    warnings.simplefilter("ignore")  # of rank filters on deep images
    ratios = []
    for case in cases(size):
        ratios.append(ratio(case, rounds))
        print(f"{case[0]:36s} {case[1]:14s} {ratios[-1]:8.2f}", flush=True)
    print(f"{'geometric mean':51s} {np.exp(np.mean(np.log(ratios))):8.2f}", flush=True)


def main() -> int:
    """Measure in this process, or in one without kernels and one with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="length of the images in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--here", action="store_true", help="only this process, as it is")
    options = parser.parse_args()
    if options.here:
        measure(options.size, options.rounds)
        return 0
    failed = 0
    command = [sys.executable, __file__, "--here", "--size", str(options.size)]
    for kernels in ("0", ""):
        print(f"-- TILEWISE_KERNELS={kernels}: scikit-image / tw.apply", flush=True)
        environment = {**os.environ, "TILEWISE_KERNELS": kernels}
        run = subprocess.run(
            [*command, "--rounds", str(options.rounds)], env=environment, check=False
        )
        failed += run.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
