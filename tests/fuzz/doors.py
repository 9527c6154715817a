"""The doors through which other people's data comes in; each takes one mutated case at a time."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import warnings
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

import napari_tilewise as tw
from napari_tilewise.batches.unfinished import unfinished_runs
from napari_tilewise.cli import main
from napari_tilewise.engine.checkpoints.journal import read_entries, rewrite
from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.errors import TilewiseError
from napari_tilewise.io.image import KEY
from napari_tilewise.operations.spec.operation import Kind
from napari_tilewise.runs import registry
from napari_tilewise.runs.rerun import rerun
from tests.fuzz import samples
from tests.fuzz.mutations import ODD, mutate_bytes, mutate_data, mutate_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

MEMORY = 2**30
"""Bytes that a case may take, the interpreter included."""
LARGEST = 2**22
"""Pixels of an image that a case copies: what a file declares beyond is planned only."""


@dataclass(frozen=True)
class Door:
    """A way in."""

    prepare: Callable[[Path], object]
    """Writes the samples into a folder that does not exist yet."""
    enter: Callable[[Path, Random], None]
    """Mutates a copy of the samples, which it may change, and lets the package read it."""


class Unforeseen(AssertionError):
    """A command said that something unexpected happened."""


# Files -----------------------------------------------------------------------------------------


def _enter_file(folder: Path, rng: Random) -> None:
    path = rng.choice(sorted(folder.iterdir()))
    inner = path
    if path.is_dir():
        inner = rng.choice(sorted(file for file in path.rglob("*") if file.is_file()))
    if inner.suffix == ".json" or inner.name.startswith(".z"):
        document = json.loads(inner.read_text())
        inner.write_text(json.dumps(mutate_data(document, rng)))
    else:
        inner.write_bytes(mutate_bytes(inner.read_bytes(), rng))
    with _expected():
        tw.info(path)
    with _expected():
        image = tw.open(path)
        axes = None if image.axes else "qtczyx"[-len(image.data.shape) :]
        if prod(image.data.shape) > LARGEST or len(image.data.shape) > 6:
            tw.plan("filters.gaussian", path, memory=MEMORY)
        else:
            tw.convert(path, folder / "out.ome.zarr", memory=MEMORY, workers=1, axes=axes)


# Recipes ---------------------------------------------------------------------------------------


def _write_recipes(folder: Path) -> None:
    folder.mkdir()
    for number, text in enumerate(samples.recipe_texts()):
        (folder / f"{number}.yaml").write_text(text)


def _enter_recipe(folder: Path, rng: Random) -> None:
    path = rng.choice(sorted(folder.iterdir()))
    text = path.read_text()
    data = mutate_data(yaml.safe_load(text), rng)
    try:
        text = yaml.dump(data, allow_unicode=True)
    except RecursionError:
        text = json.dumps(data)
    if rng.random() < 0.5:
        text = mutate_text(text, rng)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with _expected():
        recipe = tw.Recipe.load(path)
        recipe.to_script()
        repr(recipe)
        tw.plan(recipe, samples.PLANE, memory=MEMORY)
        name = "out.ome.zarr" if recipe.steps[-1].op.output.is_image else "out.json"
        tw.run(recipe, samples.PLANE, folder / name, memory=MEMORY, workers=1)


# Records ---------------------------------------------------------------------------------------


def _enter_record(folder: Path, rng: Random) -> None:
    name = rng.choice(("out.ome.zarr", "out.json", "out.csv"))
    document = {
        "out.ome.zarr": folder / name / "zarr.json",
        "out.json": folder / name,
        "out.csv": folder / f"{name}.provenance.json",
    }[name]
    content = json.loads(document.read_text())
    holder = content["attributes"] if name.endswith("zarr") else content
    holder[KEY] = mutate_data(holder[KEY], rng)
    document.write_text(json.dumps(content))
    with _expected():
        tw.info(folder / name)
    with _expected():
        rerun(folder / name, memory=MEMORY, workers=1)


# Journals --------------------------------------------------------------------------------------


def _enter_journal(folder: Path, rng: Random) -> None:
    entries = {
        kind: _registered(kind, folder / name)
        for kind, name in ((registry.RUN, "out.ome.zarr"), (registry.BATCH, "out"))
    }
    files = [path for path in folder.rglob("*") if path.is_file() and ".npy" not in path.name]
    path = rng.choice(sorted(files) + list(entries.values()))
    if rng.random() < 0.5:  # half of the cases are of a journal, which decides about all others
        path = rng.choice([file for file in sorted(files) if file.name in _JOURNALS])
    is_of_batch = (folder / "out") in path.parents
    if path.name in _JOURNALS and rng.random() < 0.8:
        lines = list(read_entries(path))
        number = rng.randrange(len(lines))
        lines[number] = _as_entry(mutate_data(lines[number], rng))
        rewrite(path, lines)  # with the checksums that belong to it
    elif path in entries.values():
        path.write_text(json.dumps(mutate_data(json.loads(path.read_text()), rng)))
    else:
        path.write_bytes(mutate_bytes(path.read_bytes(), rng))
    try:
        unfinished = unfinished_runs()
        shown = [str(run) for run in unfinished]
        if any("\n" in line for line in shown):
            raise Unforeseen(f"not one line each: {shown!r}")
        if rng.random() < 0.1:
            _shell(["runs", "--json"])
        for run in unfinished:
            is_of_case = folder in run.destination.parents  # not the samples themselves
            if is_of_case and run.is_batch == is_of_batch and rng.random() < 0.5:
                with _expected():
                    run.resume(memory=MEMORY)
        with _expected():
            if is_of_batch:
                samples.resumed_batch(folder)
            else:
                samples.resumed_run(folder, memory=MEMORY)
    finally:
        for entry in entries.values():
            entry.unlink(missing_ok=True)


_JOURNALS = ("journal", "batch.jsonl")


def _registered(kind: str, destination: Path) -> Path:
    """Note an interrupted run or batch in the registry; return the file of its entry."""
    before = set(registry.folder().iterdir())
    registry.enter(kind, destination)
    registry.interrupt(kind, destination)
    (path,) = set(registry.folder().iterdir()) - before
    return path


def _as_entry(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {"other": data}


# Templates -------------------------------------------------------------------------------------


def _write_templates(folder: Path) -> None:
    folder.mkdir()
    for name in ("a", "b c"):
        np.save(folder / f"{name}.npy", samples.PLANE)


def _enter_template(folder: Path, rng: Random) -> None:
    templates = (
        "{stem}",
        "{stem}_{index}",
        "{recipe}/{stem}.ome.tif",
        "x{index:03d}.npy",
        "{stem!r}",
    )
    template = mutate_text(rng.choice(templates), rng)
    parent = {path.name for path in folder.parent.iterdir()}
    with _expected():
        tw.batch("filters.sobel", folder, folder / "out", name=template, n_jobs=1, backend="serial")
    if {path.name for path in folder.parent.iterdir()} != parent:
        raise Unforeseen(f"name={template!r} wrote outside the folder")


# Arguments -------------------------------------------------------------------------------------

_COMMANDS = (
    ["run", "filters.gaussian", "a.npy", "o.ome.zarr", "-p", "sigma=2", "--memory", "1GiB"],
    ["run", "r.yaml", "a.npy", "o.tif", "--axes", "yx", "--workers", "1", "--overwrite"],
    ["run", "filters.median", "a.npy", "o.npy", "--spatial", "yx", "--dry-run", "--json"],
    ["batch", "filters.sobel", "*.npy", "out", "--jobs", "1", "--backend", "serial"],
    ["batch", "r.yaml", "a.npy", "out", "--over", "0", "--jobs", "1", "--backend", "serial"],
    ["convert", "a.npy", "c.ome.zarr", "--level", "0", "--ome-zarr", "0.4", "--dtype", "float32"],
    ["info", "g.ome.zarr", "--json"],
    ["rerun", "g.ome.zarr"],
    ["describe", "filters.gaussian", "--json"],
    ["list", "--kind", "pointwise"],
    ["check", "r.yaml"],
    ["script", "r.yaml"],
    ["runs", "--json"],
)


def _enter_arguments(folder: Path, rng: Random) -> None:
    arguments = list(rng.choice(_COMMANDS))
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(1, len(arguments) + 1)
        word = arguments[place] if place < len(arguments) else ""
        odd = _harmless(rng.choice((str(rng.choice(ODD)), mutate_text(word, rng))))
        if rng.random() < 0.2:
            del arguments[place : place + 1]
        elif rng.random() < 0.2:
            arguments[place:place] = [odd]
        else:
            arguments[place : place + 1] = [odd]
    before = os.getcwd()
    os.chdir(folder)
    try:
        _shell(arguments)
    finally:
        os.chdir(before)


def _harmless(word: str) -> str:
    """Return an argument that names nothing outside the folder, and starts no cluster."""
    word = word.replace("\0", "").replace("/", "_").replace("..", "_")
    return word.encode("utf-8", "replace").decode()


_NAMES = ("memory", "workers", "axes", "spatial", "executor", "inputs", "ome_zarr", "overwrite")


def _enter_keywords(folder: Path, rng: Random) -> None:
    option = {rng.choice(_NAMES): rng.choice(ODD)}
    options: dict[str, Any] = {"memory": MEMORY, "workers": 1} | option
    if options["workers"] not in (1, 2):
        options["executor"] = "serial"  # 2**31 threads are what one may ask for
    with _expected():
        tw.run("filters.gaussian", folder / "a.npy", folder / "o.ome.zarr", **options)
    operation = rng.choice(list(tw.OPERATIONS.values()))
    parameters = list(operation.parameters)
    odd = {name: rng.choice(ODD) for name in rng.sample(parameters, min(1, len(parameters)))}
    # Some of those that need the whole image take minutes, rightly, for that of a few pixels more.
    image = samples.PLANE[:7, :9] if operation.kind is Kind.WHOLE else folder / "a.npy"
    with _expected():
        name = "p.ome.zarr" if operation.output.is_image else "p.json"
        tw.run((operation.name, odd), image, folder / name, memory=MEMORY, workers=1)


DOORS: dict[str, Door] = {
    "files": Door(samples.write_files, _enter_file),
    "recipes": Door(_write_recipes, _enter_recipe),
    "records": Door(samples.write_records, _enter_record),
    "journals": Door(samples.write_unfinished, _enter_journal),
    "templates": Door(_write_templates, _enter_template),
    "arguments": Door(samples.write_arguments, _enter_arguments),
    "keywords": Door(samples.write_arguments, _enter_keywords),
}


def enter(door: str, original: Path, folder: Path, rng: Random) -> None:
    """Carry out one case.

    Parameters
    ----------
    door
        A name in `DOORS`.
    original
        The folder of its samples.
    folder
        A folder for the copy that is mutated; removed at the end.
    rng
        Decides about the mutation.

    Raises
    ------
    Exception
        Whatever is not foreseen.
    """
    shutil.copytree(original, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            DOORS[door].enter(folder, rng)
    finally:
        shared_cache().clear()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _expected() -> Any:
    """Let pass what the package says in a sentence."""
    try:
        yield
    except TilewiseError as error:
        text = str(error)
        if not text or "\n" in text.strip():
            raise Unforeseen(f"not one sentence: {text!r}") from error


def _shell(arguments: list[str]) -> None:
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    if code not in (0, 1, 2) or "unexpected error" in errors.getvalue():
        raise Unforeseen(f"{arguments}: exit code {code}: {errors.getvalue()[-500:]}")
