"""Carries out cases in a process of its own, which is watched."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import traceback
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from napari_tilewise.runs.registry import STATE
from tests.fuzz.doors import DOORS, MEMORY, enter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

SLACK = 2**27
"""Bytes above the budget that libraries and the allocator may keep."""
_WAITS = 8
"""A case that computes nothing hangs after so many times as long."""
_FIRST = 4
"""The first case of a process, which imports what all need, may take so many times as long."""


class Failure(NamedTuple):
    """A case that is not as it should be."""

    door: str
    number: int
    kind: str
    text: str


def rng_of(door: str, seed: int, number: int) -> Random:
    """Return what decides about a case."""
    return Random(f"{door}-{seed}-{number}")


def work(door: str, seed: int, numbers: Sequence[int], root: str, answers: Connection) -> None:
    """Carry out cases, and say before and after each what comes of it."""
    os.environ[STATE] = str(Path(root, "state"))
    for number in numbers:
        answers.send((number, None, ""))
        try:
            enter(door, Path(root, door), Path(root, f"case-{number}"), rng_of(door, seed, number))
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            places = [f"{Path(f.filename).name}:{f.lineno}" for f in frames[-6:]]
            text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            answers.send((number, type(error).__name__, f"{text} [{' '.join(places)}]"))
        else:
            answers.send((number, "", ""))
    answers.send(None)


def prepare(door: str, root: str) -> None:
    """Write the samples of a door."""
    os.environ[STATE] = str(Path(root, "state"))
    Path(root, "state").mkdir()
    DOORS[door].prepare(Path(root, door))


def try_door(door: str, seed: int, numbers: Sequence[int], seconds: float) -> Iterator[Failure]:
    """Yield the failures among the cases of a door."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        first = context.Process(target=prepare, args=(door, root))
        first.start()
        first.join()
        pending = list(numbers)
        while pending:
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=work, args=(door, seed, pending, root, there))
            child.start()
            there.close()
            last: int | None = None
            for failure, number in _watched(here, child, door, seconds, MEMORY + SLACK):
                last = number
                if failure is not None:
                    yield failure
            child.kill()
            child.join()
            if last == -1:
                raise RuntimeError("the process that tries cases does not start")
            pending = [] if last is None else [n for n in pending if n > last]


def _watched(
    answers: Connection, child: Any, door: str, seconds: float, memory: int
) -> Iterator[tuple[Failure | None, int | None]]:
    """Yield failures, each with the case after which the others are still to do; None: all done."""
    process, current, started = psutil.Process(child.pid), -1, (0.0, 0.0)
    is_first = True
    while True:
        try:
            if answers.poll(0.02):
                answer = answers.recv()
                if answer is None:
                    yield None, None
                    return
                current, kind, text = answer
                if kind:
                    yield Failure(door, current, kind, text), current
                if kind is None:
                    started = _clocks(process)
                else:
                    is_first = False
                continue
            (computed, lasted), size = _clocks(process), process.memory_info().rss
        except (EOFError, psutil.Error):
            child.join()
            text = f"the process ended with {child.exitcode}"
            yield Failure(door, current, "crash", text), current
            return
        most = seconds * (_FIRST if is_first else 1)
        is_late = computed - started[0] > most or lasted - started[1] > _WAITS * most
        if current >= 0 and is_late:
            yield Failure(door, current, "hang", f"more than {most} s"), current
            return
        if size > memory:
            yield Failure(door, current, "memory", f"{size >> 20} MiB"), current
            return


def _clocks(process: psutil.Process) -> tuple[float, float]:
    """Return the seconds that a process has computed, and those of the clock."""
    times = process.cpu_times()
    return times.user + times.system, time.monotonic()
