"""Results as JSON: one document per command, plain data, with the same keys in every release.

docs/shell.md lists the keys. Numbers that JSON does not have (NaN, infinity) are null.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import typer

from napari_tilewise.io.plain_data import to_plain

if TYPE_CHECKING:
    from napari_tilewise.batches.report import Report
    from napari_tilewise.batches.unfinished import UnfinishedRun
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.summary import OperationSummary
    from napari_tilewise.runs.run_result import RunResult


def print_json(document: object) -> None:
    """Print a document on stdout.

    Parameters
    ----------
    document
        Any value that `to_plain` returns as plain data.
    """
    typer.echo(json.dumps(_finite(to_plain(document)), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary_entry(summary: OperationSummary) -> MetadataDict:
    """Return the summary of an operation as an entry of ``list``.

    Parameters
    ----------
    summary
        The summary.
    """
    return {
        "name": summary.name,
        "title": summary.title,
        "category": summary.category,
        "kind": summary.kind,
        "exactness": summary.exactness,
        "tolerance": summary.tolerance,
        "output": summary.output,
        "deprecated": summary.deprecated,
    }


def operation_document(op: Operation) -> MetadataDict:
    """Return an operation as ``describe`` shows it.

    Parameters
    ----------
    op
        The operation.
    """
    from napari_tilewise.operations.spec.substitution import instruction_set
    from napari_tilewise.operations.summary import summary_of

    return {
        **summary_entry(summary_of(op)),
        "summary": op.summary,
        "note": op.note or None,
        "images": list(op.images),
        "kernels": list(op.adapter.kernels),
        "instruction_set": instruction_set() if op.adapter.kernels else None,
        "parameters": [
            {
                "name": parameter.name,
                "required": parameter.required,
                "default": None if parameter.required else parameter.default,
                "expected": parameter.spec.describe(),
                "description": parameter.doc,
            }
            for parameter in op.parameters.values()
        ],
    }


def result_document(result: RunResult) -> MetadataDict:
    """Return the result of a run or a conversion.

    Parameters
    ----------
    result
        What `run` returned.
    """
    return {
        "output": str(result.path),
        "value": result.value,
        "units": dict(result.units),
        "lengths": dict(result.lengths),
        "shape": list(result.shape),
        "tiles": result.tiles,
        "seconds": result.seconds,
        "peak_memory": result.peak_memory,
        "planned_memory": result.planned_memory,
    }


def report_document(report: Report) -> MetadataDict:
    """Return what a batch did.

    Parameters
    ----------
    report
        What `batch` returned.
    """
    return {
        "folder": None if report.folder is None else str(report.folder),
        "done": report.done,
        "failed": report.failed,
        "skipped": report.skipped,
        "cancelled": report.cancelled,
        "left_out": report.left_out or None,
        "rows": report.rows,
    }


def unfinished_entry(unfinished: UnfinishedRun) -> MetadataDict:
    """Return an unfinished run or batch as an entry of ``runs``.

    Parameters
    ----------
    unfinished
        The run or batch.
    """
    progress = unfinished.progress
    return {
        "destination": str(unfinished.destination),
        "kind": unfinished.entry.kind,
        "state": str(unfinished.state),
        "reason": unfinished.reason or None,
        "task": progress.task,
        "source": progress.source,
        "done": progress.done,
        "total": progress.total or None,
        "started": unfinished.entry.begun,
        "host": unfinished.entry.host,
        "process": unfinished.entry.process,
    }
