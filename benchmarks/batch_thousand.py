"""A batch of 1,000 files of which 27 cannot be done; then again, cancelled, and gone on with.

20 are corrupt, 5 are of another shape, 1 cannot be read and 1 ends the process that works on it.
Expected: 973 done and 27 reported; the second batch does the 27 alone, once they are mended.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import napari_tilewise as tw
from napari_tilewise.batches import ItemDone

SIDE, KILLS = 64, 251


def work(image: np.ndarray) -> np.ndarray:
    """Invert an image of the shape that is expected, unless it is the one that kills."""
    if image.shape != (SIDE, SIDE):
        raise ValueError(f"expected {(SIDE, SIDE)}, not {image.shape}")
    if image[0, 0] == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    return 255 - image


def write(path: Path, number: int) -> None:
    """Write a file that is all right."""
    tifffile.imwrite(path, np.full((SIDE, SIDE), number % 250, np.uint8))


def prepare(folder: Path, count: int) -> list[int]:
    """Write the files and return the numbers of those that cannot be done."""
    for number in range(count):
        write(folder / f"{number}.tif", number)
    bad = [int(number) for number in np.linspace(3, count - 1, 27)]
    for number in bad[:20]:
        path = folder / f"{number}.tif"
        path.write_bytes(path.read_bytes()[:9])
    for number in bad[20:25]:
        tifffile.imwrite(folder / f"{number}.tif", np.zeros((9, number % 50 + 9), np.uint8))
    (folder / f"{bad[25]}.tif").unlink()
    (folder / f"{bad[25]}.tif").symlink_to(folder / "gone")
    tifffile.imwrite(folder / f"{bad[26]}.tif", np.full((SIDE, SIDE), KILLS, np.uint8))
    return bad


def timed(title: str, *args: Any, **options: Any) -> Any:
    """Run a batch, print what came of it, and return its report."""
    started = time.perf_counter()
    report = tw.batch(*args, **options)
    print(f"  {title}: {report}; {time.perf_counter() - started:.1f} s")
    return report


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        files, out = Path(name) / "in", Path(name) / "out"
        files.mkdir()
        bad = prepare(files, args.files)
        first = timed("first", work, files, out, backend="loky")
        reported = sorted(int(row["item"]) for row in first.rows if row["status"] == "failed")
        print(f"  the failed are the 27 bad ones: {reported == bad}")
        killer = next(row for row in first.rows if row["item"] == str(bad[26]))
        print(f"  {killer['error']}")
        timed("again", work, [files / f"{n}.tif" for n in range(args.files) if n != bad[26]], out)
        for number in bad:
            (files / f"{number}.tif").unlink()
            write(files / f"{number}.tif", number)
        timed("mended", work, files, out)

        cancel = threading.Event()

        def listen(event: object) -> None:
            if isinstance(event, ItemDone) and event.done == args.files // 3:
                cancel.set()

        other = Path(name) / "other"
        for backend in ("loky", "threading"):
            cancel.clear()
            destination = other / backend
            timed(
                f"{backend}, cancelled after {args.files // 3}",
                work, files, destination, backend=backend, progress=listen, cancel=cancel,
            )  # fmt: skip
            timed(f"{backend}, gone on with", work, files, destination, backend=backend)


if __name__ == "__main__":
    main()
