"""Texts of the libraries and of errors, without the markup and the words of a Python programmer.

Forms show None as *auto*, and True and False as a box or as *yes* and *no*; their texts say the
same. A sentence that only a programmer understands, or that speaks of a field that no form has, is
left out: the link beside the form leads to the whole page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.summaries import SUMMARIES
from napari_tilewise.operations.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST = 480
"""Characters of a text from which only whole sentences of it are shown."""
DTYPES = {
    "bool": "binary",
    **{f"uint{bits}": f"{bits}-bit" for bits in (8, 10, 12, 14, 16, 32, 64)},
    **{f"int{bits}": f"{bits}-bit signed" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"{bits}-bit float" for bits in (16, 32, 64)},
    **{f"complex{bits}": f"{bits}-bit complex" for bits in (64, 128)},
}
"""Types of pixels as image viewers call them."""
OWN = "napari_tilewise."
"""How the keys of operations begin that are no library's functions, such as a copy."""
VALUES = {"None": "auto", "True": "yes", "False": "no"}
PLAIN_NAMES = {
    **VALUES,
    **DTYPES,
    "dtype": "data type", "dtypes": "data types", "ndarray": "array", "ndarrays": "arrays",
    "array_like": "array", "tuple": "list", "tuples": "lists", "int": "whole number",
    "ints": "whole numbers", "integers": "whole numbers", "integer": "whole number",
    "callable": "function", "nan": "NaN", "ndim": "number of axes",
}  # fmt: skip
_MARKUP = (
    (re.compile(r"\s*\(see[^()]*:\w+:`[^`]*`[^()]*\)"), ""),
    (re.compile(r":\w+:`([^`<]+?)\s*<[^`>]*>`"), r"\1"),
    (re.compile(r":\w+:`~?\.?([^`]*)`"), r"\1"),
    (re.compile(r"\s*\[\d\]_"), ""),
    (re.compile(r"`+([^`]*)`+"), r"\1"),
    (re.compile(r"\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])"), r"\1\2"),
    (re.compile(r"\b(?:np|numpy)\.(ndarray|nan)\b"), r"\1"),
    (re.compile(r"\bimage\.(dtype|ndim|shape)\b"), r"the image's \1"),
    (re.compile(r"\b([a-z]\w*)\s*==\s*'?([\w.-]+)'?"), r"\1 is \2"),
    (re.compile(r"\b([a-z]\w*)=(?=[\w'\"(\[-])"), r"\1 "),
    (re.compile(r"\b(considered|assumed to be|elements are) `?True`?"), r"\1 set"),
    (re.compile(r"\b(considered|assumed to be|elements are|and) `?False`?"), r"\1 not set"),
    (re.compile(r"\b[Aa]n (?=(?:ndarray|int)\b)"), "a "),
)
_QUOTED = re.compile(r"('[^']*'|\"[^\"]*\")")
_WORD = re.compile(r"(?<![\w./\\'-])[A-Za-z_]\w*(?![\w/\\']|\.\w|-\w)")
_ARTICLE = re.compile(r"\ban? (?:(?=(8-bit))|(?=\d+-bit|whole number))")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z'(0-9])")
PYTHON = re.compile(
    r"\b(?:channel_axis|channel axis|None|True|False|np|numpy|scipy|skimage|dtype|ndarray|"
    r"array_like|kwargs|func_kwargs|dict|bool|u?int\d+|float\d+|complex\d+|callable|ValueError|"
    r"TypeError|lambda|versionadded|ndim|img as \w+)\b|https?:|\w=\s|\w,\)|`|::|\[\.\.\.|\*\*|"
    r":\w+:|\\|\w\(\)|\w\[|\w\.(?:shape|dtype|ndim)\b"
)
"""What no text of a panel holds."""
LABELS: Mapping[str, str] = {
    "cval": "border value", "dtype": "data type", "rng": "seed", "func": "function",
    "func_kwargs": "its parameters", "ksize": "size", "ddof": "degrees less",
    "channel_axis": "axis of channels",
}  # fmt: skip
"""Names of parameters that only a programmer reads, as forms show them."""


def label(parameter: str) -> str:
    """Return a parameter's name as forms show it."""
    return LABELS.get(parameter, parameter.replace("kwargs", "parameters").replace("_", " "))


