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
from typing import TYPE_CHECKING, Any

import numpy as np
from _page import write_sections
from _peer_cases import comparisons
from _side import TURN, Side, turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from _peer_cases import Comparison

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
