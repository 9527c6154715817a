"""The command line: operations, recipes and runs in the shell.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 something failed and was
reported in one line, 2 wrong usage. Commands import what they need inside, so that ``--help``
answers at once.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import typer

from napari_tilewise import errors
from napari_tilewise.cli.batch_command import batch
from napari_tilewise.cli.file_commands import convert, info, script
from napari_tilewise.cli.operation_commands import check, describe, list_operations
from napari_tilewise.cli.options import Functions, Version
from napari_tilewise.cli.run_commands import demo, list_runs, rerun, run

if TYPE_CHECKING:
    from collections.abc import Sequence

DEBUG = "NAPARI_TILEWISE_DEBUG"
INTERRUPTED = 130  # what typer makes of Ctrl-C; the codes here are 0, 1 and 2
USAGE_ERRORS = (
    errors.UnknownOperation,
    errors.UnknownParameter,
    errors.InvalidParameter,
    errors.InvalidAxes,
    errors.InvalidRecipe,
)

app = typer.Typer(
    name="napari-tilewise",
    help="scikit-image on images of any size: tile by tile, in parallel, with the same answer.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def options(version: Version = False, functions: Functions = None) -> None:
    """Read the options that come before the command."""


# In the order in which --help shows them.
app.command("list")(list_operations)
app.command()(describe)
app.command()(run)
app.command()(batch)
app.command()(convert)
app.command("runs")(list_runs)
app.command()(info)
app.command()(rerun)
app.command()(check)
app.command()(script)
app.command()(demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; never a traceback for what a user can meet.

    Parameters
    ----------
    argv
        The arguments; by default, those of the process.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # the error's one line has it
    try:
        app(args=None if argv is None else list(argv), prog_name="napari-tilewise")
    except SystemExit as done:
        if done.code == INTERRUPTED:
            return _report("Interrupted.", 1)
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except errors.TilewiseError as error:
        return _report(str(error), 2 if isinstance(error, USAGE_ERRORS) else 1)
    except KeyboardInterrupt:
        return _report("Interrupted.", 1)
    except OSError as error:
        file = f": {error.filename}" if error.filename else ""
        return _report(f"{error.strerror or error}{file}", 1)
    except MemoryError as error:
        return _report(f"Out of memory. Use a smaller --memory or fewer --workers. {error}", 1)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return _report(
            f"An unexpected error occurred ({type(error).__name__}: {error}). Set {DEBUG}=1 to see "
            "the traceback, and please report it to the developers.",
            1,
        )
    return 0


def _report(message: str, code: int) -> int:
    """Write in one line to stderr what failed, and return the exit code."""
    typer.echo(f"napari-tilewise: {' '.join(message.split())}", err=True)
    return code
