"""The shell's door: the same operations, recipes and runs, results on stdout, the rest on stderr.

Exit codes: 0 done, 1 something failed and was reported in one line, 2 wrong usage. What a command
needs is imported inside it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tilewise import __version__, errors

if TYPE_CHECKING:
    from napari_tilewise.operations.model import Operation
    from napari_tilewise.operations.parameters import Parameter
    from napari_tilewise.planner import Plan
    from napari_tilewise.runs import Begun

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


OmeZarr = Annotated[
    str, typer.Option("--ome-zarr", help="Version of an OME-Zarr: 0.5, or 0.4 for older readers.")
]
Shards = Annotated[
    bool, typer.Option("--shards", help="In an OME-Zarr, one file a tile instead of one a chunk.")
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; never a traceback for what a user can meet.

    Parameters
    ----------
    argv
        The arguments; those of the process unless given.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # the one line says it already
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
        named = f": {error.filename}" if error.filename else ""
        return _report(f"{error.strerror or error}{named}", 1)
    except MemoryError as error:
        return _report(f"Out of memory. Give a smaller --memory or fewer --workers. {error}", 1)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        what = f"{type(error).__name__}: {error}"
        return _report(
            f"Something unforeseen failed ({what}). Set {DEBUG}=1 to see where, and please tell "
            "the developers.",
            1,
        )
    return 0


def _report(message: str, code: int) -> int:
    """Say in one line on stderr what failed, and return the exit code."""
    typer.echo(f"napari-tilewise: {' '.join(message.split())}", err=True)
    return code


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _load_functions(files: list[str] | None) -> list[str]:
    """Load the files of users' functions that were named."""
    if files:
        from napari_tilewise.functions import load_file

        for file in files:
            load_file(file)
    return files or []


Functions = Annotated[
    list[str] | None,
    typer.Option(
        "--functions",
        metavar="FILE.py",
        callback=_load_functions,
        help="A Python file of your own operations; it is run. May be repeated.",
    ),
]
"""What every command that meets operations takes; the files are loaded before it begins."""


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    functions: Functions = None,
) -> None:
    """Take the options of the command itself."""


@app.command("list")
def list_operations(
    kind: Annotated[
        str | None, typer.Option(help="Only operations that tile in this way: statistic, ...")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Only operations of this module: filters, filters.rank, ...")
    ] = None,
    functions: Functions = None,
) -> None:
    """List the operations."""
    # name, kind, exactness, what it gives, title
    from napari_tilewise.operations import OPERATIONS
    from napari_tilewise.operations.model import Kind

    kinds = [item.value for item in Kind]
    if kind is not None and kind not in kinds:
        _refuse("kind", kind, kinds)
    categories = {op.category for op in OPERATIONS.values()}
    families = sorted(categories | {name.partition(".")[0] for name in categories})
    if category is not None and category not in families:
        _refuse("category", category, families)
    found = [
        (
            op.name,
            op.kind,
            op.exactness,
            op.output,
            op.title + (" (deprecated)" * bool(op.deprecated)),
        )
        for op in sorted(OPERATIONS.values(), key=lambda op: bool(op.deprecated))
        if kind in (None, op.kind)
        and (category is None or f"{op.category}.".startswith(f"{category}."))
    ]
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    for row in found:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _refuse(what: str, value: str, known: Sequence[str]) -> None:
    hint = errors.did_you_mean(value, known)
    raise errors.InvalidParameter(
        f"There is no {what} {value!r}: expected one of {', '.join(known)}.{hint}"
    )


EXECUTOR = (
    "Where tiles are computed: threads, serial, processes, distributed (a dask cluster of this "
    "machine), a dask scheduler's address, or a batch system such as slurm."
)


@app.command()
def describe(
    operation: Annotated[str, typer.Argument(help="Its name, such as filters.gaussian.")],
    functions: Functions = None,
) -> None:
    """Describe an operation and its parameters."""
    from napari_tilewise.operations import get_operation

    op = get_operation(operation)
    typer.echo(f"{op.name}: {op.title}\n{op.summary}\n")
    typer.echo(f"gives      {op.output}")
    typer.echo(f"kind       {op.kind}: {KIND_WORDS[op.kind]}")
    typer.echo(f"exactness  {op.exactness}: {_exactness_words(op)}")
    if op.deprecated:
        typer.echo(f"deprecated {op.deprecated}")
    if op.note:
        typer.echo(f"note       {op.note}")
    if op.parameters:
        typer.echo("\nparameters (-p name=value)")
    for parameter in op.parameters.values():
        _describe_parameter(parameter)


