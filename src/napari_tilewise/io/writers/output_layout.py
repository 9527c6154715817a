"""How an output is laid out on disk."""

from __future__ import annotations

from dataclasses import dataclass

from napari_tilewise.errors import InvalidParameter, option

VERSIONS = ("0.5", "0.4")
"""The versions of OME-Zarr that can be written, the default first."""


def check_version(version: str) -> None:
    """Refuse a version of OME-Zarr that cannot be written.

    Parameters
    ----------
    version
        What the user requests.

    Raises
    ------
    InvalidParameter
        When it is not one of `VERSIONS`.
    """
    if version not in VERSIONS:
        raise InvalidParameter(
            f"{option('ome_zarr', version)}: expected one of {', '.join(map(repr, VERSIONS))}."
        )


@dataclass(frozen=True)
class OutputLayout:
    """Version, chunks and levels of an output, and whether it may replace an old one."""

    overwrite: bool = False
    """Whether an old output of this name may be replaced, once the new one is complete."""
    pyramid: bool = True
    """Whether smaller levels are written, where the format has them."""
    ome_zarr: str = VERSIONS[0]
    """Version of OME-Zarr: ``"0.5"`` (Zarr 3) or ``"0.4"`` (Zarr 2)."""
    chunks: tuple[int, ...] | None = None
    """Pixels of a chunk along each axis; None: `default_chunks`."""
    shards: tuple[int, ...] | None = None
    """Pixels of a shard along each axis, whole chunks; None: every chunk is a file of its own."""
    is_small: bool = False
    """Whether the levels stay in memory until the output is complete, and are written at once."""
