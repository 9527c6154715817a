"""Which unfinished run a new one goes on with: of the same recipe, source, tiles and place.

The key is a digest of all that decides about a pixel. Where it differs the run starts afresh and
says so; a finished tile of the same key is never computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_tilewise.engine.account import Account
from napari_tilewise.engine.events import RunAfresh, RunLeft, RunResumed
from napari_tilewise.io.omezarr import unfinished
from napari_tilewise.io.staging import local_path

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_tilewise.planner import Plan


def account_folder(destination: str | os.PathLike[str]) -> Path:
    """Return where the account of runs to a destination is kept, beside it.

    Parameters
    ----------
    destination
        The final name.
    """
    path = local_path(destination)
    return path.parent / f".{path.name}.run"


@contextmanager
def accounted(
    made: Plan,
    history: Mapping[str, Any],
    destination: str | os.PathLike[str],
    *,
    pyramid: bool,
    resume: bool,
) -> Iterator[Account | None]:
    """Give the account of a run, removed when the run is complete, else left to the next.

    Parameters
    ----------
    made
        The plan; its session notes what is done.
    history
        The record of how the output is made.
    destination
        The final name.
    pyramid
        Whether smaller levels are written.
    resume
        Whether there is an account at all; None is given where not.

    Raises
    ------
    DestinationBusy
        When another run is writing to this destination.
    """
    folder = account_folder(destination)
    facts = {"history": dict(history)}
    account = Account(folder, _key(made, history, pyramid) if resume else uuid4().hex, facts)
    if not resume:
        account.remove()
        yield None
        return
    _begin(made, account)
    try:
        yield account
    except BaseException:
        if account.is_empty:
            account.remove()
        else:
            account.close()
            made.session.tell(RunLeft(str(folder)))
        raise
    account.remove()


def _begin(made: Plan, account: Account) -> None:
    session = made.session
    session.account = account
    for number, kept in made.chain.kept.items():
        kept.settle(account.files(f"kept-{number}"))
    if account.was_another:
        session.tell(RunAfresh())
    elif not account.is_new:
        session.tell(RunResumed(len(account.done("tiles")), len(made.grid)))


def _key(made: Plan, history: Mapping[str, Any], pyramid: bool) -> str:
    """Return a digest of all that decides about a pixel of the output."""
    if "not_repeatable" in history:
        return uuid4().hex  # an image or a function is part of the recipe: nothing tells it again
    told = {key: value for key, value in history.items() if key not in ("time", "values")}
    grid = (made.tile, made.chunks, made.axes, pyramid, tuple(map(str, made.chain.kept)))
    text = json.dumps([told, grid], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def left_over(destination: str | os.PathLike[str], account: Account | None) -> Path | None:
    """Return the unfinished output to go on with, after the removal of all others.

    Parameters
    ----------
    destination
        The final name.
    account
        The account of the run.
    """
    wanted = None if account is None else account.facts.get("staging")
    found = None
    for staging in unfinished(destination):
        if staging.name == wanted:
            found = staging
        else:
            shutil.rmtree(staging, ignore_errors=True)  # nobody goes on with it
    if account is not None and found is None:
        account.forget_tiles()
    return found
