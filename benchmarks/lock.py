"""Which operations hold Python's global lock: how much faster two threads are than one.

An operation whose tiles scale by less than `HOLDS` should say `holds_gil`, so that runs choose
processes for it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests know what each operation takes

from tests.operations.test_declarations import parameters_for, sample

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.operations.spec.operation import Kind, Operation

HOLDS = 1.25
LEAST = 0.05
"""Seconds; what takes less is not worth a process."""


def seconds(op: Operation, image: Any, params: dict[str, Any], workers: int, tile: int) -> float:
    """Return how long an operation takes on an image with so many threads."""
    stack = build(op.as_step(), image, params, Session(workers), StackLayout(tiles=tile))
    started = time.perf_counter()
    compute(stack) if stack.is_image else stack.value()
    return time.perf_counter() - started


def main() -> None:
    """Print the operations that do not scale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="", help="only operations whose name holds this")
    parser.add_argument("--all", action="store_true", help="print those that scale too")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| operation | one thread | two are faster by | declared |\n|---|---|---|---|")
    for name, op in tw.OPERATIONS.items():
        if args.name not in name or op.kind is Kind.WHOLE or op.cost.trial.length is not None:
            continue
        image = sample(name, "uint8")
        params = parameters_for(op, image)
        try:
            seconds(op, image, params, 2, 128)
        except tw.TilewiseError:
            image = image > image.mean()
            params = parameters_for(op, image)
        pairs = [[seconds(op, image, params, n, 128) for n in (1, 2)] for _ in range(2)]
        one_thread, two_threads = (min(times) for times in zip(*pairs, strict=True))
        ratio = one_thread / two_threads
        if one_thread >= LEAST and (args.all or ratio < HOLDS or op.cost.holds_gil):
            declared = "holds it" if op.cost.holds_gil else ""
            print(f"| {name} | {one_thread:.2f} s | {ratio:.2f} | {declared} |", flush=True)


if __name__ == "__main__":
    main()
