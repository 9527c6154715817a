"""Write `docs/sources.md`: every kind of source with every executor, tried, and what came of it.

``python docs/sources.py`` (``make sources``) takes some minutes; a test tries the sources with
threads, and compares their names with the page.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import FsspecStore, MemoryStore, ZipStore

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE = Path(__file__).with_suffix(".md")
EXECUTORS = ("threads", "processes", "distributed")
PIXELS = np.random.default_rng(0).integers(1, 60000, (150, 130)).astype(np.uint16)
COLOURS = np.random.default_rng(1).integers(0, 255, (60, 50, 3)).astype(np.uint8)
CHUNKS = (64, 64)
GAUSSIAN: tuple[str, dict[str, Any]] = ("filters.gaussian", {"sigma": 1.5, "preserve_range": True})
HEAD = """# Sources and executors, tried

`python docs/sources.py` writes this page: it runs a Gaussian of each source with each executor, and
compares the output with scikit-image's of the same pixels; of colours, with the operation named.

- **equal**: the output has the same bits.
- **refused**: the run ends before anything is computed, with a sentence that names the executors
  that work.

| source | {executors} |
|---|{rules}|
"""


def zarr_of(folder: Path, name: str | None = None) -> Path:
    """Write the pixels as a Zarr, an array in a group where a name is given."""
    path = folder / "a.zarr"
    zarr.create_array(path, name=name, data=PIXELS, chunks=CHUNKS)
    return path


def zarr_path(folder: Path) -> Any:
    """Return a path."""
    return zarr_of(folder)


def zarr_root(folder: Path) -> Any:
    """Return an array."""
    return zarr.open_array(zarr_of(folder), mode="r")


def zarr_in_group(folder: Path) -> Any:
    """Return an array in a group."""
    return zarr.open_group(zarr_of(folder, "a/b"), mode="r")["a/b"]


def zarr_fsspec(folder: Path) -> Any:
    """Return an array in a store of fsspec."""
    store = FsspecStore.from_url(f"file://{zarr_of(folder, 'a')}", read_only=True)
    return zarr.open_array(store, path="a", mode="r")


def zarr_zip(folder: Path) -> Any:
    """Return an array in a zip file."""
    with ZipStore(folder / "a.zip", mode="w") as store:
        zarr.create_array(store, name="a", data=PIXELS, chunks=CHUNKS)
    return zarr.open_array(ZipStore(folder / "a.zip", mode="r"), path="a", mode="r")


def zarr_memory(folder: Path) -> Any:
    """Return an array in memory."""
    return zarr.create_array(MemoryStore(), name="a", data=PIXELS, chunks=CHUNKS)


def zarr_fsspec_memory(folder: Path) -> Any:
    """Return an array in fsspec's memory."""
    url = f"memory://{folder.name}/a.zarr"
    return zarr.create_array(url, name="a", data=PIXELS, chunks=CHUNKS)


def hdf5_path(folder: Path) -> Any:
    """Return the path of a dataset."""
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        file.create_group("plate/a1").create_dataset("x", data=PIXELS, chunks=CHUNKS)
    return f"{folder / 'a.h5'}::/plate/a1/x"


def hdf5_dataset(folder: Path) -> Any:
    """Return a dataset of an open file."""
    import h5py

    hdf5_path(folder)
    return h5py.File(folder / "a.h5", "r")["plate/a1/x"]


def tensorstore(folder: Path) -> Any:
    """Return an open TensorStore."""
    import tensorstore

    kvstore = {"driver": "file", "path": str(zarr_of(folder))}
    return tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result()


def dask_array(folder: Path) -> Any:
    """Return a dask array."""
    import dask.array as da

    return da.from_zarr(zarr_of(folder))


def data_array(folder: Path) -> Any:
    """Return a DataArray with coordinates."""
    import xarray

    coordinates = {"y": np.arange(150) * 0.5, "x": np.arange(130) * 0.5}
    return xarray.DataArray(PIXELS, dims=("y", "x"), coords=coordinates)


