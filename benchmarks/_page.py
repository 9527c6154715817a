"""docs/benchmarks.md, section by section: each script writes its own and leaves the others."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "benchmarks.md"
TITLES = ("The basket", "Planes", "Volumes", "Other libraries", "From file to file")
"""The sections in order."""
TABLES = ("Planes", "Volumes")
"""Those that belong to the section before them."""
HEAD = """# Benchmarks

`make bench` measures these tables and writes this page, row by row.
"""


def write_sections(sections: Mapping[str, Sequence[str]]) -> None:
    """Write sections of the page in place of those of the same titles.

    Parameters
    ----------
    sections
        Lines by title.
    """
    parts = _present()
    commit = _commit()
    for title, lines in sections.items():
        stated = [] if title in TABLES else [f"Measured at commit {commit}.", ""]
        parts[title] = "\n".join(["", *stated, *lines])
    texts = [f"## {title}\n{parts[title].rstrip()}\n" for title in TITLES if title in parts]
    PAGE.write_text("\n".join([HEAD, *texts]))


def _present() -> dict[str, str]:
    """Return the sections that the page has, by title."""
    if not PAGE.exists():
        return {}
    sections = ("\n" + PAGE.read_text()).split("\n## ")[1:]
    return {title: text for title, _, text in (part.partition("\n") for part in sections)}


def _commit() -> str:
    """Return the commit of the sources; what this page holds is none of them."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    is_changed = _git("status", "--porcelain", "--untracked-files=no", ".", f":(exclude){PAGE}")
    return f"{commit}, with changes" if is_changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
