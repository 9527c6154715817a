"""What a killed batch left behind: outputs that grow under hidden names beside their own.

The batch's journal says which outputs were started and never finished; only beside these is
anything removed, and nothing that a living process may still write to.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.batches import batch_journal, outputs
from napari_tilewise.io.writers.partial_output import is_owned
from napari_tilewise.io.writers.staging import is_partial
from napari_tilewise.runs import registry, resume

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITTEN = 60
"""Seconds within which a file of values is written: one that is older has no process."""


def is_in_use(folder: str) -> bool:
    """Return whether a batch into a folder is running, or may be on another machine.

    Parameters
    ----------
    folder
        The batch's folder.
    """
    return any(
        entry.kind == registry.BATCH and entry.destination == folder
        for entry in registry.entries()
        if entry.is_alive is not False
    )


def remove_partials(folder: str, *, forgets: bool = False) -> None:
    """Remove what was never finished in a folder.

    Parameters
    ----------
    folder
        The batch's folder.
    forgets
        Whether what could be resumed is removed too.

    Raises
    ------
    DestinationBusy
        When it is resumed just now.
    """
    for base, suffix in batch_journal.unfinished_outputs(folder).items():
        for path in _paths(folder, base, suffix):
            if resume.checkpoint_folder(path).is_dir():
                if not forgets:
                    continue
                resume.forget(path)
            for partial in _partials(path):
                if partial.is_dir():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
                    partial.unlink(missing_ok=True)


def _paths(folder: str, base: str, suffix: str) -> list[Path]:
    """Return the paths that an output may have had, by what it was."""
    suffixes = dict.fromkeys((suffix or outputs.IMAGE, outputs.TABLE, outputs.VALUE))
    return [Path(folder, f"{base}{each}") for each in suffixes]


def _partials(path: Path) -> Iterator[Path]:
    """Yield what grew beside a path, and has no process any more."""
    if not path.parent.is_dir():
        return
    for beside in list(path.parent.iterdir()):
        if not beside.name.startswith(f".{path.name}.") or not is_partial(beside):
            continue
        if beside.is_dir():
            is_ended = not is_owned(beside)
        else:
            is_ended = time.time() - beside.stat().st_mtime > WRITTEN
        if is_ended:
            yield beside