KIND_WORDS = {
    "pointwise": "each pixel alone",
    "neighbourhood": "each tile with the neighbours that it needs",
    "statistic": "first a pass gathers numbers over the whole image",
    "connected": "pieces are joined across the tiles' edges",
    "geometry": "each output tile from the part of the input that it shows",
    "iterative": "repeated over the tiles",
    "whole": "the whole image at once; refused where it does not fit the memory",
}


def _exactness_words(op: Operation) -> str:
    """Return how near the result is to that on the whole image, in words."""
    from napari_tilewise.operations import SCIKIT_IMAGE

    whose = "scikit-image" if op.name in SCIKIT_IMAGE else "the function"
    words = {
        "identical": f"bit for bit what {whose} gives on the whole image",
        "close": f"within {op.tolerance:g} of what {whose} gives on the whole image",
        "approximate": f"near what {whose} gives on the whole image",
    }
    return words[op.exactness]


def _describe_parameter(parameter: Parameter) -> None:
    from textwrap import fill

    default = "required" if parameter.required else f"default {parameter.default!r}"
    typer.echo(f"  {parameter.name}: {parameter.spec.describe()}; {default}")
    if parameter.doc:
        indent = " " * 6
        typer.echo(fill(parameter.doc, 96, initial_indent=indent, subsequent_indent=indent))


@app.command()
def run(
    what: Annotated[
        str,
        typer.Argument(metavar="OP|RECIPE", help="An operation's name, or a recipe's .yaml file."),
    ],
    source: Annotated[str, typer.Argument(metavar="SRC", help="The image: a path or a URL.")],
    destination: Annotated[
        str,
        typer.Argument(metavar="DST", help="Where the result goes: NAME.ome.zarr, .ome.tif, ..."),
    ],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter; may be repeated."),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Most memory that the run may take, such as 2GiB.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Tiles in work at a time.")] = None,
    executor: Annotated[str, typer.Option(help=EXECUTOR)] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the destination.")
    ] = False,
    axes: Annotated[str | None, typer.Option(help="The image's axes, such as tcyx.")] = None,
    spatial: Annotated[
        str | None, typer.Option(help="The axes to run over, such as yx: plane by plane.")
    ] = None,
    no_pyramid: Annotated[
        bool, typer.Option("--no-pyramid", help="Write the full resolution only.")
    ] = False,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=PATH",
            help="One of the recipe's inputs; may be repeated.",
        ),
    ] = None,
    no_resume: Annotated[
        bool,
        typer.Option("--no-resume", help="Start afresh, and leave nothing to go on with."),
    ] = False,
    ome_zarr: OmeZarr = "0.5",
    shards: Shards = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how the run would go, from a few samples of it.")
    ] = False,
    functions: Functions = None,
) -> None:
    """Run an operation or a recipe on an image.

    The result's path goes to stdout, progress to stderr.
    """
    recipe = parse_recipe(what, param or [])
    inputs = parse_inputs(input_ or [])
    from napari_tilewise import runner
    from napari_tilewise.console import cancellable, progress
    from napari_tilewise.planner import plan

    if dry_run:
        made = plan(
            recipe, source, inputs=inputs, memory=memory, workers=workers, executor=executor,
            axes=axes, spatial=spatial, resume=not no_resume, destination=destination,
        )  # fmt: skip
        _foretell(made, destination, pyramid=not no_pyramid)
        return
    with cancellable() as cancel, progress() as listener:
        result = runner.run(
            recipe,
            source,
            destination,
            inputs=inputs,
            memory=memory,
            workers=workers,
            executor=executor,
            overwrite=overwrite,
            resume=not no_resume,
            pyramid=not no_pyramid,
            progress=listener,
            cancel=cancel,
            axes=axes,
            spatial=spatial,
            ome_zarr=ome_zarr,
            shards=shards,
        )
    typer.echo(result.value if isinstance(result.value, Number) else result.path)


def _foretell(made: Plan, destination: str, *, pyramid: bool) -> None:
    """Say how a run would go, and how long it would take."""
    from napari_tilewise.console import cancellable
    from napari_tilewise.estimate import estimate
    from napari_tilewise.writes import shortage

    typer.echo(made.describe())
    short = shortage(made, destination, pyramid=pyramid)
    if short is not None:
        typer.echo(f"beware  {short}")
    with cancellable() as cancel:
        typer.echo(f"time    {estimate(made, pyramid=pyramid, cancel=cancel)}")


