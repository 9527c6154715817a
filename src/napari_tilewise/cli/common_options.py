"""Options that every command has, before or after its name: --quiet, --verbose and --log."""

from __future__ import annotations

import inspect
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tilewise.cli.messages import be_quiet, be_verbose, log_to

if TYPE_CHECKING:
    from collections.abc import Callable

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=be_quiet, is_eager=True, help="Show nothing but errors on stderr."
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", callback=be_verbose, is_eager=True, help="Show every step on stderr."
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log", metavar="FILE", callback=log_to, is_eager=True, dir_okay=False,
        help="Append everything that happens to a file, with times.",
    ),
]  # fmt: skip
COMMON = {"quiet": (Quiet, False), "verbose": (Verbose, False), "log": (Log, None)}
"""Annotation and default of each option, by the parameter's name."""


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has these options too; their callbacks do all that they do.

    Parameters
    ----------
    command
        A function whose parameters are the other options.
    """

    @wraps(command)
    def extended(**options: Any) -> None:
        command(**{name: value for name, value in options.items() if name not in COMMON})

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in COMMON.items()
    ]
    parameters = [*signature.parameters.values(), *added]
    extended.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # for inspect
    extended.__annotations__ = {item.name: item.annotation for item in parameters}
    return extended
