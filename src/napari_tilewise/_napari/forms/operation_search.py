"""Finds operations by what the user typed, the best match first.

Words match at their beginnings. A name in the middle of which the text stands comes last, and a
word that nothing contains is read as the one that is spelled most like it.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

from napari_tilewise._napari.forms.synonyms import SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST_INSIDE = 4
"""The fewest letters of a word that is looked for inside of others."""
LEAST_STEM = 5
"""The fewest letters of a word that longer forms of it begin with: subtract, subtraction."""
LEAST_TYPO = 5
"""The fewest letters of a word that may be misspelled."""
ALIKE = 0.82
"""How alike a misspelled word and the right one are, from 0 to 1."""
VAGUE = {
    "a", "all", "an", "and", "apply", "by", "detect", "detection", "detector", "filter", "find",
    "for", "from", "get", "image", "images", "in", "of", "on", "plugin", "the", "to", "with", "2d",
    "3d",
}  # fmt: skip
"""Words that are left out if nothing contains all words of a text."""
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case; hyphens and other marks separate them.

    Parameters
    ----------
    text
        Any text.
    """
    return tuple(_WORD.findall(text.lower()))


OTHER_NAMES = {words_of(name): keys for name, keys in SYNONYMS.items()}


class OperationSearch:
    """Finds operations by their titles, keys and other names.

    Parameters
    ----------
    titles
        The titles of the operations by their keys, in the order of equal matches.
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = {key: words_of(title.partition(" (")[0]) for key, title in titles.items()}
        self._names = {key: (*words_of(title), *words_of(key)) for key, title in titles.items()}

    @cached_property
    def _vocabulary(self) -> list[str]:
        return sorted({word for names in (*self._names.values(), *OTHER_NAMES) for word in names})

    def find(self, text: str) -> list[str]:
        """Return the keys of the operations that a text means, the best match first.

        Parameters
        ----------
        text
            What the user typed; every operation matches an empty text.
        """
        terms = words_of(text)
        if not terms:
            return [] if text.strip() else list(self._titles)
        precise = tuple(term for term in terms if term not in VAGUE and not term.isdecimal())
        corrected = tuple(map(self._corrected, precise))
        attempts = map(self._ranked, (terms, precise, corrected))
        return next(filter(None, attempts), [])

    def _ranked(self, terms: Sequence[str]) -> list[str]:
        if not terms:
            return []
        places = {key: number for number, key in enumerate(_by_other_names(terms))}
        exact = OTHER_NAMES.get(tuple(terms), ())
        ranks = {}
        for key in self._titles:
            rank = 0 if key in exact else self._rank(key, terms, is_known=key in places)
            if rank is not None:
                ranks[key] = (rank, places.get(key, 0))
        return sorted(ranks, key=lambda key: ranks[key])

    def _rank(self, key: str, terms: Sequence[str], *, is_known: bool) -> int | None:
        """Return how well an operation's names match, lower is better; None if they do not."""
        title, names = self._titles[key], self._names[key]
        matches = (
            title == tuple(terms),
            is_known,
            title[: len(terms)] == tuple(terms),
            _all_begin(terms, title),
            _all_begin(terms, names),
            all(
                len(term) >= LEAST_INSIDE and any(term in name for name in names) for term in terms
            ),
        )
        return next((rank for rank, is_match in enumerate(matches, start=1) if is_match), None)

    def _corrected(self, term: str) -> str:
        """Return a word, or the one that is spelled most like it if nothing begins with it."""
        if len(term) < LEAST_TYPO or _all_begin([term], self._vocabulary):
            return term
        return next(iter(get_close_matches(term, self._vocabulary, 1, ALIKE)), term)


def _all_begin(terms: Iterable[str], names: Sequence[str]) -> bool:
    """Return whether every term begins one of a name's words, or is a longer form of it."""
    return all(
        any(
            word.startswith(term) or (len(word) >= LEAST_STEM and term.startswith(word))
            for word in names
        )
        for term in terms
    )


def _by_other_names(terms: Sequence[str]) -> list[str]:
    """Return the operations whose other names contain every term, the best match first."""
    names = [name for name in OTHER_NAMES if _all_begin(terms, name)]
    names.sort(key=lambda name: (name[: len(terms)] != tuple(terms), len(name)))
    return list(dict.fromkeys(key for name in names for key in OTHER_NAMES[name]))
