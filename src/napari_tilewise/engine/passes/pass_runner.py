"""A pass runner does the passes of one operation on one plane, once, up to the last."""

from __future__ import annotations

import pickle
import threading
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.passes.reductions import ReductionRunner
from napari_tilewise.engine.passes.results_file import FiledResult, held_bytes
from napari_tilewise.engine.passes.sweeps import SweepRunner
from napari_tilewise.engine.passes.walks import WalkRunner
from napari_tilewise.engine.passes.whole_regions import (
    bytes_of_region,
    refuse_parameters,
)
from napari_tilewise.engine.system.prepared import Prepared, Swept, received
from napari_tilewise.errors import OperationFailed, TilewiseError
from napari_tilewise.operations.shared.whole import whole_without_nan
from napari_tilewise.operations.spec.operation import Final, Kind, Reduce, Sweep, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.engine.passes.results_file import ResultsFile
    from napari_tilewise.engine.plane import Plane
    from napari_tilewise.engine.system.prepared import PlaneKey, Statistics
    from napari_tilewise.engine.tile_tasks import SweepTask, WorkerPool
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Plan

PassResult = bytes | FiledResult | Swept | None
"""What a runner keeps of a pass that is done; None where the checkpoint has it."""
SOON = 2**22
"""Pixels of an image that is computed at once within about two seconds."""