@app.command()
def batch(
    what: Annotated[
        str,
        typer.Argument(
            metavar="OP|RECIPE",
            help="An operation's name, a recipe's .yaml file, or a function: my_ops.py:task.",
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="A quoted pattern, a folder, a plate or an image."),
    ],
    destination: Annotated[str, typer.Argument(metavar="OUT", help="The folder of the outputs.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter; may be repeated."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", help="Items in work at a time; -1: one per processor.")
    ] = -1,
    backend: Annotated[str, typer.Option(help="auto, serial, threading, loky or dask.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do everything again, over what is there.")
    ] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out items whose output is there, however made.")
    ] = False,
    name: Annotated[
        str,
        typer.Option(help="The outputs' name: {stem}, {recipe}, {index}, ...; a suffix: format."),
    ] = "{stem}",
    over: Annotated[
        str | None, typer.Option(help="Axes whose positions are items, such as t or tc.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="A sliding window's shape, such as 256 or 256,256.")
    ] = None,
    step: Annotated[str | None, typer.Option(help="The window's step; its shape if left out.")] = (
        None
    ),
    memory: Annotated[
        str | None, typer.Option(help="Most memory that all may take together, such as 2GiB.")
    ] = None,
    axes: Annotated[str | None, typer.Option(help="The images' axes, such as tcyx.")] = None,
    spatial: Annotated[
        str | None, typer.Option(help="The axes to run over, such as yx: plane by plane.")
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=PATH",
            help="One of the recipe's inputs; may be repeated.",
        ),
    ] = None,
) -> None:
    """Run an operation, a recipe or a function on many images.

    What is done and unchanged is not done again. The exit code is 1 if an item failed.
    """
    if overwrite and skip:
        raise errors.InvalidParameter("--overwrite and --skip were both given: give one.")
    is_function = ".py:" in what or (":" in what and "/" not in what)
    recipe = what if is_function else parse_recipe(what, param or [])
    if is_function and param:
        raise errors.InvalidParameter(f"-p {param[0]}: a function {what!r} takes the image alone.")
    inputs = parse_inputs(input_ or [])
    from napari_tilewise.batching import batch as run_batch
    from napari_tilewise.console import cancellable, item_progress

    with cancellable() as cancel, item_progress() as listener:
        report = run_batch(
            recipe,
            source,
            destination,
            n_jobs=jobs,
            backend=backend,
            overwrite="skip" if skip else overwrite,
            progress=listener,
            cancel=cancel,
            name=name,
            inputs=inputs,
            memory=memory,
            over=over,
            window=_lengths("window", window),
            step=_lengths("step", step),
            axes=axes,
            spatial=spatial,
        )
    typer.echo(str(report))
    if report.failed or report.cancelled:
        raise typer.Exit(1)


def _lengths(option: str, text: str | None) -> Any:
    """Return one length, or one per axis; a colon stands for the whole axis."""
    if text is None:
        return None
    try:
        lengths = [None if part == ":" else int(part) for part in text.split(",")]
    except ValueError:
        raise errors.InvalidParameter(
            f"--{option} {text}: expected whole numbers, such as 256 or 16,:,3."
        ) from None
    return lengths[0] if len(lengths) == 1 and lengths[0] is not None else lengths


def parse_recipe(what: str, assignments: Sequence[str]) -> Any:
    """Return the recipe that an operation's name or a file, and ``name=value`` texts, mean.

    Parameters
    ----------
    what
        An operation's name or the path of a recipe.
    assignments
        Parameters of the operation, values as YAML.

    Raises
    ------
    TilewiseError
        When the operation, the recipe, a parameter or a value is wrong.
    """
    from napari_tilewise.recipe import SUFFIXES, Recipe

    params = parse_params(assignments)
    if not what.lower().endswith(SUFFIXES):
        return Recipe.of((what, _open_images(what, params)))
    if params:
        raise errors.InvalidParameter(
            f"-p {assignments[0]} was given with the recipe {what!r}: a recipe holds its own "
            "parameters. Change them in the file."
        )
    return Recipe.load(what)


def parse_params(assignments: Sequence[str]) -> Mapping[str, Any]:
    """Return parameters from ``name=value`` texts, the values read as YAML.

    Parameters
    ----------
    assignments
        The texts.

    Raises
    ------
    InvalidParameter
        When a text has another form, or a name comes twice.
    """
    from napari_tilewise.recipe.file import parse_value

    params: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (equals and name):
            raise errors.InvalidParameter(f"-p {text}: expected -p name=value, such as -p sigma=3.")
        if name in params:
            raise errors.InvalidParameter(f"-p {name}=... was given twice: give it once.")
        params[name] = None if value.strip() == "None" else parse_value(value)
    return params


