"""Reading, computing and sending overlap where source and destination are far away.

A local server, in a process of its own, answers every request for a chunk late, over HTTP and as
much of S3 as s3fs asks for; the operation waits in each tile. Each of the three is timed alone,
then all together: aimed at is 1.15 times the slowest. Nothing but waiting is measured, so that the
figures hardly depend on the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests have the servers
os.environ.setdefault("AWS_ACCESS_KEY_ID", "name")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "secret")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from tests.io.servers import Objects, serve

import napari_tilewise as tw
from napari_tilewise.engine.system.fetchers import FETCHERS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LENGTH = 32
"""Pixels along a side of a chunk, and of a tile."""
WORKERS = 2


def answer_late(folder: Path, seconds: float, pipe: Connection) -> None:
    """Serve a folder in this process until it is ended; every chunk takes so long."""
    files = [path for path in folder.rglob("*") if path.is_file()]

    def delay(method: str, path: str, number: int) -> None:
        if "/c/" in path and method in ("GET", "PUT"):
            time.sleep(seconds)

    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    for address in serve(Objects(contents, fails=delay)):
        pipe.send(address)
        time.sleep(10**6)


@tw.operation(dtype="same", tolerance=0)
def wait_a_while(image: np.ndarray, seconds: float = 0.0) -> np.ndarray:
    """Wait in each tile, and return it."""
    time.sleep(seconds)
    return image


def seconds_of(wait: float, source: Any, destination: str) -> float:
    """Return how long a run takes that waits in each tile."""
    recipe = ("far_away.wait_a_while", {"seconds": wait})
    started = time.perf_counter()
    tw.run(
        recipe, source, destination, workers=WORKERS, executor="threads", pyramid=False,
        memory="4 GiB", resume=False,
    )  # fmt: skip
    return time.perf_counter() - started


def main(chunks: int, delay: float) -> None:
    """Print the four times."""
    from napari_tilewise.runs import planner

    planner.LONGEST_TILE = {2: LENGTH}  # type: ignore[misc]
    planner.default_chunks = lambda *_: (LENGTH, LENGTH)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["NAPARI_TILEWISE_OUTBOX"] = str(folder / "outbox")
        shape = (chunks * LENGTH, LENGTH)
        pixels = np.random.default_rng(0).integers(1, 255, shape).astype(np.uint8)
        zarr.create_array(folder / "in" / "a.zarr", data=pixels, chunks=(LENGTH, LENGTH))
        near, far = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=answer_late, args=(folder / "in", delay, far)
        )
        server.start()
        try:
            address = near.recv()
            os.environ["AWS_ENDPOINT_URL"] = address
            local, remote = pixels, f"{address}/a.zarr"
            quick, slow = 0.0, delay * WORKERS / FETCHERS
            seconds_of(quick, local, f"{folder}/warm.ome.zarr")
            times = {
                "reading": seconds_of(quick, remote, f"{folder}/a.ome.zarr"),
                "computing": seconds_of(slow, local, f"{folder}/b.ome.zarr"),
                "writing": seconds_of(quick, local, "s3://bucket/c.ome.zarr"),
            }
            together = seconds_of(slow, remote, "s3://bucket/d.ome.zarr")
        finally:
            server.kill()
            server.join()
    for variant, seconds in times.items():
        print(f"{variant:10} alone {seconds:6.2f} s")
    slowest = max(times.values())
    print(f"together         {together:6.2f} s: {together / slowest:.2f} x the slowest")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=256)
    parser.add_argument("--delay", type=float, default=0.5, help="seconds of a chunk's request")
    arguments = parser.parse_args()
    main(arguments.chunks, arguments.delay)
