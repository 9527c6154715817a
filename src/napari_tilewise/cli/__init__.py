"""The command line: operations, recipes and runs in the shell.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 something failed and was
reported in one line, 2 wrong usage. Commands import what they need inside, so that ``--help``
answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from napari_tilewise import errors
from napari_tilewise.cli.batch_command import batch
from napari_tilewise.cli.common_options import Log, Quiet, Verbose, with_common_options
from napari_tilewise.cli.completion import finish_installation, readable_request
from napari_tilewise.cli.file_commands import convert, info, script
from napari_tilewise.cli.messages import SHELL, messages, show_error
from napari_tilewise.cli.object_commands import list_objects
from napari_tilewise.cli.operation_commands import check, describe, list_operations
from napari_tilewise.cli.option_names import shell_option
from napari_tilewise.cli.options import Functions, Version
from napari_tilewise.cli.run_commands import demo, list_runs, rerun, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEBUG = "NAPARI_TILEWISE_DEBUG"
INTERRUPTED = 130  # what typer makes of Ctrl-C; the codes here are 0, 1 and 2
USAGE_ERRORS = (
    errors.UnknownOperation,
    errors.UnknownParameter,
    errors.InvalidParameter,
    errors.InvalidAxes,
    errors.InvalidRecipe,
)
SAY_IT_ALL = (errors.SourceUnreadable, errors.ClusterLost)
"""Errors that say what libraries have warned of: of a file, of a connection."""

app = typer.Typer(
    name="napari-tilewise",
    help="scikit-image on images of any size: tile by tile, in parallel, with the same answer.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def options(
    version: Version = False,
    functions: Functions = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log: Log = None,
) -> None:
    """Read the options that come before the command."""


COMMANDS: Mapping[str, Callable[..., None]] = {
    "list": list_operations,
    "describe": describe,
    "run": run,
    "batch": batch,
    "convert": convert,
    "runs": list_runs,
    "info": info,
    "objects": list_objects,
    "rerun": rerun,
    "check": check,
    "script": script,
    "demo": demo,
}
"""The function of each command, in the order in which --help shows them."""
for _name, _command in COMMANDS.items():
    app.command(_name)(with_common_options(_command))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; never a traceback for what a user can meet.

    Parameters
    ----------
    argv
        The arguments; by default, those of the process.
    """
    door = errors.wording.set(shell_option)
    try:
        with messages(), readable_request():
            code = _run(argv)
            if code == 0:
                finish_installation(sys.argv[1:] if argv is None else argv)
            SHELL.debug("exit code %d", code)
            return code
    finally:
        errors.wording.reset(door)


def _run(argv: Sequence[str] | None) -> int:
    """Run the command, show in one line what failed, and return the exit code."""
    try:
        app(args=None if argv is None else list(argv), prog_name="napari-tilewise")
    except SystemExit as done:
        if done.code == INTERRUPTED:
            return _report("Interrupted.", 1)
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except errors.TilewiseError as error:
        SHELL.debug("failed", exc_info=True)
        show_error(str(error), says_it_all=isinstance(error, SAY_IT_ALL))
        return 2 if isinstance(error, USAGE_ERRORS) else 1
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
    """Show in one line what failed, and return the exit code."""
    show_error(message)
    return code
