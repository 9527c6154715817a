"""The commands about operations: list, describe, and check for users' own ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tilewise import errors
from napari_tilewise.cli.arguments import parse_params
from napari_tilewise.cli.completion import choices, complete_operation
from napari_tilewise.cli.options import Functions, Json

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Parameter

KIND_DESCRIPTIONS = {
    "pointwise": "each pixel alone",
    "neighbourhood": "each tile with the neighbouring pixels that it needs",
    "statistic": "a first pass computes statistics of the whole image",
    "connected": "connected components are joined across tile borders",
    "geometry": "each output tile from the part of the input that it shows",
    "iterative": "repeated passes over the tiles",
    "whole": "the whole image at once; refused if it does not fit into memory",
}


def list_operations(
    kind: Annotated[
        str | None,
        typer.Option(
            autocompletion=choices(*KIND_DESCRIPTIONS),
            help="Only operations of this kind: statistic, ...",
        ),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Only operations of this module: filters, filters.rank, ...")
    ] = None,
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """List the operations."""
    from napari_tilewise.operations.spec.kinds import Kind
    from napari_tilewise.operations.summary import summaries

    kinds = [item.value for item in Kind]
    if kind is not None and kind not in kinds:
        _refuse("kind", kind, kinds)
    entries = sorted(summaries(), key=lambda entry: entry.deprecated)
    categories = {entry.category for entry in entries}
    families = sorted(categories | {name.partition(".")[0] for name in categories})
    if category is not None and category not in families:
        _refuse("category", category, families)
    entries = [
        entry
        for entry in entries
        if kind in (None, entry.kind)
        and (category is None or f"{entry.category}.".startswith(f"{category}."))
    ]
    if as_json:
        from napari_tilewise.cli.documents import print_json, summary_entry

        print_json([summary_entry(entry) for entry in entries])
        return
    rows = [
        (
            entry.name,
            entry.kind,
            entry.exactness,
            entry.output,
            entry.title + " (deprecated)" * entry.deprecated,
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _refuse(noun: str, value: str, choices: Sequence[str]) -> None:
    hint = errors.did_you_mean(value, choices)
    raise errors.InvalidParameter(
        f"There is no {noun} {value!r}: expected one of {', '.join(choices)}.{hint}"
    )


def describe(
    operation: Annotated[
        str,
        typer.Argument(
            autocompletion=complete_operation, help="Its name, such as filters.gaussian."
        ),
    ],
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """Describe an operation and its parameters."""
    from napari_tilewise.operations import get_operation

    op = get_operation(operation)
    if as_json:
        from napari_tilewise.cli.documents import operation_document, print_json

        print_json(operation_document(op))
        return
    typer.echo(f"{op.name}: {op.title}\n{op.summary}\n")
    typer.echo(f"result     {op.output}")
    typer.echo(f"kind       {op.kind}: {KIND_DESCRIPTIONS[op.kind]}")
    typer.echo(f"exactness  {op.exactness}: {_exactness_description(op)}")
    typer.echo(f"kernel     {_kernel_description(op)}")
    if op.deprecated:
        typer.echo(f"deprecated {op.deprecated}")
    if op.note:
        typer.echo(f"note       {op.note}")
    if op.parameters:
        typer.echo("\nparameters (-p name=value)")
    for parameter in op.parameters.values():
        _describe_parameter(parameter)


def _kernel_description(op: Operation) -> str:
    """Return a sentence about what computes the pixels."""
    from napari_tilewise.operations.spec.substitution import instruction_set

    if not op.adapter.kernels:
        return "none: the function itself runs"
    paths = ", ".join(op.adapter.kernels)
    level = instruction_set()
    if level is None:
        return f"for {paths}: not built or switched off, the function itself runs"
    return f"for {paths}, with {level}, wherever the bits are the same"


def _exactness_description(op: Operation) -> str:
    """Return a sentence about how close the result is to that on the whole image."""
    from napari_tilewise.operations.spec.libraries import library_of

    function = "the function" if op.adapter.digest else library_of(op.name).title
    descriptions = {
        "identical": f"bit for bit the result of {function} on the whole image",
        "close": f"within {op.tolerance:g} of the result of {function} on the whole image",
        "approximate": f"close to the result of {function} on the whole image",
    }
    return descriptions[op.exactness]


def _describe_parameter(parameter: Parameter) -> None:
    from textwrap import wrap

    default = "required" if parameter.required else f"default {parameter.default!r}"
    typer.echo(f"  {parameter.name}: {parameter.spec.describe()}; {default}")
    if parameter.doc:
        indent = " " * 6
        lines = wrap(  # neither a hyphen nor its length breaks an address
            parameter.doc, 96 - len(indent), break_on_hyphens=False, break_long_words=False
        )
        typer.echo("\n".join(indent + line for line in lines))


def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.py", help="A Python file of your own operations.")
    ],
    operation: Annotated[
        str | None, typer.Option(help="Only this one; by default all in the file.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="NAME=VALUE", help="Set a parameter; may be repeated."
        ),
    ] = None,
) -> None:
    """Check the halos of your own operations.

    Measures the smallest halo for which tiled equals whole and compares it with the declared one.
    The exit code is 1 if tiled results differ from what an operation promises.
    """
    from napari_tilewise.halo_check import findings

    wrong = 0
    for finding in findings(file, operation=operation, parameters=parse_params(param or [])):
        typer.echo(finding)
        wrong += not finding.ok
    if wrong:
        raise typer.Exit(1)
