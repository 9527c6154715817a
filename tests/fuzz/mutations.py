"""Seeded mutations of bytes, of texts and of plain data."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

NUMBERS = (0, 1, -1, 2, 7, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
"""Integers at which formats and programs change their minds."""
ODD: tuple[Any, ...] = (
    None, True, False, *NUMBERS, 2**70, -(2**40), 0.5, -1e308, 1e308, 5e-324, float("nan"),
    float("inf"), float("-inf"), "", " ", "0", "nan", "../x", "..", "/", "a\0b", "\ud800",
    "é" * 40, "{", "{}", "{stem}", "{0}", "{x", "[1", "1e9999", "=1+1", "\n", "-", "--", "%s",
    "gaussian", "filters.gaussian", "yx", "q", "uint8", ">f4",
    [], [[]], {}, {"": {}}, [None], [1, [2]], {"a": 1},
)  # fmt: skip
"""Values that nobody expects."""


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """Return bytes with one to four changes: bits, numbers, lost, repeated or foreign parts."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        # Half of the changes near the start: what a header says decides about the rest.
        end = len(changed) if rng.random() < 0.5 else min(len(changed), 512)
        start = rng.randrange(max(1, end))
        length = rng.choice((1, 2, 4, 8, 16, 64))
        part = slice(start, start + length)
        kind = rng.randrange(7)
        if kind == 0 and changed:
            changed[min(start, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            number = rng.choice(NUMBERS) & (2 ** (8 * min(length, 8)) - 1)
            changed[part] = number.to_bytes(length, rng.choice(("little", "big")))
        elif kind == 2:
            changed[part] = rng.randbytes(length)
        elif kind == 3:
            del changed[part]
        elif kind == 4:
            changed[start:start] = changed[part]
        elif kind == 5:
            del changed[start:]
        else:
            changed[start:start] = rng.randbytes(length)
    return bytes(changed)


def mutate_text(text: str, rng: Random) -> str:
    """Return a text with a part lost, repeated, moved, or another in its place."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        start = rng.randrange(len(text) + 1)
        length = rng.choice((1, 1, 2, 5, 20))
        part = text[start : start + length]
        odd = str(rng.choice(ODD))
        other = rng.choice(("", part * 2, odd, part + odd, rng.choice(":-[]{}&*!|>#'\"%@`,\t\n")))
        text = text[:start] + other + text[start + length :]
    return text


def mutate_data(data: Any, rng: Random) -> Any:
    """Return plain data with one to three values replaced, removed, added or wrapped."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        holders = list(_holders(data))
        if not holders:
            return rng.choice(ODD)
        holder, key = rng.choice(holders)
        kind = rng.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = _nested(holder[key], rng.choice((1, 3, 50, 400)), rng)
        elif kind == 2 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), rng.choice(ODD))
        elif kind == 2:
            holder[str(rng.choice(ODD))] = holder[key]
        elif kind == 3 and isinstance(holder, list):
            holder.extend([copy.deepcopy(holder[key])] * rng.choice((1, 3, 300)))
        elif kind == 3:
            other, other_key = rng.choice(holders)
            holder[key] = copy.deepcopy(other[other_key])
        elif kind == 4 and isinstance(holder[key], int | float):
            holder[key] = rng.choice((-holder[key], holder[key] * 1000, holder[key] + 0.5, 0))
        elif kind == 5 and isinstance(holder[key], str):
            holder[key] = mutate_text(holder[key], rng)
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD))
    return data


def _holders(data: Any) -> list[tuple[Any, Any]]:
    """Return every place in plain data that holds a value: a list or mapping, and its key."""
    places: list[tuple[Any, Any]] = []
    pending = [data]
    while pending and len(places) < 5000:
        value = pending.pop()
        keys = value if isinstance(value, dict) else range(len(value))
        for key in list(keys) if isinstance(value, dict | list) else ():
            places.append((value, key))
            if isinstance(value[key], dict | list):
                pending.append(value[key])
    return places


def _nested(value: Any, depth: int, rng: Random) -> Any:
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value