def parse_inputs(assignments: Sequence[str]) -> dict[str, str]:
    """Return a recipe's inputs from ``name=path`` texts.

    Parameters
    ----------
    assignments
        The texts.

    Raises
    ------
    InvalidParameter
        When a text has another form, or a name comes twice.
    """
    inputs: dict[str, str] = {}
    for text in assignments:
        name, equals, path = text.partition("=")
        if not (equals and name and path) or name in inputs:
            raise errors.InvalidParameter(
                f"--input {text}: expected --input name=path, each name once, such as "
                "--input markers=seeds.ome.zarr."
            )
        inputs[name] = path
    return inputs


def _open_images(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the further images, such as masks, opened from their paths."""
    from napari_tilewise.operations import get_operation

    names = get_operation(operation).images
    if not any(isinstance(params.get(name), str) for name in names):
        return dict(params)
    from napari_tilewise.io.source import open_image

    return {
        name: open_image(value).data if name in names and isinstance(value, str) else value
        for name, value in params.items()
    }


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The image: a path or a URL.")],
    destination: Annotated[
        str,
        typer.Argument(metavar="DST", help="NAME.ome.zarr, .ome.tif, .tif (ImageJ), .npy or .png."),
    ],
    level: Annotated[
        int, typer.Option(min=0, help="Which level of the source's pyramid; 0 is the finest.")
    ] = 0,
    axes: Annotated[str | None, typer.Option(help="The image's axes, such as tcyx.")] = None,
    labels: Annotated[
        bool | None,
        typer.Option(
            "--labels/--intensities",
            help="Whether values are names of objects, never averaged; as the source says.",
        ),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Most memory that it may take, such as 2GiB.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Tiles in work at a time.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the destination.")
    ] = False,
    no_resume: Annotated[
        bool,
        typer.Option("--no-resume", help="Start afresh, and leave nothing to go on with."),
    ] = False,
    no_pyramid: Annotated[
        bool, typer.Option("--no-pyramid", help="Write the full resolution only.")
    ] = False,
    ome_zarr: OmeZarr = "0.5",
    shards: Shards = False,
) -> None:
    """Convert an image, with its pyramid, to the format of DST's suffix.

    Pixel sizes, units, axes, names and colours of channels go along where both formats hold them.
    """
    from napari_tilewise import convert as converting
    from napari_tilewise.console import cancellable, progress

    with cancellable() as cancel, progress() as listener:
        result = converting.convert(
            source,
            destination,
            level=level,
            axes=axes,
            labels=labels,
            memory=memory,
            workers=workers,
            overwrite=overwrite,
            resume=not no_resume,
            pyramid=not no_pyramid,
            ome_zarr=ome_zarr,
            shards=shards,
            progress=listener,
            cancel=cancel,
        )
    typer.echo(result.path)


@app.command("runs")
def list_runs(
    resume: Annotated[
        str | None, typer.Option(metavar="DST", help="Go on with what was left of this output.")
    ] = None,
    forget: Annotated[
        str | None, typer.Option(metavar="DST", help="Remove what was left of this output.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="With --resume: most memory, such as 2GiB; as before.")
    ] = None,
    functions: Functions = None,
) -> None:
    """List the runs and batches that were begun and are not complete.

    A run that was killed is left; --resume goes on with it, whoever began it.
    """
    from napari_tilewise import runs

    if resume is not None and forget is not None:
        raise errors.InvalidParameter("--resume and --forget were both given: give one.")
    if forget is not None:
        runs.begun_at(forget).forget()
    elif resume is not None:
        _go_on(runs.begun_at(resume), {} if memory is None else {"memory": memory})
    else:
        for one in runs.begun():
            typer.echo(one)


def _go_on(left: Begun, options: Mapping[str, Any]) -> None:
    """Go on with a run or a batch, and tell as the command that began it does."""
    from napari_tilewise.console import cancellable, item_progress, progress

    with cancellable() as cancel, item_progress() if left.is_batch else progress() as listener:
        made = left.resume(progress=listener, cancel=cancel, **options)
    if not left.is_batch:
        typer.echo(made.value if isinstance(made.value, Number) else made.path)
        return
    typer.echo(str(made))
    if made.failed or made.cancelled:
        raise typer.Exit(1)


@app.command()
def info(path: Annotated[str, typer.Argument(help="The image: a path or a URL.")]) -> None:
    """Show what is known of an image, as YAML.

    No pixel is read.
    """
    from napari_tilewise.io.info import describe as describe_image
    from napari_tilewise.recipe.file import to_text

    typer.echo(to_text(_plain(describe_image(path))).rstrip())


def _plain(value: Any) -> Any:
    """Return a value with nothing in it but texts, numbers, lists and mappings."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value if isinstance(value, bool | int | float | None) else str(value)


@app.command()
def rerun(
    output: Annotated[str, typer.Argument(help="What run wrote: an OME-Zarr, .json or .csv.")],
    to: Annotated[
        str | None,
        typer.Option(help="Keep the new output here; it is only made to be compared unless given."),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Most memory that the run may take, such as 2GiB.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Tiles in work at a time.")] = None,
    executor: Annotated[str, typer.Option(help=EXECUTOR)] = "auto",
    functions: Functions = None,
) -> None:
    """Make an output again and compare.

    Says whether the new one is identical, or how much differs; the exit code is 1 if anything does.
    """
    from napari_tilewise.console import cancellable, progress
    from napari_tilewise.rerun import Repetition

    again = Repetition.of(output)
    for note in again.notes:
        typer.echo(note, err=True)
    with cancellable() as cancel, progress() as listener:
        result = again.run(
            to=to,
            memory=memory,
            workers=workers,
            executor=executor,
            progress=listener,
            cancel=cancel,
        )
    typer.echo(result.difference)
    if not result.identical:
        raise typer.Exit(1)


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.py", help="A Python file of your own operations.")
    ],
    operation: Annotated[
        str | None, typer.Option(help="Only this one; all of the file unless given.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="NAME=VALUE", help="Hold a parameter; may be repeated."
        ),
    ] = None,
) -> None:
    """Check the halos of your own operations.

    Measures the smallest halo for which tiled equals whole and compares it with the declared one.
    The exit code is 1 where tiled results are not what an operation promises.
    """
    from napari_tilewise.halo_check import findings

    wrong = 0
    for finding in findings(file, operation=operation, parameters=parse_params(param or [])):
        typer.echo(finding)
        wrong += not finding.ok
    if wrong:
        raise typer.Exit(1)


