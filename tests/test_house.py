"""The house rules that a tool can hold: unique names, few parameters, small folders, nouns."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import napari_tilewise

ROOT = Path(napari_tilewise.__file__).parent
TESTS = Path(__file__).parent
GENERATED = {"skimage"}
"""Packages whose modules mirror another library's."""
MIRRORED = {"kernels", "operations/util/noise.py"}
"""Where functions have the signature of the function that they stand in for."""
PUBLIC = {
    *("apply", "batch", "convert", "items", "label_table"),
    *("operation", "plan", "rerun", "run"),
}
"""Public functions, which keep their keywords, in Python and in the shell."""
SHELL = "cli/"
"""A command's options are its parameters: typer reads them from the signature."""
MOST_PARAMETERS = 6
MOST_MODULES = 26
EMPTY = set(
    "made found told asked given kept known wanted one some thing things what how at here there "
    "left held why way place words afar met".split()
)
"""Names that say nothing of what they hold."""


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.partition("/")[0] not in GENERATED:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def test_names_of_modules_and_classes_are_unique():
    homes = defaultdict(list)
    for name, tree in modules():
        if not name.endswith("__init__.py"):
            homes["module", Path(name).stem].append(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes["class", node.name].append(name)
    assert {key: where for key, where in homes.items() if len(where) > 1} == {}


def test_functions_inside_take_few_parameters():
    long = {}
    for name, tree in modules():
        if any(name.startswith(mirrored) for mirrored in MIRRORED) or name.startswith(SHELL):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name not in PUBLIC:
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = sum(argument.arg not in ("self", "cls") for argument in arguments)
                if count > MOST_PARAMETERS:
                    long[f"{name}: {node.name}"] = count
    assert long == {}


def test_no_folder_is_crowded():
    crowded = {
        folder.relative_to(ROOT).as_posix(): count
        for folder in ROOT.rglob("*")
        if folder.is_dir() and (count := len(list(folder.glob("*.py")))) > MOST_MODULES
    }
    assert crowded == {}


def test_nothing_loose_beside_the_packages():
    loose = {path.stem for path in ROOT.glob("*.py")}
    assert loose == {"__init__", "__main__", "axes", "errors", "grid", "sizes", "types"}


def names(tree):
    """Yield the names that a module gives to variables, parameters, functions and classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def test_names_are_nouns_of_what_they_hold():
    lines, vague = 0, defaultdict(int)
    for name, tree in modules():
        lines += len((ROOT / name).read_text(encoding="utf-8").splitlines())
        vague[name] = sum(word.strip("_").lower() in EMPTY for word in names(tree))
    assert 1000 * sum(vague.values()) / lines < 0.1, {k: n for k, n in vague.items() if n}


@pytest.mark.parametrize("folder", ["benchmarks", "docs", "examples", "scripts"])
def test_scripts_have_such_names_too(folder):
    """But a box has a left side, and HERE is the folder of a script."""
    paths = (TESTS.parent / folder).rglob("*.py")
    vague = {
        f"{path.name}: {name}"
        for path in paths
        for name in names(ast.parse(path.read_text(encoding="utf-8")))
        if name.strip("_").lower() in EMPTY - {"left"} and name != "HERE"
    }
    assert vague == set()


QT_WAITS = {"waitUntil", "waitSignal", "waitSignals", "waitExposed", "waitActive", "waitForDone"}
WAITS = {"wait", "join", "acquire", "communicate", "wait_for", "wait_procs", "Barrier"}
STEP = 1
"""Seconds between two looks, at most; a wait for something else is longer."""
LONG_ENOUGH = 60
"""Seconds that a loaded machine may need for what else takes a moment."""


def short_waits(tree):
    """Return the waits of a module of tests that end while a loaded machine is at it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", "")
        limits = [word.value for word in node.keywords if word.arg == "timeout"]
        numbers = [
            value.value / (1000 if name in QT_WAITS else 1)
            for value in (*limits, *(node.args if name != "Barrier" else ()))
            if isinstance(value, ast.Constant) and type(value.value) in (int, float)
        ]
        if name in QT_WAITS | WAITS and any(STEP <= n < LONG_ENOUGH for n in numbers):
            yield node


def test_waits_of_tests_last_as_long_as_a_loaded_machine_needs():
    """One that ends sooner fails there for no fault; one that is not needed costs nothing."""
    short = [
        f"{path.relative_to(TESTS).as_posix()}: {ast.unparse(node)}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in short_waits(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert short == []


def test_no_assert_only_persuades_the_type_checker():
    """A type that cannot be told is a type to change; an assert is a check of what is computed."""
    persuading = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
        and re.match(r"isinstance\(|.* is not None$", ast.unparse(node.test))
    ]
    assert persuading == []
