"""What Tab completes: operations, their parameters and values, further images, and files."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Parameter

_FILES = (".yaml", ".yml", ".py")
"""Suffixes of files that stand in the place of an operation."""
_SHELL = "_NAPARI_TILEWISE_COMPLETE"
"""Variable by which typer's scripts ask for completions: complete_bash, complete_zsh, ..."""
_BASH = "complete_bash"
_HELP_WIDTH = 70
_INSTALL = "--install-completion"
_ZSH_SCRIPT = ".zfunc/_napari-tilewise"
"""Where typer installs the script for zsh, below the home folder."""
_ZSH_FIRST_TAB = """
# The first Tab of a shell loads this file, and wants completions already.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _napari_tilewise_completion "$@"
fi
"""
_assigned: ContextVar[str | None] = ContextVar("assigned", default=None)
"""Name before the equals sign at the cursor, where bash wants only what follows it."""


@contextmanager
def readable_request() -> Iterator[None]:
    """Give typer the words and the width that it expects, if a shell asks for completions."""
    if _SHELL not in os.environ:
        yield
        return
    before = dict(os.environ)
    # typer wraps help at this width, and fish takes a second line for another candidate.
    os.environ["COLUMNS"] = "10000"
    if os.environ[_SHELL] == _BASH:
        _join_words()
    try:
        yield
    finally:
        _assigned.set(None)
        os.environ.clear()
        os.environ.update(before)


def finish_installation(arguments: Sequence[str]) -> None:
    """Add to the script for zsh, if it was just installed, what its first Tab in a shell needs.

    typer's script only registers its function there, and completes from the second Tab on.

    Parameters
    ----------
    arguments
        Of the command that has ended.
    """
    if not any(argument.startswith(_INSTALL) for argument in arguments):
        return
    script = Path.home() / _ZSH_SCRIPT
    if script.is_file() and "loadautofunc" not in script.read_text(encoding="utf-8"):
        with script.open("a", encoding="utf-8") as file:
            file.write(_ZSH_FIRST_TAB)


def _join_words() -> None:
    """Join what bash splits at equals signs: ``mode=r`` comes as three words.

    Of an assignment at the cursor bash replaces only what follows the equals sign; the name before
    it is remembered.
    """
    arguments: list[str] = []
    cursor = 0
    for number, part in enumerate(os.environ["COMP_WORDS"].split("\n")):
        if arguments and (part.startswith("=") or arguments[-1].endswith("=")):
            arguments[-1] += part
        else:
            arguments.append(part)
        if number <= int(os.environ["COMP_CWORD"]):
            cursor = len(arguments) - 1
    name, equals, value = arguments[cursor].partition("=")
    if equals and not name.startswith("-"):
        arguments[cursor] = value
        _assigned.set(name)
    os.environ["COMP_WORDS"] = "\n".join(arguments)
    os.environ["COMP_CWORD"] = str(cursor)


def choices(*names: str) -> Callable[[str], list[str]]:
    """Return a function that completes one of several names.

    Parameters
    ----------
    names
        What the option takes.
    """

    def complete_choice(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete_choice


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
    for path in _files(incomplete):
        if path.lower().endswith(("/", *_FILES)):
            yield path, ""


def _files(incomplete: str) -> Iterator[str]:
    """Yield files and folders, which end with a slash."""
    folder, slash, start = incomplete.rpartition("/")
    try:
        paths = sorted(Path(folder or ("/" if slash else ".")).iterdir())
    except OSError:
        return
    for path in paths:
        if not path.name.startswith(start) or path.name.startswith(".") > start.startswith("."):
            continue
        yield f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"


def complete_parameter(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters of the command's operation that begin with a text, with values."""
    operation = _operation_of(ctx)
    if operation is None:
        return []
    name = _assigned.get()
    start = "" if name is None else f"{name}="
    assignments = _assignments(operation, f"{start}{incomplete}")
    return [(text[len(start) :], description) for text, description in assignments]


def complete_input(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the further images of the command's operation, or files for one of them."""
    if _assigned.get() is not None:
        return []  # bash completes files by itself, with its quotes
    name, equals, path = incomplete.partition("=")
    if equals:
        return [f"{name}={file}" for file in _files(path)]
    operation = _operation_of(ctx)
    images = operation.images if operation is not None else ()
    return [f"{image}=" for image in images if image.startswith(name)]


def _operation_of(ctx: typer.Context) -> Operation | None:
    """Return the operation that a command line names before the cursor."""
    from napari_tilewise.operations import OPERATIONS

    # An option without its value is no complete command line: its arguments are not bound yet.
    names = [ctx.params.get("operation"), ctx.params.get("recipe"), *ctx.args]
    name = next((str(name) for name in names if name in OPERATIONS), None)
    return None if name is None else OPERATIONS[name]


def _assignments(operation: Operation, incomplete: str) -> Iterator[tuple[str, str]]:
    for parameter in operation.parameters.values():
        sentence = parameter.doc.replace("`", "").partition(". ")[0]
        description = shorten(sentence, _HELP_WIDTH, placeholder=" ...")
        for value in _values(parameter):
            text = f"{parameter.name}={value}"
            if text.startswith(incomplete):
                yield text, description


def _values(parameter: Parameter) -> list[Any]:
    """Return the values that a parameter can have; of many, none and the default."""
    choices = getattr(parameter.spec, "choices", None)
    if choices:
        return list(choices)
    is_plain = isinstance(parameter.default, bool | int | float | str)
    return ["", *([parameter.default] if is_plain and not parameter.required else [])]
