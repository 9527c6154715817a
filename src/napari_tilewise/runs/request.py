"""What a run is asked to do: the arguments of `run`, `plan` and `convert` as values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_tilewise.axes import AxisSelection
from napari_tilewise.errors import InvalidParameterType, option
from napari_tilewise.executors.selection import AUTO, PROCESSES, SERIAL, THREADS
from napari_tilewise.io.image import Image
from napari_tilewise.runs.preferences import preferences
from napari_tilewise.sizes import parse_size

if TYPE_CHECKING:
    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.types import MemorySize, PathLike

LOCAL = (AUTO, THREADS, PROCESSES, SERIAL)
"""Executors of this computer."""


@dataclass(frozen=True)
class Resources:
    """What a run may use of the machine, or of a cluster."""

    memory: int | None = None
    """Peak resident memory in bytes; None: half of what is available."""
    workers: int | None = None
    """Threads, processes or jobs; None: one per processor."""
    executor: object = AUTO
    """See `run`."""

    @classmethod
    def of(
        cls, memory: MemorySize | None = None, workers: int | None = None, executor: object = AUTO
    ) -> Resources:
        """Return resources from the arguments of `run`, else from the window's preferences.

        Parameters
        ----------
        memory
            Bytes, or a text such as ``"2 GiB"``.
        workers, executor
            See `run`.

        Raises
        ------
        InvalidParameter
            When the memory cannot be parsed.
        """
        limit = None if memory is None else parse_size(memory)
        if executor not in LOCAL:  # memory and workers are those of a cluster
            return cls(limit, workers, executor)
        preferred = preferences()
        return cls(
            preferred.memory if limit is None else limit,
            preferred.workers if workers is None else workers,
            preferred.executor if executor == AUTO else executor,
        )

    def to_dict(self) -> MetadataDict:
        """Return plain data from which another process can resume the run."""
        # A client or a cluster object exists only in this process.
        executor = self.executor if isinstance(self.executor, str) else AUTO
        return {"memory": self.memory, "workers": self.workers, "executor": executor}


def check_inputs(inputs: object) -> None:
    """Raise `InvalidParameterType` unless the inputs of a recipe are a mapping, or None.

    Parameters
    ----------
    inputs
        See `run`.
    """
    is_mapping = isinstance(inputs, Mapping)
    images = tuple(inputs.values()) if isinstance(inputs, Mapping) else ()
    is_valid = all(isinstance(image, str | os.PathLike) or _is_array(image) for image in images)
    if inputs is not None and not (is_mapping and is_valid):
        raise InvalidParameterType(
            f"{option('inputs', inputs)}: expected a mapping of names to paths, URLs or arrays."
        )


def _is_array(image: object) -> bool:
    return isinstance(image, Image) or hasattr(image, "shape")


@dataclass(frozen=True, eq=False)
class RunRequest:
    """A recipe, its images and what the run may use."""

    recipe: Recipe
    source: object
    """What `open_image` takes; an open `Image` where the caller changed its metadata."""
    inputs: Mapping[str, object] = field(default_factory=dict)
    """The recipe's further images by name."""
    axes: AxisSelection = field(default_factory=AxisSelection)
    resources: Resources = field(default_factory=Resources)
    destination: PathLike | None = None
    """Path of the output; materialized results go to the same disk."""
    conversion: Metadata | None = None
    """The arguments that `convert` takes and `run` does not, for a conversion."""
