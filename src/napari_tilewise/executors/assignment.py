"""An assignment is a file with all that a worker in another process needs of a run.

It is in the folder of the run's checkpoint, which every process sees. Large arrays are files next
to it, which workers check and map into memory: no pixel passes through a pipe or a scheduler.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.checkpoints.pass_results import PassResults
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.system.cache import ChunkCache
from napari_tilewise.engine.system.pool import CANCELLED
from napari_tilewise.errors import (
    Cancelled,
    DestinationUnwritable,
    InvalidParameter,
    InvalidParameterType,
    option,
)
from napari_tilewise.executors.sent_files import (
    map_sent_array,
    read_sent,
    write_sent,
    write_sent_array,
)
from napari_tilewise.io.axis_order import open_inputs
from napari_tilewise.io.image import Image, is_zarr_array
from napari_tilewise.io.metadata.channels import names_of
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.readers.hdf5 import dataset_location
from napari_tilewise.io.readers.locations import home_path
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.pipeline.bind import Pipeline, bind_recipe, recipe_images
from napari_tilewise.pipeline.pixel_sizes import stated_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Grid
    from napari_tilewise.io.writers.image_writer import ImageWriter
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.types import Parameters

LARGE = 2**20
"""Bytes from which an array is stored in a file of its own."""
_PACKAGES = ("napari-tilewise", "scikit-image", "numpy", "scipy")


@dataclass(frozen=True, eq=False)
class Assignment:
    """A run, as workers in other processes need it."""

    functions: tuple[Operation, ...]
    """Users' operations: unpickled first, so that the recipe's steps find them."""
    recipe: Recipe
    source: Any
    """The image: a path, a URL or an array."""
    inputs: Parameters
    """The recipe's further images by name, likewise."""
    axes: tuple[str, ...] | None
    """The source's axes."""
    spatial: Any
    """The axes to run over."""
    tile: tuple[int, ...]
    """Tile lengths along the spatial axes."""
    materialized: tuple[int, ...]
    """Numbers of the steps whose results are materialized."""
    folder: str
    """The checkpoint's folder."""
    cache: int
    """Bytes for decoded chunks."""
    memory: int
    """Bytes that one region may take."""
    tables: int
    """Bytes that the totals of reductions may take."""
    threads: int
    """How many tiles one process computes at a time."""
    writer: ImageWriter | None
    """Where tiles of the output go; None if the result is not an image."""
    grid: Grid | None
    """The tiles of the output."""
    in_tiles: int = 0
    """Bytes up to which the whole image is taken at once: all processes have to decide alike."""

    def pipeline(self) -> Pipeline:
        """Return the pipeline, as the process that writes the checkpoint has it."""
        results = PassResults(Path(self.folder))
        session = Session(
            1,
            cache=ChunkCache(self.cache),
            memory=self.memory,
            tables=self.tables,
            in_tiles=self.in_tiles,
            checkpoint=results,
        )
        source = open_image(self.source).named(self.axes)
        inputs = open_inputs(self.inputs, source, self.axes)
        images = recipe_images(
            self.recipe, source.data, inputs, names=self.axes, spatial=self.spatial,
            channels=names_of(source.channels, self.axes, source.data.shape),
        ).measured_by(stated_sizes(source))  # fmt: skip
        pipeline = bind_recipe(self.recipe, images, session, tiles=self.tile)
        if self.materialized:
            layout = dict.fromkeys(self.materialized, False)
            pipeline = pipeline.with_layout(materialize=layout)
        for number, materialized in pipeline.materialized.items():
            materialized.settle(results.subfolder(f"kept-{number}"))
        return pipeline


def belongs_to_process(source: Any) -> bool:
    """Return whether only this process can read a source: a Zarr array in its memory.

    Parameters
    ----------
    source
        Anything that `open_image` takes.
    """
    data = source.data if isinstance(source, Image) else source
    array = data.array if isinstance(data, CheckedArray) else data
    if not is_zarr_array(array):
        return False
    from napari_tilewise.io.readers.zarr_arrays import is_of_this_process

    return is_of_this_process(array)


