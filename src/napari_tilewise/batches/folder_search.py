"""Counts what a search for images leaves out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_tilewise.sizes import plural

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 5
"""Number of suffixes that are named."""


@dataclass
class LeftOut:
    """The files of a search that are no items."""

    suffixes: Counter[str] = field(default_factory=Counter)
    """How many files of each suffix are not images."""
    pipes: int = 0
    """Number of pipes and sockets."""
    members: int = 0
    """Number of files that belong to an OME-TIFF set, of which another one is the item."""

    def add(self, path: Path) -> None:
        """Count a file that is not an image.

        Parameters
        ----------
        path
            The file.
        """
        self.suffixes[path.suffix.lower() or "no suffix"] += 1

    def __str__(self) -> str:
        """Return in a line what was left out; empty if nothing was."""
        texts = []
        count = sum(self.suffixes.values())
        if count:
            common = [f"{number} {suffix}" for suffix, number in self.suffixes.most_common(SHOWN)]
            more = ", ..." if len(self.suffixes) > SHOWN else ""
            kind = "is not an image" if count == 1 else "are not images"
            texts.append(f"{plural(count, 'file')} {kind} ({', '.join(common)}{more})")
        if self.pipes:
            noun = "pipe or socket" if self.pipes == 1 else "pipes or sockets"
            texts.append(f"{self.pipes} {noun} cannot be read")
        if self.members:
            texts.append(f"{plural(self.members, 'file')} of OME-TIFF sets came with another")
        return f"left out: {'; '.join(texts)}" if texts else ""