class PassRunner:
    """The passes of one operation on one plane or volume.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.
    key
        The plane, as all processes that compute it know it.
    retained
        Returns what earlier calls computed of the same image, where there is such.
    earlier
        Results of its passes in another runner of this process; None where the checkpoint has one.
    file
        Where results go, by which it may be replaced when it is done; None: it stays.
    """

    def __init__(
        self,
        plane: Plane,
        key: PlaneKey,
        retained: Callable[[], Statistics | None] = lambda: None,
        earlier: Sequence[PassResult] = (),
        file: ResultsFile | None = None,
    ) -> None:
        self.plane = plane
        self.key = key
        self.statistics: Statistics | None = None
        """What other operations on the same image may have computed."""
        self._retained = retained
        self._pool: WorkerPool | None = None
        self._lock = threading.RLock()
        self._plan: Plan | None = None
        self._passes: list[Reduce | Sweep | Walk] = []
        self._final: Final | None = None
        self._earlier = earlier
        self._is_portable = False
        self._file = file
        self._results: list[PassResult] | None = None if file is None else []
        self.nbytes = 0
        """Bytes that the results of its passes take, about."""

    def final(self) -> Final:
        """Return the last pass, after those before it were done."""
        with self._lock:
            if self._final is None:
                self.plane.blocks.prepare()
                return self._walk(None)
            return self._final

    @property
    def finished(self) -> Final | None:
        """The last pass, where those before it are done."""
        return self._final

    @property
    def outline(self) -> tuple[PassResult, ...] | None:
        """The results of all passes before the last; None for those that a checkpoint has.

        None where passes are not done, or where only this runner has their results.
        """
        results = self._results
        if self._final is None or results is None:
            return None
        is_noted = self.plane.session.checkpoint is not None and self.plane.address is not None
        return tuple(results) if is_noted or None not in results else None

    def first_pass(self) -> Reduce | Sweep | Walk | None:
        """Return the first pass before the last, without doing it; None where there is none.

        What refuses the call is said by `final`.
        """
        with self._lock:
            try:
                self._walk(0)
            except TilewiseError:
                return None
            return self._passes[0] if self._passes else None

    def prepared(self, pool: WorkerPool | None = None, *, portable: bool) -> Prepared:
        """Do the passes before the last; return their results.

        Parameters
        ----------
        pool
            Workers that compute reductions; this process unless given.
        portable
            Whether another process will use them; else this runner has all that is needed.
        """
        with self._lock:
            if not portable:
                self.final()
                return Prepared(self.key, ())
            self._keep_results()
            self._pool = pool
            try:
                self.final()
            finally:
                self._pool = None
            return self.done

    def keep_results(self) -> None:
        """Keep the results of passes that are not done yet for other processes."""
        with self._lock:
            if self._final is None:
                self._keep_results()

    def _keep_results(self) -> None:
        """Keep the results of all passes for other processes; make those again that are gone."""
        if self._results is None or (not self._is_portable and None in self._results):
            self._results = []
            self._forget()
        self._is_portable = True

    def statistic(self, number: int, pool: WorkerPool) -> Any:
        """Return the result of a reduction for other operations on the same image.

        Parameters
        ----------
        number
            The pass, from 0.
        pool
            Workers that compute it.
        """
        return self._reduced(ReductionRunner(self.plane, self._reduction_at(number), number), pool)

    @property
    def done(self) -> Prepared:
        """The results so far, where they are portable."""
        return Prepared(self.key, portable(self._results or ()))

    def _forget(self) -> None:
        """Begin anew at the next call."""
        self._plan, self._passes, self._final = None, [], None
        self.nbytes = 0
        if self._results is not None:
            self._results = []

    def sweep(self, task: SweepTask) -> list[Position]:
        """Do some tiles of a sweep for another process; return those that changed.

        Parameters
        ----------
        task
            The tiles, and the versions of those around them.
        """
        sweep = self._pass_at(task.number)
        if not isinstance(sweep, Sweep):
            raise OperationFailed(f"Pass {task.number} of {self._name} is not a sweep.")
        return SweepRunner(self.plane, sweep, task.number).do_task(task)

    def contributions(self, number: int, positions: Sequence[Position]) -> list[Any]:
        """Return what some tiles contribute to a reduction, merged as far as possible.

        Parameters
        ----------
        number
            The pass, from 0.
        positions
            The tiles, neighbours in the order of the pass.
        """
        reduction = self._reduction_at(number)
        return ReductionRunner(self.plane, reduction, number).contributions(positions)

    @property
    def _name(self) -> str:
        return self.plane.operation.name

    def _reduction_at(self, number: int) -> Reduce:
        reduction = self._pass_at(number)
        if not isinstance(reduction, Reduce):
            raise OperationFailed(f"Pass {number} of {self._name} is not a reduction.")
        return reduction

    def _pass_at(self, number: int) -> Reduce | Sweep | Walk:
        """Return one of the passes before the last, once those before it are done."""
        if number < len(self._passes):  # the thread that does the passes may wait for this one
            return self._passes[number]
        with self._lock:
            self._walk(number)
            return self._passes[number]

    def _walk(self, number: int | None) -> Final:
        """Go through the plan up to a pass (not doing that one), or to its end."""
        try:
            plan = self._plan
            if plan is None:
                refuse_parameters(self.plane)
                plan = self._plan = self._begun_plan()
                self._send(plan, None)
            while self._final is None and (number is None or len(self._passes) <= number):
                self._send(plan, self._done(len(self._passes) - 1))
        except BaseException:
            self._forget()
            raise
        return self._final  # type: ignore[return-value]  # None only where a pass is asked for

    def _begun_plan(self) -> Plan:
        """Return the operation's plan: on the whole image at once, if that may be needed anyway."""
        operation, call = self.plane.operation, self.plane.call
        pixels = prod(call.spatial_shape)
        if operation.kind is not Kind.WHOLE and operation.cost.whole is not None:
            if (
                pixels <= SOON
                and bytes_of_region(self.plane, pixels) <= self.plane.session.in_tiles
            ):
                return whole_without_nan(call)
        return operation.plan(call)

    def _send(self, plan: Plan, result: Any) -> None:
        """Give the plan the result of a pass; take the next pass from it, or the last."""
        try:
            self._passes.append(plan.send(result))
        except StopIteration as stop:
            self._final = stop.value
        except TilewiseError:
            raise
        except Exception as error:
            raise OperationFailed(f"{self._name} cannot take this image: {error}") from error

    def _done(self, number: int) -> Any:
        """Return the result of a pass: another process's, where one has sent it, or its own."""
        step, results = self._passes[number], received(self.key) or self._earlier
        result = results[number] if number < len(results) else None
        if result is None or (isinstance(result, Swept) and not result.is_readable()):
            value = self._computed(number)
            if self._results is not None:  # a plan may go on to change what it receives
                self._results.append(self._compact(step, value))
            return value
        if isinstance(result, Swept):
            value = result.count
            self.plane.store(result.name, result.image)
        else:
            value = result.load() if isinstance(result, FiledResult) else pickle.loads(result)
            self.nbytes += held_bytes(value)
        if self._results is not None:
            file = self._file if isinstance(result, bytes) else None
            self._results.append(result if file is None else file.put(value))
        return value

    def _compact(self, step: Reduce | Sweep | Walk, value: Any) -> PassResult:
        """Return the result of a pass for other runners; None where the checkpoint has it."""
        if isinstance(step, Sweep | Walk):
            swept = Swept(value, step.name, self.plane.stored(step.name))
            self.nbytes += 0 if swept.image is None else swept.image.in_memory
            return swept
        self.nbytes += held_bytes(value)
        is_noted = self.plane.session.checkpoint is not None and self.plane.address is not None
        if is_noted and not self._is_portable:
            return None
        return pickle.dumps(value) if self._file is None else self._file.put(value)

    def _computed(self, number: int) -> Any:
        """Return the result of a pass; the checkpoint's, where an earlier run has it."""
        step = self._passes[number]
        if isinstance(step, Sweep):
            return SweepRunner(self.plane, step, number).run()
        if isinstance(step, Walk):
            return WalkRunner(self.plane, step, number).run()
        runner = ReductionRunner(self.plane, step, number)
        name, checkpoint = runner.checkpoint_name, self.plane.session.checkpoint
        if checkpoint is None or name is None:
            return self._shared_or_reduced(runner)
        saved = checkpoint.load(name)
        if saved is not None:
            return saved[0]
        result = self._shared_or_reduced(runner)
        checkpoint.save(name, result)
        return result

    def _shared_or_reduced(self, runner: ReductionRunner) -> Any:
        """Return the result of a reduction; what other operations computed, where they did."""
        compute, share = partial(self._reduced, runner), runner.reduction.share
        if share is None:
            return compute()
        statistics = self.statistics or self._retained()
        if statistics is None:
            return compute()
        return statistics.get((self.key[1], share), runner.number, compute)

    def _reduced(self, runner: ReductionRunner, pool: WorkerPool | None = None) -> Any:
        # What sweeps made may be in files that only this machine sees.
        swept = any(isinstance(result, Swept) for result in self._results or ())
        return runner.run(None if swept else pool or self._pool, self.key[1])


def portable(results: Sequence[PassResult]) -> tuple[bytes | Swept, ...]:
    """Return the results of passes up to the first that only the checkpoint has, for a `Prepared`.

    Parameters
    ----------
    results
        The results.
    """
    done: list[bytes | Swept] = []
    for result in results:
        if result is None:
            break
        if isinstance(result, FiledResult):
            result = pickle.dumps(result.load())
        done.append(result)
    return tuple(done)
