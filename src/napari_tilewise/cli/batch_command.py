"""The command batch: a recipe or a function over many images."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from napari_tilewise import errors
from napari_tilewise.cli.arguments import parse_inputs, parse_lengths, parse_recipe
from napari_tilewise.cli.completion import choices, complete_task
from napari_tilewise.cli.options import (
    Axes,
    DataType,
    Functions,
    Inputs,
    Json,
    NoPyramid,
    OmeZarr,
    Params,
    Shards,
    Spatial,
)
from napari_tilewise.cli.results import print_report


def batch(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="OP|RECIPE",
            autocompletion=complete_task,
            help="An operation's name, a recipe's .yaml file, or a function: my_ops.py:task.",
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="A quoted pattern, a folder, a plate or an image."),
    ],
    destination: Annotated[str, typer.Argument(metavar="OUT", help="The folder of the outputs.")],
    param: Params = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", help="Items processed at a time; -1: one per processor.")
    ] = -1,
    backend: Annotated[
        str,
        typer.Option(
            autocompletion=choices("auto", "serial", "threading", "loky", "dask"),
            help="auto, serial, threading, loky or dask.",
        ),
    ] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Process every item, and replace existing outputs.")
    ] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Skip items whose output exists.")] = False,
    name: Annotated[
        str,
        typer.Option(
            help="Name of outputs: {stem}, {recipe}, {index}, ...; its suffix is the format."
        ),
    ] = "{stem}",
    over: Annotated[
        str | None, typer.Option(help="Axes whose positions are items, such as t or tc.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="A sliding window's shape, such as 256 or 256,256.")
    ] = None,
    step: Annotated[str | None, typer.Option(help="Step of the window; by default its shape.")] = (
        None
    ),
    memory: Annotated[
        str | None, typer.Option(help="Peak memory of all items together, such as 2GiB.")
    ] = None,
    axes: Axes = None,
    spatial: Spatial = None,
    input_: Inputs = None,
    dtype: DataType = None,
    no_pyramid: NoPyramid = False,
    ome_zarr: OmeZarr = "0.5",
    shards: Shards = False,
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """Run an operation, a recipe or a function on many images.

    An unchanged item is not processed again. The exit code is 1 if an item failed.
    """
    if overwrite and skip:
        raise errors.InvalidParameter("--overwrite and --skip exclude each other: give one.")
    is_function = ".py:" in recipe or (":" in recipe and "/" not in recipe)
    if is_function and param:
        raise errors.InvalidParameter(
            f"-p {param[0]}: the function {recipe!r} takes no parameters, only the image."
        )
    if is_function and dtype is not None:
        raise errors.InvalidParameter(
            f"--dtype {dtype}: the function {recipe!r} itself decides about the data type of what "
            "it returns."
        )
    task, inputs = (
        (recipe, parse_inputs(input_ or []))
        if is_function
        else parse_recipe(recipe, param or [], input_ or [], dtype=dtype)
    )
    from napari_tilewise.batches import batch as run_batch
    from napari_tilewise.cli.interrupts import ITEMS, cancellable, in_background
    from napari_tilewise.cli.progress import item_progress

    with cancellable(ITEMS) as cancel, item_progress() as listener:
        compute = partial(
            run_batch,
            task,
            source,
            destination,
            n_jobs=jobs,
            backend=backend,
            overwrite="skip" if skip else overwrite,
            progress=listener,
            cancel=cancel,
            name=name,
            inputs=inputs,
            memory=memory,
            over=over,
            window=parse_lengths("window", window),
            step=parse_lengths("step", step),
            axes=axes,
            spatial=spatial,
            pyramid=not no_pyramid,
            ome_zarr=ome_zarr,
            shards=shards,
        )
        report = in_background(compute)
    print_report(report, as_json=as_json)
