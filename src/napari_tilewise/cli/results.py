"""Results of the commands that compute, on stdout: as text, or as one JSON document."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING

import typer

from napari_tilewise.cli.messages import is_quiet

if TYPE_CHECKING:
    from napari_tilewise.batches.report import Report
    from napari_tilewise.runs.run_result import RunResult


def print_result(result: RunResult, *, as_json: bool) -> None:
    """Print the result of a run or a conversion.

    Parameters
    ----------
    result
        What `run` returned.
    as_json
        Whether to print it as JSON.
    """
    if as_json:
        from napari_tilewise.cli.documents import print_json, result_document

        print_json(result_document(result))
        return
    typer.echo(result.value if isinstance(result.value, Number) else result.path)
    if result.value_in_unit and not is_quiet():
        typer.echo(f"= {result.value_in_unit}", err=True)


def print_report(report: Report, *, as_json: bool) -> None:
    """Print what a batch did; exit with 1 unless all is done.

    Parameters
    ----------
    report
        What `batch` returned.
    as_json
        Whether to print it as JSON, with a row per item.
    """
    if as_json:
        from napari_tilewise.cli.documents import print_json, report_document

        print_json(report_document(report))
    else:
        typer.echo(str(report))
    if report.failed or report.cancelled:
        raise typer.Exit(1)
