"""The commands on image and recipe files: convert, info and script."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from napari_tilewise import errors
from napari_tilewise.cli.options import (
    Axes,
    Functions,
    Memory,
    NoPyramid,
    NoResume,
    OmeZarr,
    Overwrite,
    Shards,
    Source,
    Spatial,
    Workers,
)


def convert(
    source: Source,
    destination: Annotated[
        str,
        typer.Argument(metavar="DST", help="NAME.ome.zarr, .ome.tif, .tif (ImageJ), .npy or .png."),
    ],
    level: Annotated[
        int, typer.Option(min=0, help="Level of the source's pyramid; 0 is the finest.")
    ] = 0,
    axes: Axes = None,
    labels: Annotated[
        bool | None,
        typer.Option(
            "--labels/--intensities",
            help="Whether pixels are labels, never averaged; by default as the source says.",
        ),
    ] = None,
    memory: Memory = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    no_resume: NoResume = False,
    no_pyramid: NoPyramid = False,
    ome_zarr: OmeZarr = "0.5",
    shards: Shards = False,
) -> None:
    """Convert an image, with its pyramid, to the format of DST's suffix.

    Pixel sizes, units, axes, and names and colours of channels are kept if both formats have them.
    """
    from napari_tilewise.cli.interrupts import cancellable, in_background
    from napari_tilewise.cli.progress import progress
    from napari_tilewise.runs import convert as converting

    with cancellable() as cancel, progress() as listener:
        compute = partial(
            converting.convert,
            source,
            destination,
            level=level,
            axes=axes,
            labels=labels,
            memory=memory,
            workers=workers,
            overwrite=overwrite,
            resume=not no_resume,
            pyramid=not no_pyramid,
            ome_zarr=ome_zarr,
            shards=shards,
            progress=listener,
            cancel=cancel,
        )
        result = in_background(compute)
    typer.echo(result.path)


def info(path: Annotated[str, typer.Argument(help="The image: a path or a URL.")]) -> None:
    """Show the metadata of an image as YAML.

    No pixel is read.
    """
    from napari_tilewise.io.info import image_info
    from napari_tilewise.io.plain_data import to_plain
    from napari_tilewise.recipe.file import to_text

    typer.echo(to_text(to_plain(image_info(path))).rstrip())


def script(
    recipe: Annotated[str, typer.Argument(help="The recipe's .yaml file, or an operation's name.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The script's file; by default stdout.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Use scikit-image alone, with the image in memory.")
    ] = False,
    source: Annotated[
        str | None, typer.Option(help="The image that the script reads by default.")
    ] = None,
    destination: Annotated[
        str | None, typer.Option(help="The file that the script writes by default.")
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(help="The image's axes, such as tcyx; by default the source's."),
    ] = None,
    spatial: Spatial = None,
    functions: Functions = None,
) -> None:
    """Write a recipe as a Python script.

    It gives the same result as the recipe, and runs as: python FILE [SOURCE [DESTINATION]].
    """
    from napari_tilewise.recipe import Recipe

    loaded = Recipe.of(recipe)
    if source is not None and axes is None:
        from napari_tilewise.io.readers.open_image import open_image

        axes = "".join(open_image(source).axes) or None
    text = loaded.to_script(
        source, destination, scikit_image_only=plain, spatial=spatial, axes=axes
    )
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise errors.DestinationExists(
            f"{str(output)!r} exists: give another file to -o, or delete it first."
        ) from error
    typer.echo(output)