def plain_sentences(text: str) -> str:
    """Return what a docstring says that a user of a form understands; may be empty.

    Parameters
    ----------
    text
        A description, with reStructuredText.
    """
    sentences: list[str] = []
    length = 0
    for sentence in _END.split(_without_markup(text)):
        spoken = _spoken(sentence)
        if PYTHON.search(spoken):
            continue
        length += len(spoken)
        if sentences and length > LONGEST:
            break
        sentences.append(spoken)
    return " ".join(sentences)


def plain_message(text: str) -> str:
    """Return a message of an error as a panel shows it; names in quotes stay as they are.

    Parameters
    ----------
    text
        One or more sentences.
    """
    text = _NAME.sub(lambda name: LABELS.get(name.group(), name.group()), text)
    for pattern, replacement in _VALUES:
        text = pattern.sub(replacement, text)
    text = _CHOICES.sub(_choices_shown, text)
    parts = _QUOTED.split(text)
    parts[::2] = [_spoken(_EQUAL.sub(r"\1 ", _KEY.sub(_title_of, part))) for part in parts[::2]]
    return "".join(parts)


def _choices_shown(choices: re.Match[str]) -> str:
    """Return the names of choices as a form shows them."""
    return _CHOICE.sub(lambda name: f"'{pixel_type(name[1])}'", choices.group())


def _dimensions(shape: re.Match[str]) -> str:
    """Return an array's shape as image viewers write it."""
    sizes = re.findall(r"\d+", shape[1])
    return f"{shape[0].partition('shape')[0]}shape {' × '.join(sizes) or 'of one number'}"


def with_titles(text: str) -> str:
    """Return a text, such as the name of a run, with the titles of operations for their keys.

    Parameters
    ----------
    text
        Names and keys, separated by anything.
    """
    return _DOTTED.sub(_title_of, text)


def _title_of(key: re.Match[str]) -> str:
    """Return the title of the operation that a message is about."""
    name = key.group()
    if name.startswith(OWN):
        return name.removeprefix(OWN).replace("_", " ").capitalize()
    return summary(OPERATIONS, name).title if name in SUMMARIES else name


_DOTTED = re.compile(r"(?<![\w./\\'-])[a-z]\w*(?:\.\w+)+")
_KEY = re.compile(
    r"(?<![\w./\\'-])[a-z]\w*(?:\.\w+)+(?=: )|(?<= with )[a-z]\w*(?:\.\w+)+(?=[.,;]?(?: |$))"
)
_EQUAL = re.compile(r"(?<![\w./\\'-])([A-Za-z]\w*)=(?=[\w(\[-]|$)")
_NAME = re.compile(r"(?<![\w./\\'-])[a-z]\w*(?=[=:]| has | holds )")
_CHOICES = re.compile(r"(?<=one of )'[^']*'(?:, '[^']*')*")
_CHOICE = re.compile(r"'([^']*)'")
_VALUES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\{'shape': '(\w+)', '(radius|width)': (\w+)\}"), r"\1 of \2 \3"),
    (re.compile(r"=(?=(?:disk|square|diamond|ball|cube|octahedron) of )"), " "),
    (re.compile(r"=\(([^()]*?),?\)(?=[:,. ])"), r" \1"),
    (re.compile(r"\ban array of shape \((\d+),\)"), r"\1 numbers"),
    (re.compile(r"\ban array of shape \((\d+), (\d+)\)"), r"\1 × \2 numbers"),
    (re.compile(r"\bhas shape \(\)"), "is one number"),
    (re.compile(r"\bshape \((\d+(?:, \d+)*|),?\)"), _dimensions),
    (re.compile(r"\s*\([^()]*\[\.\.\.[^()]*\)"), ""),
    (re.compile(r",? for example with numpy\.\w+"), ""),
)
"""What only a programmer reads in the values that messages name, and what a user reads."""


def pixel_type(name: str) -> str:
    """Return a choice of a form as it is shown: a type of pixels by its number of bits.

    Parameters
    ----------
    name
        Any choice.
    """
    return "data type" if name == "dtype" else DTYPES.get(name, name)


def _without_markup(text: str) -> str:
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text


def _spoken(text: str) -> str:
    """Return a text with the words of forms in the place of Python's."""

    def word(match: re.Match[str]) -> str:
        name = match.group()
        return PLAIN_NAMES.get(name, name if "__" in name else name.replace("_", " "))

    return _ARTICLE.sub(lambda article: "an " if article[1] else "a ", _WORD.sub(word, text))
