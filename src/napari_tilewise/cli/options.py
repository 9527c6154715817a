"""Options of several commands, each defined once."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_tilewise import __version__
from napari_tilewise.cli.completion import choices, complete_input, complete_parameter


def load_functions(files: list[str] | None) -> list[str]:
    """Load files of users' functions.

    Parameters
    ----------
    files
        Paths of Python files; they are run.
    """
    if files:
        from napari_tilewise.functions import load_file

        for file in files:
            load_file(file)
    return files or []


def print_version(is_set: bool) -> None:
    """Print the version and exit, if the option is set.

    Parameters
    ----------
    is_set
        Whether the command line has ``--version``.
    """
    if is_set:
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
        help="A Python file of your own operations, which is run; may be repeated.",
    ),
]
"""Option of every command that uses operations; the files are loaded before it runs."""

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]

Source = Annotated[str, typer.Argument(metavar="SRC", help="The image: a path or a URL.")]
Series = Annotated[
    int | None,
    typer.Option(
        min=0, help="Which image of a file that holds several, from 0; `info` lists them."
    ),
]


def with_series(source: str, series: int | None) -> str:
    """Return the text that names an image of a file.

    Parameters
    ----------
    source
        The file.
    series
        Number of the image; None: as the text says.
    """
    return source if series is None else f"{source}[{series}]"


Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="NAME=VALUE", autocompletion=complete_parameter,
        help="A parameter; may be repeated.",
    ),
]  # fmt: skip
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", "-i", metavar="NAME=PATH", autocompletion=complete_input,
        help="A further image of the operation or the recipe, such as mask=m.tif; may be repeated.",
    ),
]  # fmt: skip
Axes = Annotated[str | None, typer.Option(help="The image's axes, such as tcyx.")]
Spatial = Annotated[
    str | None, typer.Option(help="The axes to run over, such as yx: plane by plane.")
]

Memory = Annotated[
    str | None,
    typer.Option(help="Peak memory, such as 2GiB; by default half of what is available."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Tiles computed at a time; by default one per processor.")
]
Executor = Annotated[
    str,
    typer.Option(
        autocompletion=choices("auto", "threads", "serial", "processes", "distributed"),
        help="Where tiles are computed: threads, serial, processes, distributed (a dask cluster of "
        "this machine), a dask scheduler's address, or a batch system such as slurm.",
    ),
]

DataType = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        autocompletion=choices("uint8", "uint16", "int16", "float32", "float64", "bool"),
        help="Data type of the output, as scikit-image converts: uint8, uint16, int16, float32, "
        "float64 or bool; intensities are rescaled to its range, or refused.",
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the destination.")]
NoResume = Annotated[
    bool, typer.Option("--no-resume", help="Start over, and keep no checkpoint to resume from.")
]
NoPyramid = Annotated[bool, typer.Option("--no-pyramid", help="Write the full resolution only.")]
OmeZarr = Annotated[
    str,
    typer.Option(
        "--ome-zarr",
        autocompletion=choices("0.5", "0.4"),
        help="Version of an OME-Zarr: 0.5, or 0.4 for older readers.",
    ),
]
Shards = Annotated[
    bool,
    typer.Option("--shards", help="In an OME-Zarr, one file per tile, not per chunk."),
]
