"""The commands that run: run, runs for what was left, rerun to compare, and demo."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tilewise import errors
from napari_tilewise.cli.arguments import parse_recipe
from napari_tilewise.cli.options import (
    Axes,
    Executor,
    Functions,
    Inputs,
    Memory,
    NoPyramid,
    NoResume,
    OmeZarr,
    Overwrite,
    Params,
    Shards,
    Source,
    Spatial,
    Workers,
)

if TYPE_CHECKING:
    from napari_tilewise.batches.unfinished import UnfinishedRun
    from napari_tilewise.runs.run_plan import RunPlan


def run(
    what: Annotated[
        str,
        typer.Argument(metavar="OP|RECIPE", help="An operation's name, or a recipe's .yaml file."),
    ],
    source: Source,
    destination: Annotated[
        str,
        typer.Argument(metavar="DST", help="Where the result goes: NAME.ome.zarr, .ome.tif, ..."),
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
        bool, typer.Option("--dry-run", help="Say how the run would go, from a few samples of it.")
    ] = False,
    functions: Functions = None,
) -> None:
    """Run an operation or a recipe on an image.

    The result's path goes to stdout, progress to stderr.
    """
    recipe, inputs = parse_recipe(what, param or [], input_ or [])
    from napari_tilewise.cli.progress import cancellable, progress
    from napari_tilewise.runs import run
    from napari_tilewise.runs.plan import plan

    if dry_run:
        made = plan(
            recipe, source, inputs=inputs, memory=memory, workers=workers, executor=executor,
            axes=axes, spatial=spatial, resume=not no_resume, destination=destination,
        )  # fmt: skip
        _foretell(made, destination, pyramid=not no_pyramid)
        return
    with cancellable() as cancel, progress() as listener:
        result = run.run(
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


def _foretell(made: RunPlan, destination: str, *, pyramid: bool) -> None:
    """Say how a run would go, and how long it would take."""
    from napari_tilewise.cli.progress import cancellable
    from napari_tilewise.runs.estimate import estimate
    from napari_tilewise.runs.traffic import shortage

    typer.echo(made.describe())
    short = shortage(made, destination, pyramid=pyramid)
    if short is not None:
        typer.echo(f"beware  {short}")
    with cancellable() as cancel:
        typer.echo(f"time    {estimate(made, pyramid=pyramid, cancel=cancel)}")


def rerun(
    output: Annotated[str, typer.Argument(help="What run wrote: an image, .json or .csv.")],
    to: Annotated[
        str | None,
        typer.Option(help="Keep the new output here; it is only made to be compared unless given."),
    ] = None,
    memory: Memory = None,
    workers: Workers = None,
    executor: Executor = "auto",
    functions: Functions = None,
) -> None:
    """Make an output again and compare.

    Says whether the new one is identical, or how much differs; the exit code is 1 if anything does.
    """
    from napari_tilewise.cli.progress import cancellable, progress
    from napari_tilewise.runs.rerun import Repetition

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
    from napari_tilewise.batches import unfinished

    if resume is not None and forget is not None:
        raise errors.InvalidParameter("--resume and --forget were both given: give one.")
    if forget is not None:
        unfinished.unfinished_run(forget).forget()
    elif resume is not None:
        _go_on(unfinished.unfinished_run(resume), {} if memory is None else {"memory": memory})
    else:
        for one in unfinished.unfinished_runs():
            typer.echo(one)


def _go_on(left: UnfinishedRun, options: Mapping[str, Any]) -> None:
    """Go on with a run or a batch, and tell as the command that began it does."""
    from napari_tilewise.cli.progress import cancellable, item_progress, progress

    with cancellable() as cancel, item_progress() if left.is_batch else progress() as listener:
        made = left.resume(progress=listener, cancel=cancel, **options)
    if not left.is_batch:
        typer.echo(made.value if isinstance(made.value, Number) else made.path)
        return
    typer.echo(str(made))
    if made.failed or made.cancelled:
        raise typer.Exit(1)


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
    from napari_tilewise.cli.progress import cancellable, progress
    from napari_tilewise.cli.run_demo import run_demo, show

    with cancellable() as cancel, progress() as listener:
        result = run_demo(size, output, progress=listener, cancel=cancel)
    typer.echo(result.summary())
    if not result.equal:
        raise typer.Exit(1)
    if view:
        show(result)
