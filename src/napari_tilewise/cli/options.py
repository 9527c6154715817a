"""The options that several commands take, each spelt and explained once."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_tilewise import __version__


def load_functions(files: list[str] | None) -> list[str]:
    """Load the files of users' functions that were named.

    Parameters
    ----------
    files
        Their paths.
    """
    if files:
        from napari_tilewise.functions import load_file

        for file in files:
            load_file(file)
    return files or []


def print_version(wanted: bool) -> None:
    """Print the version and exit, if that is wanted.

    Parameters
    ----------
    wanted
        Whether it is.
    """
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=print_version, is_eager=True, help="Show the version and exit."
    ),
]
Functions = Annotated[
    list[str] | None,
    typer.Option(
        "--functions",
        metavar="FILE.py",
        callback=load_functions,
        help="A Python file of your own operations; it is run. May be repeated.",
    ),
]
"""What every command that meets operations takes; the files are loaded before it begins."""

Source = Annotated[str, typer.Argument(metavar="SRC", help="The image: a path or a URL.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter; may be repeated."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", "-i", metavar="NAME=PATH", help="One of the recipe's inputs; may be repeated."
    ),
]
Axes = Annotated[str | None, typer.Option(help="The image's axes, such as tcyx.")]
Spatial = Annotated[
    str | None, typer.Option(help="The axes to run over, such as yx: plane by plane.")
]

Memory = Annotated[str | None, typer.Option(help="Most memory that it may take, such as 2GiB.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Tiles in work at a time.")]
Executor = Annotated[
    str,
    typer.Option(
        help="Where tiles are computed: threads, serial, processes, distributed (a dask cluster of "
        "this machine), a dask scheduler's address, or a batch system such as slurm."
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the destination.")]
NoResume = Annotated[
    bool, typer.Option("--no-resume", help="Start afresh, and leave nothing to go on with.")
]
NoPyramid = Annotated[bool, typer.Option("--no-pyramid", help="Write the full resolution only.")]
OmeZarr = Annotated[
    str, typer.Option("--ome-zarr", help="Version of an OME-Zarr: 0.5, or 0.4 for older readers.")
]
Shards = Annotated[
    bool, typer.Option("--shards", help="In an OME-Zarr, one file a tile instead of one a chunk.")
]
