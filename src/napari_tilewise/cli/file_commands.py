"""The commands on image and recipe files: convert, info and script."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_tilewise import errors
from napari_tilewise.cli.completion import complete_task
from napari_tilewise.cli.options import (
    Axes,
    DataType,
    Functions,
    Json,
    Memory,
    NoPyramid,
    NoResume,
    OmeZarr,
    Overwrite,
    Series,
    Shards,
    Spatial,
    Workers,
    with_series,
)
from napari_tilewise.cli.results import print_report, print_result


def convert(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="An image: a path or a URL; a folder; or a pattern."),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DST",
            help="NAME.ome.zarr, .ome.tif, .tif (ImageJ), .npy or .png; of several images, the "
            "folder of the outputs.",
        ),
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
    dtype: DataType = None,
    series: Series = None,
    name: Annotated[
        str, typer.Option(help="Name of the outputs of several images; its suffix is the format.")
    ] = "{stem}",
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """Convert an image, or many, to another format.

    The suffix of DST is the format; a pyramid is written if it can have one. Pixel sizes, units,
    axes, and names and colours of channels are kept if both formats have them.
    A folder or a pattern is converted image by image, like a batch.
    """
    source = with_series(source, series)
    if _is_several(source):
        _refuse_for_several({"--level": level > 0, "--labels or --intensities": labels is not None})
        options: dict[str, Any] = {
            "axes": axes,
            "memory": memory,
            "name": name,
            "overwrite": overwrite,
        }
        options |= {"pyramid": not no_pyramid, "ome_zarr": ome_zarr, "shards": shards}
        options |= {"n_jobs": -1 if workers is None else workers}
        _convert_each(source, destination, dtype, options, as_json=as_json)
        return
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
            dtype=dtype,
            progress=listener,
            cancel=cancel,
        )
        result = in_background(compute)
    print_result(result, as_json=as_json)


def _is_several(source: str) -> bool:
    """Return whether a source is a pattern, or a folder that is not an image itself."""
    if "://" in source:
        return False
    from napari_tilewise.io.readers.locations import home_path, split_location
    from napari_tilewise.io.readers.zarr_folders import is_zarr

    path = home_path(source)
    if path.is_dir():
        return not is_zarr(path)
    return glob.has_magic(source) and not os.path.lexists(split_location(source).path)


def _refuse_for_several(options: Mapping[str, bool]) -> None:
    for option, is_set in options.items():
        if is_set:
            raise errors.InvalidParameter(
                f"{option} goes with a single image: convert these images one by one."
            )


def _convert_each(
    source: str, folder: str, dtype: str | None, options: Mapping[str, Any], *, as_json: bool
) -> None:
    """Convert the images of a folder or a pattern."""
    from napari_tilewise.batches import batch
    from napari_tilewise.cli.interrupts import ITEMS, cancellable, in_background
    from napari_tilewise.cli.progress import item_progress
    from napari_tilewise.operations.copying import COPY
    from napari_tilewise.recipe import Recipe, conversion_to

    recipe = Recipe.of(COPY.name if dtype is None else conversion_to(dtype))
    with cancellable(ITEMS) as cancel, item_progress() as listener:
        compute = partial(
            batch, recipe, source, folder, progress=listener, cancel=cancel, **options
        )
        report = in_background(compute)
    print_report(report, as_json=as_json)


def info(
    path: Annotated[str, typer.Argument(help="The image: a path or a URL.")],
    series: Series = None,
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """Show the metadata of an image as YAML.

    No pixel is read.
    """
    from napari_tilewise.io.info import image_info
    from napari_tilewise.io.plain_data import to_plain

    path = with_series(path, series)
    if as_json:
        from napari_tilewise.cli.documents import print_json

        print_json(image_info(path))
        return

    typer.echo(_yaml(to_plain(image_info(path))).rstrip())


def _yaml(data: object) -> str:
    """Return plain data as YAML; recipes have more rules, and take longer to import."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    text: str = yaml.dump(
        data, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=99
    )
    return text


def script(
    recipe: Annotated[
        str,
        typer.Argument(
            autocompletion=complete_task, help="The recipe's .yaml file, or an operation's name."
        ),
    ],
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
    except OSError as error:
        raise errors.DestinationUnwritable(
            f"{str(output)!r} cannot be written ({error.strerror}); expected a file in a folder "
            "that you may write to: give another one to -o."
        ) from error
    typer.echo(output)