def npy_path(folder: Path) -> Any:
    """Return a path."""
    np.save(folder / "a.npy", PIXELS)
    return folder / "a.npy"


def tiff_path(folder: Path) -> Any:
    """Return a path."""
    import tifffile

    tifffile.imwrite(folder / "a.tif", PIXELS, tile=CHUNKS)
    return folder / "a.tif"


def of_type(dtype: Any) -> Callable[[Path], Any]:
    """Return what gives the pixels as a NumPy array of a data type."""
    return lambda folder: PIXELS.astype(dtype)


SOURCES: Mapping[str, Callable[[Path], Any]] = {
    "path of a Zarr": zarr_path,
    "`zarr.Array`, root": zarr_root,
    "`zarr.Array` in a group": zarr_in_group,
    "`zarr.Array`, fsspec store": zarr_fsspec,
    "`zarr.Array`, zip store": zarr_zip,
    "`zarr.Array`, memory store": zarr_memory,
    "`zarr.Array`, fsspec in memory": zarr_fsspec_memory,
    "path of an HDF5 dataset": hdf5_path,
    "h5py dataset in a group": hdf5_dataset,
    "TensorStore": tensorstore,
    "dask array of a Zarr": dask_array,
    "xarray DataArray": data_array,
    "path of a TIFF": tiff_path,
    "path of an `.npy`": npy_path,
    "NumPy, uint16": of_type(np.uint16),
    "NumPy, big-endian uint16": of_type(">u2"),
    "NumPy, big-endian float32": of_type(">f4"),
    "NumPy, long long": of_type(np.longlong),
    "NumPy, unsigned long long": of_type(np.ulonglong),
}
COLOUR_STEPS: Mapping[str, tuple[str, dict[str, Any]]] = {
    f"NumPy colours, no axis names: `{name}`": (name, parameters)
    for name, parameters in {
        "color.rgb2gray": {},
        "color.rgb2hsv": {},
        "color.rgb2hed": {},
        "segmentation.slic": {"n_segments": 9},
    }.items()
}


def outcome(source: Any, step: tuple[str, dict[str, Any]], image: Any, options: Any) -> str:
    """Return what came of a run: ``equal``, ``differs`` or ``refused`` with the sentence."""
    expected = tw.apply(step[0], image, **step[1])
    destination = options.pop("destination")
    try:
        tw.run(step, source, destination, memory="6 GiB", workers=1, **options)
    except tw.TilewiseError as error:
        return "refused" if "threads" in str(error) else f"fails: {error}"
    result = np.asarray(tw.open(destination).data[...])
    if result.shape != np.shape(expected):  # OME-Zarr has channels first
        expected = np.moveaxis(expected, -1, 0)
    return "equal" if np.array_equal(result, expected) else "differs"


def row(name: str, executor: Any, folder: Path) -> str:
    """Return what came of one source with one executor."""
    options = {"executor": executor, "destination": folder / "out.ome.zarr"}
    if name in COLOUR_STEPS:
        return outcome(COLOURS, COLOUR_STEPS[name], COLOURS, options)
    try:
        source = SOURCES[name](folder)
    except ImportError as error:
        return f"not tried: {error.name} is not installed"
    image = PIXELS.astype(source.dtype) if isinstance(source, np.ndarray) else PIXELS
    return outcome(source, GAUSSIAN, image, options)


def main() -> None:
    """Write the page."""
    from distributed import Client, LocalCluster

    lines = []
    with LocalCluster(n_workers=1, threads_per_worker=1) as cluster, Client(cluster) as client:
        for name in (*SOURCES, *COLOUR_STEPS):
            outcomes = []
            for executor in EXECUTORS:
                with tempfile.TemporaryDirectory() as folder:
                    used = client if executor == "distributed" else executor
                    outcomes.append(row(name, used, Path(folder)))
            lines.append(f"| {name} | {' | '.join(outcomes)} |\n")
            print(lines[-1], end="", flush=True)
    head = HEAD.format(executors=" | ".join(EXECUTORS), rules="|".join(["---"] * len(EXECUTORS)))
    PAGE.write_text(head + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