def portable_source(source: Any) -> Any:
    """Return a source as a process with another working folder finds it.

    Parameters
    ----------
    source
        Anything that `open_image` takes.

    Raises
    ------
    InvalidParameter
        When only this process can read it.
    """
    if belongs_to_process(source):
        raise InvalidParameter(
            "The source is a Zarr array in the memory of this process, which other processes "
            f"cannot read: save it to a path, or use {option('executor', 'threads')} or "
            f"{option('executor', 'serial')}."
        )
    if is_zarr_array(source):
        source = open_image(source)
    location = dataset_location(source.data if isinstance(source, Image) else source)
    if location is not None:
        return location
    if isinstance(source, Image):
        if source.format == "array" or source.data is not source.levels[0]:
            return source
        source = source.name
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        return text if "://" in text else os.path.abspath(home_path(text))
    return source


def write_assignment(assignment: Assignment) -> str:
    """Write an assignment into the folder of its checkpoint, and return its file's name.

    Parameters
    ----------
    assignment
        Describes the run.

    Raises
    ------
    InvalidParameterType
        When something in it cannot be pickled.
    """
    folder = Path(assignment.folder)
    buffer = io.BytesIO()
    buffer.write(json.dumps(_versions()).encode() + b"\n")
    try:
        _pickle(assignment, buffer, folder)
        return write_sent(folder, "assignment", buffer.getvalue())
    except OSError as error:
        raise DestinationUnwritable(
            f"{str(folder)!r} cannot be written ({error.strerror or error}): make room or "
            "give a destination on another disk."
        ) from error
    except Exception as error:
        raise InvalidParameterType(
            f"This run cannot be sent to other processes ({error}): give the images by their paths "
            f"and functions that can be imported, or use {option('executor', 'threads')}."
        ) from error


def remove_assignment(folder: str, name: str) -> None:
    """Remove the file of an assignment: workers that still compute for it write nothing more.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    name
        Name of its file, as `write_assignment` returned it.
    """
    with suppress(OSError):  # the folder may be gone
        Path(folder, name).unlink()


def check_assignment(folder: str, name: str) -> None:
    """Refuse to compute for a run that has ended.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    name
        Name of its file, as `write_assignment` returned it.

    Raises
    ------
    Cancelled
        When the assignment was removed.
    """
    if not Path(folder, name).exists():
        raise Cancelled(CANCELLED)


def read_assignment(folder: str, name: str) -> Assignment:
    """Return an assignment from its file.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    name
        Name of its file, as `write_assignment` returned it.
    """
    line, _, data = read_sent(Path(folder), name).partition(b"\n")
    expected, versions = json.loads(line), _versions()
    if expected != versions:
        raise InvalidParameter(
            f"The process on {socket.gethostname()!r} has {_listed(versions)}, and the one that "
            f"started the run {_listed(expected)}: expected the same versions, so that the result "
            "is the same. Install them there."
        )
    unpickler = _AssignmentUnpickler(io.BytesIO(data), folder)
    assignment: Assignment = unpickler.load()
    return assignment


def _pickle(assignment: Assignment, buffer: io.BytesIO, folder: Path) -> None:
    """Pickle an assignment, large arrays to files of their own."""
    from cloudpickle import Pickler  # most runs need none

    class _Pickler(Pickler):  # type: ignore[misc]  # cloudpickle has no types
        def persistent_id(self, item: Any) -> tuple[Any, ...] | None:
            """Write a large array to a file; return its name, data type and shape."""
            if not isinstance(item, np.ndarray) or item.nbytes < LARGE or item.dtype.hasobject:
                return None
            return write_sent_array(folder, "array", item), item.dtype, item.shape

    _Pickler(buffer).dump(assignment)


class _AssignmentUnpickler(pickle.Unpickler):
    """Maps these files into memory."""

    def __init__(self, buffer: io.BytesIO, folder: str) -> None:
        super().__init__(buffer)
        self._folder = folder

    def persistent_load(self, reference: tuple[Any, ...]) -> np.ndarray:
        """Return an array from its file."""
        name, dtype, shape = reference
        return map_sent_array(Path(self._folder), name, dtype, shape)


def _versions() -> dict[str, str]:
    return {package: metadata.version(package) for package in _PACKAGES}


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())
