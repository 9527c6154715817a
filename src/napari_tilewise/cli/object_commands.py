"""The command objects: the objects of stored labels that deserve a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_tilewise.cli.options import Json, Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.types import Array


def list_objects(
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="An OME-Zarr of labels.")],
    spread: Annotated[
        float,
        typer.Option(
            min=0,
            help="Sizes are odd beyond so many distances between the quartiles (of logarithms).",
        ),
    ] = 3.0,
    memory: Memory = None,
    as_json: Json = False,
) -> None:
    """List the objects of a label image that deserve a look.

    Those are cut by the border, merged, or of odd size. They are measured once; the table stays
    beside the labels, in tables/review.
    """
    from napari_tilewise.runs.label_table import label_table

    table = label_table(labels, (), name="review", memory=memory)
    rows = table.for_review(spread)
    if as_json:
        from napari_tilewise.cli.documents import print_json

        columns = {name: column.tolist() for name, column in rows.items()}
        names = list(columns)
        listed = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        print_json({"objects": table.objects, "review": listed})
        return
    typer.echo(_text(rows))
    typer.echo(f"{len(rows['label'])} of {table.objects} objects", err=True)


def _text(rows: Mapping[str, Array]) -> str:
    """Return columns as a table of texts."""
    columns = [[name, *map(str, column.tolist())] for name, column in rows.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
