"""The operations that other libraries offer too, against theirs, in turns in one run.

libvips, OpenCV, SimpleITK and dask-image need not be installed here: ``--python`` names the
interpreter of an environment that has them (and scikit-image, whose pictures are measured). Each
side is a process of its own, with its library's own number of threads, and only one computes at a
time. NumPy arrays go in and come out. What is printed is the best wall time of the peer over that
of `tw.apply`: above 1, we are faster. The peers' numbers are their own: nothing is compared. On a
machine that others use, ``--processor`` compares the processor time of all threads instead.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _cases import photograph
from _page import write_sections
from _side import TURN, Side, turn
from scipy import ndimage as ndi
from skimage import morphology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPOSITORY = Path(__file__).parents[1]
MODULES = {
    "libvips": "pyvips",
    "OpenCV": "cv2",
    "SimpleITK": "SimpleITK",
    "dask-image": "dask_image.ndfilters",
}
"""The module of each peer."""

ABOUT = (
    "What other libraries offer too, with their own number of threads and in turns with ours. A",
    "ratio is the best wall time of the library over ours: above 1, we are faster. Their numbers",
    "are their own: nothing is compared.",
)
"""What the page says above the table."""


class Comparison(NamedTuple):
    """An operation of ours, and what peers have in its place."""

    name: str
    label: str
    image: np.ndarray
    params: dict[str, Any]
    peers: Mapping[str, Callable[[Any, np.ndarray], Any]]
    """By peer, a function of its module and the image."""


def _vips(method: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    def run(vips: Any, image: np.ndarray) -> Any:
        return getattr(vips.Image.new_from_array(image), method)(*args, **params).numpy()

    return run


def _itk(name: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    def run(itk: Any, image: np.ndarray) -> Any:
        result = getattr(itk, name)(itk.GetImageFromArray(image), *args, **params)
        return itk.GetArrayFromImage(result)

    return run


def _dask(module: str, name: str, *args: Any, **params: Any) -> Callable[[Any, np.ndarray], Any]:
    def run(_: Any, image: np.ndarray) -> Any:
        import dask.array as da

        function = getattr(importlib.import_module(f"dask_image.{module}"), name)
        result = function(da.from_array(image, chunks=1024), *args, **params)
        return (result[0] if isinstance(result, tuple) else result).compute()

    return run


def _morphology(operation: str, footprint: np.ndarray) -> Callable[[Any, np.ndarray], Any]:
    def run(cv2: Any, image: np.ndarray) -> Any:
        return cv2.morphologyEx(image, getattr(cv2, f"MORPH_{operation}"), footprint)

    return run


def _median(length: int) -> Callable[[Any, np.ndarray], Any]:
    return lambda cv2, image: cv2.medianBlur(image, length)


def _hysteresis(itk: Any, image: np.ndarray) -> Any:
    result = itk.DoubleThreshold(itk.GetImageFromArray(image), 0.4, 0.7, 9.0, 9.0)
    return itk.GetArrayFromImage(result)


def _otsu(cv2: Any, image: np.ndarray) -> Any:
    return cv2.threshold(image, 0, 255, cv2.THRESH_OTSU)[0]


def comparisons(size: int) -> Iterator[Comparison]:
    """Yield what is compared, on planes of a length."""
    u1 = photograph(size)
    u2, f4 = u1.astype(np.uint16) * 257, (u1 / 255).astype(np.float32)
    mask = ndi.gaussian_filter(f4, 2) > 0.45
    disk, box = morphology.disk(7), np.ones((5, 5), np.uint8)
    for label, image in (("uint8", u1), ("uint16", u2), ("float32", f4)):
        for sigma in (2, 5):
            peers = {
                "libvips": _vips("gaussblur", sigma, precision="float"),
                "OpenCV": lambda cv2, image, sigma=sigma: cv2.GaussianBlur(image, (0, 0), sigma),
                "SimpleITK": _itk("DiscreteGaussian", sigma**2),
                "dask-image": _dask("ndfilters", "gaussian_filter", sigma),
            }
            title = f"{label} sigma {sigma}"
            yield Comparison("filters.gaussian", title, image, {"sigma": sigma}, peers)
    for label, image in (("uint8", u1), ("uint16", u2)):
        for length in (3, 5):
            peers = {
                "libvips": _vips("median", length),
                "OpenCV": _median(length),
                "SimpleITK": _itk("Median", [length // 2] * 2),
                "dask-image": _dask("ndfilters", "median_filter", length),
            }
            params = {"footprint": np.ones((length, length))}
            yield Comparison("filters.median", f"{label} {length}x{length}", image, params, peers)
    peers = {
        "libvips": _vips("median", 15),
        "OpenCV": _median(15),
        "SimpleITK": _itk("Median", [7, 7]),
    }
    params = {"footprint": np.ones((15, 15))}
    yield Comparison("filters.median", "uint8 15x15", u1, params, peers)
    for label, image in (("uint8", u1), ("float32", f4)):
        for title, footprint in (("5x5", box), ("disk 7", disk)):
            for name, operation in (("erosion", "ERODE"), ("opening", "OPEN")):
                peers = {"OpenCV": _morphology(operation, footprint)}
                if name == "erosion" and title == "5x5":
                    peers["libvips"] = _vips("rank", 5, 5, 0)
                    peers["SimpleITK"] = _itk("GrayscaleErode", [2, 2], 3)
                if name == "erosion" and title == "disk 7":
                    peers["SimpleITK"] = _itk("GrayscaleErode", [7, 7], 1)
                params = {"footprint": footprint}
                yield Comparison(f"morphology.{name}", f"{label} {title}", image, params, peers)
    yield Comparison(
        "filters.sobel", "float32", f4, {}, {"dask-image": _dask("ndfilters", "sobel")}
    )
    peers = {"SimpleITK": _hysteresis}
    params = {"low": 0.4, "high": 0.7}
    yield Comparison("filters.apply_hysteresis_threshold", "float32", f4, params, peers)
    yield Comparison("filters.threshold_otsu", "uint8", u1, {}, {"OpenCV": _otsu})
    bytes_of_mask = mask.view(np.uint8)
    peers = {
        "OpenCV": lambda cv2, image: cv2.connectedComponents(image)[1],
        "SimpleITK": _itk("ConnectedComponent", True),
        "dask-image": _dask("ndmeasure", "label"),
    }
    yield Comparison("measure.label", "mask", bytes_of_mask, {}, peers)
    part = f4[: size // 4, : size // 4]
    peers = {
        "OpenCV": lambda cv2, image: cv2.bilateralFilter(image, 13, 0.1, 2),
        "SimpleITK": _itk("Bilateral", 2, 0.1),
    }
    params = {"sigma_color": 0.1, "sigma_spatial": 2}
    yield Comparison("restoration.denoise_bilateral", "float32", part, params, peers)
    peers = {"OpenCV": lambda cv2, image: cv2.resize(image, None, fx=0.5, fy=0.5)}
    params = {"scale": 0.5, "anti_aliasing": False}
    yield Comparison("transform.rescale", "float32", f4, params, peers)


# -- one side in a process of its own --------------------------------------------------------------


def serve(options: argparse.Namespace) -> None:
    """Answer each line, the name of a peer or ``tilewise``, with the seconds of a call."""
    clock = time.process_time if options.processor else time.perf_counter
    for case in comparisons(options.size):
        while (line := sys.stdin.readline().strip()) != "next":
            try:
                print(turn(_call(case, line), options.turn, clock)[1], flush=True)
            except (ImportError, AttributeError):
                print("nan", flush=True)
            except Exception as error:  # noqa: BLE001 - a peer that does not take the image
                print(f"{case.name} {case.label}: {line}: {error}", file=sys.stderr)
                print("nan", flush=True)


def _call(case: Comparison, name: str) -> Callable[[], Any]:
    if name == "tilewise":
        import napari_tilewise as tw

        return partial(tw.apply, case.name, case.image, **case.params)
    return partial(case.peers[name], importlib.import_module(MODULES[name]), case.image)


def _side(python: str, options: argparse.Namespace, source: str = "") -> Side:
    """Return a process that holds the images, with our package on our own side."""
    command = [python, __file__, "--serve", "--size", str(options.size)]
    command.append(f"--turn={options.turn}")
    return Side(command + ["--processor"] * options.processor, {"PYTHONPATH": source})


def _best(case: Comparison, ours: Side, theirs: Side, rounds: int) -> dict[str, float]:
    """Return the best seconds of each, the calls in turns."""
    names = ["tilewise", *case.peers]
    best = dict.fromkeys(names, float("inf"))
    for _ in range(rounds):
        for name in names:
            best[name] = np.fmin(best[name], (ours if name == "tilewise" else theirs).seconds(name))
    return best


def main() -> int:
    """Print a row per operation: our milliseconds, and each peer's ratio to them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the peers")
    parser.add_argument("--size", type=int, default=2048, help="length of the images in pixels")
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    parser.add_argument("--only", default="", help="part of an operation's name and label")
    parser.add_argument("--processor", action="store_true", help="compare processor time")
    parser.add_argument("--turn", type=float, default=TURN, help="seconds of calls in a row")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return 0
    print(f"{'operation':36s}{'image':16s}{'ms':>8s}" + "".join(f"{name:>12s}" for name in MODULES))
    lines = [*ABOUT, "", f"| operation | image | ms | {' | '.join(MODULES)} |"]
    lines.append("|---|---|---:|" + "---:|" * len(MODULES))
    ours = _side(sys.executable, options, str(REPOSITORY / "src"))
    with closing(ours), closing(_side(options.python, options)) as theirs:
        for case in comparisons(options.size):
            if options.only in f"{case.name} {case.label}":
                best = _best(case, ours, theirs, options.rounds)
                own = best["tilewise"]
                ratios = [best.get(name, float("inf")) / own for name in MODULES]
                texts = ["" if np.isinf(ratio) else f"{ratio:.2f}" for ratio in ratios]
                row = "".join(f"{text:>12s}" for text in texts)
                print(f"{case.name:36s}{case.label:16s}{own * 1e3:8.1f}{row}", flush=True)
                cells = " | ".join([f"{own * 1e3:.1f}", *texts])
                lines.append(f"| `{case.name}` | {case.label} | {cells} |")
                if options.write:
                    write_sections({"Other libraries": lines})
            for side in (ours, theirs):
                side.tell("next")
    return 0


if __name__ == "__main__":
    sys.exit(main())
