"""An assignment is all that another process needs to take part in a run, in a file that it reads.

It lies in the folder of the run's account, which every process sees. Arrays in it lie beside it and
are mapped into memory: no pixel passes through a pipe, a scheduler or the process that asks.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from cloudpickle import Pickler

from napari_tilewise.engine.cache import ChunkCache
from napari_tilewise.engine.pass_results import PassResults
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import (
    DestinationUnwritable,
    InvalidParameter,
    InvalidParameterType,
    SourceUnreadable,
)
from napari_tilewise.io.image import Image
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.axis_order import opened
from napari_tilewise.pipeline.bind import Pipeline, bind_recipe, given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Grid
    from napari_tilewise.io.writers.image_writer import ImageWriter
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Recipe

LARGE = 2**20
"""Bytes from which an array lies in a file of its own."""
_PACKAGES = ("napari-tilewise", "scikit-image", "numpy", "scipy")


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a process does of a run."""

    functions: tuple[Operation, ...]
    """Users' operations: they come first, so that the recipe's steps find them."""
    recipe: Recipe
    source: Any
    """The image, as the run was given it."""
    inputs: Mapping[str, Any]
    """The recipe's further images, likewise."""
    axes: tuple[str, ...] | None
    """The source's axes."""
    spatial: Any
    """The axes to run over."""
    tile: tuple[int, ...]
    """Tile lengths along the spatial axes."""
    kept: tuple[int, ...]
    """The steps whose results are kept."""
    folder: str
    """The account's folder."""
    cache: int
    """Bytes for decoded chunks."""
    memory: int
    """Bytes that one region may take."""
    tables: int
    """Bytes that gathered numbers may take."""
    threads: int
    """How many tiles may be in work in one process at a time."""
    writer: ImageWriter | None
    """Where tiles of the output go; None where it is no image."""
    grid: Grid | None
    """The tiles of the output."""

    def chain(self) -> Pipeline:
        """Return the chain, as the process that asks has it."""
        session = Session(
            1,
            cache=ChunkCache(self.cache),
            memory=self.memory,
            tables=self.tables,
            account=PassResults(Path(self.folder)),
        )
        source = open_image(self.source)
        inputs = opened(self.inputs, source, self.axes)
        images = given(self.recipe, source.data, inputs, names=self.axes, spatial=self.spatial)
        pipeline = bind_recipe(self.recipe, images, session, tiles=self.tile)
        if self.kept:
            pipeline = pipeline.with_layout(materialize=dict.fromkeys(self.kept, False))
        for number, materialized in pipeline.materialized.items():
            assert session.account is not None
            materialized.settle(session.account.files(f"kept-{number}"))
        return pipeline


def elsewhere(source: Any) -> Any:
    """Return a source as another process finds it, whatever folder that one works in.

    Parameters
    ----------
    source
        All that `open_image` takes.
    """
    if isinstance(source, Image):
        if source.format == "array" or source.data is not source.levels[0]:
            return source
        source = source.name
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        return text if "://" in text else os.path.abspath(os.path.expanduser(text))
    return source


def leave(assignment: Assignment) -> str:
    """Write an assignment into its folder, and return the name of its file.

    Parameters
    ----------
    assignment
        The assignment.

    Raises
    ------
    InvalidParameterType
        When something in it belongs to this process alone.
    """
    path = Path(assignment.folder) / f"assignment-{uuid4().hex[:12]}"
    buffer = io.BytesIO()
    buffer.write(json.dumps(_versions()).encode() + b"\n")
    try:
        _Pickler(buffer, path).dump(assignment)
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise DestinationUnwritable(
            f"{str(path.parent)!r} cannot be written ({error.strerror or error}): make room or "
            "give a destination on another disk."
        ) from error
    except Exception as error:
        raise InvalidParameterType(
            f"This run cannot be sent to other processes ({error}): give the images by their paths "
            "and functions that can be imported, or take executor='threads'."
        ) from error
    return path.name


def take(folder: str, name: str) -> Assignment:
    """Return an assignment that was left in a folder.

    Parameters
    ----------
    folder
        The account's folder.
    name
        What `leave` returned.
    """
    path = Path(folder) / name
    try:
        line, _, data = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise SourceUnreadable(
            f"The process on {socket.gethostname()!r} cannot read {str(path)!r} "
            f"({error.strerror}): expected a folder that all workers see under this path. Put the "
            "output, and the source, on a file system that they share."
        ) from error
    there, here = json.loads(line), _versions()
    if there != here:
        raise InvalidParameter(
            f"The process on {socket.gethostname()!r} has {_listed(here)}, and the one that asks "
            f"has {_listed(there)}: expected the same versions, so that the result is the same. "
            "Install them there."
        )
    unpickler = _Unpickler(io.BytesIO(data), folder)
    taken: Assignment = unpickler.load()
    return taken


class _Pickler(Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Puts large arrays aside, as files of their own."""

    def __init__(self, buffer: io.BytesIO, path: Path) -> None:
        super().__init__(buffer)
        self._path = path

    def persistent_id(self, thing: Any) -> tuple[Any, ...] | None:
        """Write a large array to a file; return how to find it there."""
        if not isinstance(thing, np.ndarray) or thing.nbytes < LARGE or thing.dtype.hasobject:
            return None
        file = self._path.with_name(f"{self._path.name}-{uuid4().hex[:12]}.raw")
        np.ascontiguousarray(thing).tofile(file)
        return file.name, thing.dtype, thing.shape


class _Unpickler(pickle.Unpickler):
    """Maps these files into memory."""

    def __init__(self, buffer: io.BytesIO, folder: str) -> None:
        super().__init__(buffer)
        self._folder = folder

    def persistent_load(self, found: tuple[Any, ...]) -> np.ndarray:
        """Return an array that was put aside."""
        name, dtype, shape = found
        return np.memmap(os.path.join(self._folder, name), dtype, "r", shape=shape)


def _versions() -> dict[str, str]:
    return {package: metadata.version(package) for package in _PACKAGES}


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())
