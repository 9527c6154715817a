"""Processes of a dask cluster run the user's script again: what starts them must be guarded.

A script without the guard would start a cluster in each process of the cluster. Python stops that
with a page of errors; it is seen from the script's text before anything starts.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from napari_tilewise.errors import InvalidParameter


def check_main_guard(request: str) -> None:
    """Refuse to start processes from a script's top level.

    Parameters
    ----------
    request
        What starts them: an option with its value.

    Raises
    ------
    InvalidParameter
        When the line of the script that is running is not below its guard.
    """
    line = _unguarded_line()
    if line is not None:
        raise unguarded(request, f"line {line} of the script is not guarded")


def unguarded(request: str, reason: str) -> InvalidParameter:
    """Return the error for a script whose top level starts processes.

    Parameters
    ----------
    request
        What starts them.
    reason
        What is wrong, in words.
    """
    return InvalidParameter(
        f"{request} starts processes that run this script again ({reason}): expected the call "
        "below `if __name__ == '__main__':`. Put it there, or compute in 'processes' or 'threads' "
        "('loky' or 'threading' in a batch), which need no guard."
    )


def _unguarded_line() -> int | None:
    """Return the line of the script that is running, where it has no guard."""
    main = sys.modules.get("__main__")
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if path is None or (spec is not None and spec.name.endswith("__main__")):
        return None  # a prompt, a notebook or a package's command, which are not run again
    frame = sys._getframe()
    while frame.f_globals is not vars(main) or frame.f_code.co_name != "<module>":
        if frame.f_back is None:
            return None
        frame = frame.f_back
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    line = frame.f_lineno
    statements = (s for s in tree.body if s.lineno <= line <= (s.end_lineno or s.lineno))
    statement = next(statements, None)
    return None if statement is None or _is_guard(statement) else line


def _is_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
    )
