"""The commands that compute: run, runs for unfinished ones, rerun to compare, and demo."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tilewise import errors
from napari_tilewise.cli.arguments import parse_recipe
from napari_tilewise.cli.completion import complete_task
from napari_tilewise.cli.messages import SHELL
from napari_tilewise.cli.options import (
    Axes,
    DataType,
    Executor,
    Functions,
    Inputs,
    Json,
    Memory,
    NoPyramid,
    NoResume,
    OmeZarr,
    Overwrite,
    Params,
    Series,
    Shards,
    Source,
    Spatial,
    Workers,
    with_series,
)
from napari_tilewise.cli.results import print_report, print_result

if TYPE_CHECKING:
    from napari_tilewise.batches.unfinished import UnfinishedRun
    from napari_tilewise.runs.run_plan import RunPlan


def run(
    operation: Annotated[
        str,
        typer.Argument(
            metavar="OP|RECIPE",
            autocompletion=complete_task,
            help="An operation's name, or a recipe's .yaml file.",
        ),
    ],
    source: Source,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DST",
            help="Where the result goes: NAME.ome.zarr, .ome.tif, ...; .json or .csv for numbers, "
            "of a threshold too.",
        ),
    ],
    param: Params = None,
    memory: Memory = None,
    workers: Workers = None,
    executor: Executor = "auto",
    overwrite: Overwrite = False,
    axes: Axes = None,
    spatial: Spatial = None,
    no_pyramid: NoPyramid = False,
    input_: Inputs = None,
    no_resume: NoResume = False,
    ome_zarr: OmeZarr = "0.5",
    shards: Shards = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the plan and an estimated time; run nothing."),
    ] = False,
    dtype: DataType = None,
    series: Series = None,
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """Run an operation or a recipe on an image.

    The result's path goes to stdout, progress to stderr.
    """
    recipe, inputs = parse_recipe(operation, param or [], input_ or [], dtype=dtype)
    source = with_series(source, series)
    from napari_tilewise.cli.interrupts import cancellable, in_background
    from napari_tilewise.cli.progress import progress
    from napari_tilewise.runs import run
    from napari_tilewise.runs.plan import plan

    if dry_run:
        run_plan = plan(
            recipe, source, inputs=inputs, memory=memory, workers=workers, executor=executor,
            axes=axes, spatial=spatial, resume=not no_resume, destination=destination,
        )  # fmt: skip
        _print_plan(run_plan, destination, pyramid=not no_pyramid, as_json=as_json)
        return
    with cancellable() as cancel, progress() as listener:
        compute = partial(
            run.run,
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
        result = in_background(compute)
    print_result(result, as_json=as_json)


def _print_plan(run_plan: RunPlan, destination: str, *, pyramid: bool, as_json: bool) -> None:
    """Print how a run would proceed, and how long it would take."""
    from napari_tilewise.cli.interrupts import cancellable, in_background
    from napari_tilewise.runs.estimate import estimate
    from napari_tilewise.runs.traffic import shortage

    if not as_json:
        typer.echo(run_plan.describe())
    warning = shortage(run_plan, destination, pyramid=pyramid)
    if warning is not None and not as_json:
        typer.echo(f"warning {warning}")
    with cancellable() as cancel:
        time = in_background(partial(estimate, run_plan, pyramid=pyramid, cancel=cancel))
    if not as_json:
        typer.echo(f"time    {time}")
        return
    from napari_tilewise.cli.documents import print_json

    seconds = {"seconds": time.seconds, "reason": time.reason or None}
    print_json({**run_plan.to_dict(pyramid=pyramid), "warning": warning, "estimate": seconds})


def rerun(
    output: Annotated[str, typer.Argument(help="An output of run: an image, .json or .csv.")],
    to: Annotated[
        str | None,
        typer.Option(help="Path of the new output; by default it is removed after the comparison."),
    ] = None,
    memory: Memory = None,
    workers: Workers = None,
    executor: Executor = "auto",
    allow_outside: Annotated[
        bool,
        typer.Option(
            "--allow-outside",
            help="Read images that the record names at URLs or outside the output's folder.",
        ),
    ] = False,
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """Compute an output again and compare.

    What is read from outside the output's own folder is said first, and needs --allow-outside.
    Prints whether the new output is identical, or how it differs; the exit code is 1 if it differs.
    """
    from napari_tilewise.cli.interrupts import cancellable, in_background
    from napari_tilewise.cli.progress import progress
    from napari_tilewise.runs.rerun import Repetition

    repetition = Repetition.of(
        output, allow_outside=allow_outside, announce=partial(SHELL.info, "%s")
    )
    for note in repetition.notes:
        SHELL.info("%s", note)
    with cancellable() as cancel, progress() as listener:
        compute = partial(
            repetition.run,
            to=to,
            memory=memory,
            workers=workers,
            executor=executor,
            progress=listener,
            cancel=cancel,
        )
        result = in_background(compute)
    if as_json:
        from napari_tilewise.cli.documents import print_json

        path = None if result.path is None else str(result.path)
        text = str(result.difference)
        print_json({"identical": result.identical, "difference": text, "output": path})
    else:
        typer.echo(result.difference)
    if not result.identical:
        raise typer.Exit(1)


def list_runs(
    resume: Annotated[
        str | None, typer.Option(metavar="DST", help="Resume the unfinished run into DST.")
    ] = None,
    forget: Annotated[
        str | None, typer.Option(metavar="DST", help="Remove the unfinished run into DST.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="With --resume: peak memory, such as 2GiB; by default as before."),
    ] = None,
    as_json: Json = False,
    functions: Functions = None,
) -> None:
    """List unfinished runs and batches, and resume or forget one.

    A run that was killed stays unfinished; --resume resumes it, whoever started it.
    """
    from napari_tilewise.batches import unfinished

    if resume is not None and forget is not None:
        raise errors.InvalidParameter("--resume and --forget exclude each other: give one.")
    if memory is not None and resume is None:
        raise errors.InvalidParameter(
            f"--memory {memory} is the memory of a run that is resumed: give --resume DST too."
        )
    if forget is not None:
        unfinished.unfinished_run(forget).forget()
    elif resume is not None:
        options = {} if memory is None else {"memory": memory}
        _resume(unfinished.unfinished_run(resume), options, as_json=as_json)
    elif as_json:
        from napari_tilewise.cli.documents import print_json, unfinished_entry

        print_json([unfinished_entry(run) for run in unfinished.unfinished_runs()])
    else:
        for unfinished_run in unfinished.unfinished_runs():
            typer.echo(unfinished_run)


def _resume(unfinished: UnfinishedRun, options: Mapping[str, Any], *, as_json: bool) -> None:
    """Resume a run or a batch, and print what the command that started it prints."""
    from napari_tilewise.cli.interrupt_helper import TILES
    from napari_tilewise.cli.interrupts import ITEMS, cancellable, in_background
    from napari_tilewise.cli.progress import item_progress, progress

    listening = item_progress() if unfinished.is_batch else progress()
    patience = ITEMS if unfinished.is_batch else TILES
    with cancellable(patience) as cancel, listening as listener:
        compute = partial(unfinished.resume, progress=listener, cancel=cancel, **options)
        result = in_background(compute)
    if unfinished.is_batch:
        print_report(result, as_json=as_json)
    else:
        print_result(result, as_json=as_json)


def demo(
    size: Annotated[int, typer.Option(min=64, help="Pixels a side.")] = 4096,
    output: Annotated[Path, typer.Option(help="Folder for the images.")] = Path(
        "napari-tilewise-demo"
    ),
    view: Annotated[bool, typer.Option("--view", help="Open the images in napari.")] = False,
) -> None:
    """Check tiled against whole on a real image.

    Finds the galaxies in the Hubble deep field, enlarged by mirroring, tile by tile; compares
    the result with scikit-image on the whole image, and prints the measured times.
    """
    from napari_tilewise.cli.interrupts import cancellable, in_background
    from napari_tilewise.cli.progress import progress
    from napari_tilewise.cli.run_demo import require_napari, run_demo, show

    if view:
        require_napari()
    with cancellable() as cancel, progress() as listener:
        compute = partial(run_demo, size, output, progress=listener, cancel=cancel)
        result = in_background(compute)
    typer.echo(result.summary())
    if not result.equal:
        raise typer.Exit(1)
    if view:
        show(result)
