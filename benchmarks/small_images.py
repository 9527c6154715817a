"""Small images in memory: operations against the functions that they are named after, in turns.

Nothing that tiles bring can pay there, so what is measured is what `tw.apply` adds to the function:
checks, binding, the choice of a kernel. Defaults, and `REQUIRED` where there are none; images of
the types that a function takes. The best processor time of many rounds in one process.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from _cases import photograph
from scipy import ndimage as ndi
from skimage import morphology

import napari_tilewise as tw
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WEIGHTS = np.ones((3, 3)) / 9
POINTS = np.array([[20, 30], [100, 110]])
REQUIRED: dict[str, Any] = {
    "low_sigma": 1, "low": 0.4, "high": 0.7, "frequency": 0.2, "kernel": WEIGHTS, "h": 0.1,
    "footprint": morphology.disk(3), "seed_point": (5, 5), "new_value": 1, "src": (0, 0),
    "dst": (100, 200), "psf": WEIGHTS, "balance": 0.1, "P": 8, "R": 1, "distances": [1],
    "angles": [0.0], "scale": 0.5, "factors": 2, "angle": 10, "crop_width": 5, "sigma": 1,
    "size": 3, "weights": WEIGHTS, "percentile": 50, "rank": 2, "min": 0, "max": 1, "bins": 16,
    "q": 50, "shift": 1.5, "zoom": 0.5, "matrix": np.eye(2), "num_iter": 2, "radius": 3,
    "min_distance": 3, "corners": POINTS, "start": [(0, 0)], "end": [(9, 9)],
    "fromspace": "RGB", "tospace": "HSV", "inverse_map": np.eye(3), "input_vals": np.arange(256),
    "output_vals": np.arange(256)[::-1].copy(), "conv_matrix": np.eye(3),
}  # fmt: skip
FURTHER = {
    "mask", "image1", "image1_mask", "label_img", "s2", "labels", "lab2", "reference", "x2", "x",
    "y",
}  # fmt: skip
SLOW = 0.05
"""Seconds of a function, above which nothing that is added to it shows."""
MINUTES = {
    "restoration.denoise_nl_means", "restoration.inpaint_biharmonic", "restoration.rolling_ball",
    "transform.hough_ellipse",
}  # fmt: skip
"""What takes seconds to minutes of scikit-image's time for every image: nothing shows there."""
LOSES = 0.97
"""Ratio below which a case is measured once more, for twice as long: the best of all counts."""


def images(size: int) -> dict[str, np.ndarray]:
    """Return an image of each type by its name."""
    u1 = photograph(size)
    f4 = (u1 / 255).astype(np.float32)
    mask = ndi.gaussian_filter(f4, 2) > 0.45
    labels = ndi.label(mask)[0]
    return {
        "u1": u1, "f4": f4, "mask": mask, "labels": labels,
        "rgb": np.stack([u1, u1.T, u1[::-1]], -1),
    }  # fmt: skip


def parameters(
    operation: Any, image: np.ndarray, further: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any] | None:
    """Return what has no default, and further values; None where no table has one."""
    if operation.name.startswith("ndimage.") and operation.name.endswith("1d"):
        weights = {"weights": np.ones(3) / 3}
    else:
        weights = {}
    values = REQUIRED | weights | {
        "output_shape": tuple(n // 2 for n in image.shape[:2]),
        "template": image[50:60, 50:60].copy(),
    }  # fmt: skip
    values |= dict.fromkeys(FURTHER, image)
    needed = [name for name, item in operation.parameters.items() if item.required]
    values |= further
    if not set(needed) <= set(values):
        return None
    return {name: values[name] for name in dict.fromkeys((*needed, *further))}


def best_of(calls: tuple[Callable[[], Any], ...], rounds: int) -> list[float]:
    """Return the best seconds of each call, taken in turns."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for number, call in enumerate(calls):
            begin = time.process_time()
            call()
            best[number] = min(best[number], time.process_time() - begin)
    return best


def cases(size: int, only: str) -> Iterator[tuple[str, str, tuple[Callable[[], Any], ...]]]:
    """Yield operation, type of image, and the two calls, where both give a result."""
    by_kind = images(size)
    for name, operation in tw.OPERATIONS.items():
        if only not in name or name in MINUTES:
            continue
        kinds = 0
        for kind, image in by_kind.items():
            if kinds == 2:
                break
            params = parameters(operation, image)
            if params is None:
                continue
            items = operation.parameters.items()
            defaults = {key: item.default for key, item in items if not item.required}
            theirs = partial(operation.reference, image, **{**defaults, **params})
            ours = partial(tw.apply, name, image, **params)
            begin = time.process_time()
            try:
                theirs()
                if time.process_time() - begin > SLOW:
                    continue
                ours()
            except (TilewiseError, ValueError, TypeError, IndexError, NotImplementedError):
                continue  # not an image that the function takes
            except (AttributeError, RuntimeError, KeyError, ZeroDivisionError):
                continue
            kinds += 1
            yield name, kind, (theirs, ours)


def main() -> int:
    """Print a row per case as it is measured, and how many are slower at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=200, help="at most, for the fastest")
    parser.add_argument("--seconds", type=float, default=0.3, help="for one operation and image")
    parser.add_argument("--only", default="", help="part of an operation's name")
    parser.add_argument("--least", type=float, default=100, help="microseconds that count")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'operation':44s}{'image':8s}{'skimage us':>12s}{'ours us':>10s}{'ratio':>8s}")
    rows = []
    for name, kind, calls in cases(options.size, options.only):
        once = sum(best_of(calls, 2))
        rounds = max(5, min(options.rounds, int(options.seconds / once)))
        best = best_of(calls, rounds)
        if best[0] < LOSES * best[1]:
            best = list(map(min, best, best_of(calls, 2 * rounds)))
        theirs, ours = (1e6 * seconds for seconds in best)
        rows.append((name, theirs, theirs / ours))
        print(f"{name:44s}{kind:8s}{theirs:12.0f}{ours:10.0f}{theirs / ours:8.2f}", flush=True)
    ratios = [ratio for _, theirs, ratio in rows if theirs >= options.least]
    counts = ", ".join(
        f"{sum(r < most for r in ratios)} below {most}" for most in (LOSES, 0.9, 0.8)
    )
    operations = len({name for name, *_ in rows})
    print(
        f"{len(rows)} cases of {operations} operations; of the {len(ratios)} that take "
        f"{options.least:.0f} us and more in scikit-image, {counts}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
