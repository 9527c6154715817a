"""A chain fused into passes against its steps run one after another through disk: aim at 2x.

The same operations, the same memory budget, and the results compared; the source's chunks that
the fused run reads are counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from skimage import data

import napari_tilewise as tw
from napari_tilewise.runs.plan import plan

CHUNK = 512
CHAIN: list[tuple[str, dict[str, Any]]] = [
    ("filters.gaussian", {"sigma": 2}),
    ("filters.sobel", {}),
    ("filters.threshold_otsu", {}),
    ("measure.label", {}),
    ("morphology.remove_small_objects", {"max_size": 30}),
    ("measure.regionprops_table", {"properties": ("label", "area", "bbox", "centroid")}),
]


class Counted:
    """An array that counts the chunks that are read of it."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks
        self.read = 0

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        """Read a box, which the engine asks for chunk by chunk."""
        self.read += 1
        return np.asarray(self.array[box])


def image(size: int, path: Path) -> Any:
    """Return a galaxy field of this size in a Zarr on disk, mirrored from scikit-image's."""
    field = data.hubble_deep_field().astype(np.uint16).sum(axis=-1, dtype=np.uint16)
    rows, columns = field.shape
    pixels = np.pad(field, ((0, size - rows), (0, size - columns)), mode="symmetric")
    array = zarr.create_array(path, data=pixels, chunks=(CHUNK, CHUNK))
    return zarr.open_array(array.store_path)


def in_one(source: Any, folder: Path, memory: str) -> tuple[float, Any]:
    """Return the seconds and the table of the fused run."""
    started = time.perf_counter()
    result = tw.run(CHAIN, source, folder / "fused.csv", memory=memory)
    return time.perf_counter() - started, result.value


def one_by_one(source: Any, folder: Path, memory: str) -> tuple[float, Any]:
    """Return the seconds and the table of the steps run one after another through disk."""
    started = time.perf_counter()
    for number, step in enumerate(CHAIN[:-1]):
        path = folder / f"{number}.ome.zarr"
        tw.run([step], source, path, memory=memory, pyramid=False)
        source = path
    result = tw.run([CHAIN[-1]], source, folder / "steps.csv", memory=memory)
    return time.perf_counter() - started, result.value


def main() -> None:
    """Measure both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=6144)
    parser.add_argument("--memory", default="1 GiB")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Counted(image(args.size, Path(name) / "source.zarr"))
        chunks = (-(-args.size // CHUNK)) ** 2
        run_plan = plan(CHAIN, source, memory=args.memory)
        for decision in run_plan.decisions:
            print(f"  step {decision.step + 1} {CHAIN[decision.step][0]}: {decision}")
        for number in range(args.rounds):
            folder = Path(name) / str(number)
            folder.mkdir()
            source.read = 0
            fused, table = in_one(source, folder, args.memory)
            read = source.read
            steps, expected = one_by_one(source, folder, args.memory)
            equal = all(np.array_equal(table[key], expected[key]) for key in expected)
            print(
                f"{args.size} x {args.size}, {args.memory}: fused {fused:.1f} s, through disk "
                f"{steps:.1f} s: {steps / fused:.1f} times faster; source read "
                f"{read / chunks:.2f} times; {len(table['label'])} objects, identical: {equal}"
            )


if __name__ == "__main__":
    main()