@app.command()
def script(
    recipe: Annotated[str, typer.Argument(help="The recipe's .yaml file, or an operation's name.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The script's file; stdout unless given.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Need scikit-image only, and hold the image in memory.")
    ] = False,
    source: Annotated[
        str | None, typer.Option(help="The image that the script reads unless told another.")
    ] = None,
    destination: Annotated[
        str | None, typer.Option(help="What the script writes unless told otherwise.")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="The image's axes, such as tcyx; the source's unless given.")
    ] = None,
    spatial: Annotated[
        str | None, typer.Option(help="The axes to run over, such as yx: plane by plane.")
    ] = None,
    functions: Functions = None,
) -> None:
    """Write a recipe as a Python script.

    It gives what the recipe gives, and runs as: python FILE [SOURCE [DESTINATION]].
    """
    from napari_tilewise.recipe import Recipe

    made = Recipe.of(recipe)
    if source is not None and axes is None:
        from napari_tilewise.io.source import open_image

        axes = "".join(open_image(source).axes) or None
    text = made.to_script(source, destination, scikit_image_only=plain, spatial=spatial, axes=axes)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise errors.DestinationExists(
            f"{str(output)!r} exists: give another file to -o, or remove it yourself."
        ) from error
    typer.echo(output)


@app.command()
def demo(
    size: Annotated[int, typer.Option(min=64, help="Pixels a side.")] = 4096,
    output: Annotated[Path, typer.Option(help="Folder for the images.")] = Path(
        "napari-tilewise-demo"
    ),
    view: Annotated[bool, typer.Option("--view", help="Open the images in napari.")] = False,
) -> None:
    """Check tiled against whole on a real image.

    Finds the galaxies in the Hubble deep field, enlarged by mirroring, tile by tile; compares
    the result with scikit-image on the whole image, and prints what was measured.
    """
    from napari_tilewise.console import cancellable, progress
    from napari_tilewise.demo import run_demo, show

    with cancellable() as cancel, progress() as listener:
        result = run_demo(size, output, progress=listener, cancel=cancel)
    typer.echo(result.summary())
    if not result.equal:
        raise typer.Exit(1)
    if view:
        show(result)


if __name__ == "__main__":
    sys.exit(main())
