"""What Tab completes: operations, their parameters and values, and files of recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Parameter

_FILES = (".yaml", ".yml", ".py")
"""Suffixes of files that stand in the place of an operation."""


def complete_operation(incomplete: str) -> list[tuple[str, str]]:
    """Return the operations whose names begin with a text, with their titles."""
    from napari_tilewise.operations import OPERATIONS

    return [
        (name, OPERATIONS[name].title) for name in sorted(OPERATIONS) if name.startswith(incomplete)
    ]


def complete_task(incomplete: str) -> list[tuple[str, str]]:
    """Return the operations, recipes and folders whose names begin with a text."""
    return [*complete_operation(incomplete), *_paths(incomplete)]


def _paths(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield recipes, Python files and folders."""
    folder, slash, start = incomplete.rpartition("/")
    try:
        paths = sorted(Path(folder or ("/" if slash else ".")).iterdir())
    except OSError:
        return
    for path in paths:
        if not path.name.startswith(start) or path.name.startswith(".") > start.startswith("."):
            continue
        if path.is_dir():
            yield f"{folder}{slash}{path.name}/", ""
        elif path.suffix.lower() in _FILES:
            yield f"{folder}{slash}{path.name}", ""


def complete_parameter(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters of the command's operation that begin with a text, with values."""
    from napari_tilewise.operations import OPERATIONS

    # An option without its value is no complete command line: its arguments are not bound yet.
    names = [ctx.params.get("operation"), ctx.params.get("recipe"), *ctx.args]
    name = next((str(name) for name in names if name in OPERATIONS), None)
    return [] if name is None else list(_assignments(OPERATIONS[name], incomplete))


def _assignments(operation: Operation, incomplete: str) -> Iterator[tuple[str, str]]:
    for parameter in operation.parameters.values():
        for value in _values(parameter):
            text = f"{parameter.name}={value}"
            if text.startswith(incomplete):
                yield text, parameter.doc.partition(". ")[0]


def _values(parameter: Parameter) -> list[Any]:
    """Return the values that a parameter can have; of many, none and the default."""
    choices = getattr(parameter.spec, "choices", None)
    if choices:
        return list(choices)
    is_plain = isinstance(parameter.default, bool | int | float | str)
    return ["", *([parameter.default] if is_plain and not parameter.required else [])]
