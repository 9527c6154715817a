"""A recipe's file: YAML that a person can read and write, and errors that name the line.

Only plain data is ever read (PyYAML's safe loader): a recipe file cannot run code.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_tilewise.errors import DestinationUnwritable, InvalidParameter, InvalidRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.types import PathLike, Value

# PyYAML reads 1e-3 as text, because it has no decimal point; people mean the number.
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?|[0-9]*\.[0-9]+)[eE][-+]?[0-9]+")


_DEEPEST = 32
"""Most lists and mappings inside each other, that of the steps included."""
_MOST = 1_000_000
"""Most values of a file, those that aliases repeat included."""


_SHOWN = 120
"""Characters of a value that a message shows."""


class UnclearYaml(yaml.MarkedYAMLError):
    """A file is YAML, but what it means is not clear, or it is endless."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with numbers such as 1e-3; a key twice and endless data are refused."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._count = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next value; aliases count as what they repeat."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # a mixin of PyYAML
        anchor, start = str(getattr(event, "anchor", None) or ""), self._count
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias and anchor in self.anchors and anchor not in self._sizes:
            raise _unclear(f"*{anchor} is a part of itself", event)
        self._count += self._sizes.get(anchor, 0) if is_alias else 1
        if self._depth > _DEEPEST or self._count > _MOST:
            limit = f"nested more than {_DEEPEST} deep" if self._count <= _MOST else "too many"
            raise _unclear(f"its values are {limit}", event)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if anchor and not is_alias:
            self._sizes[anchor] = self._count - start
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node; one that does not fit its tag is an error with its line."""
        try:
            return super().construct_object(node, deep=deep)
        except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise _unclear(f"a value does not fit its tag {node.tag!r}", node) from error

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping, each of whose keys occurs once."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, object], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = lines.get((key.tag, key.value))
                if line is not None:
                    raise _unclear(f"the key {key.value!r} occurs twice, first in line {line}", key)
                lines[key.tag, key.value] = key.start_mark.line + 1
        return node


def _unclear(problem: str, item: Any) -> UnclearYaml:
    return UnclearYaml(None, None, problem, item.start_mark)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes text that looks like such a number."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal values out instead of referring to the first one."""
        return True


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


@dataclass(frozen=True)
class Document:
    """The plain data of a file, with the line of each value."""

    path: Path
    data: object
    root: yaml.Node | None

    def error(self, message: object, *where: str | int) -> InvalidRecipe:
        """Return an error that names the file and the line.

        Parameters
        ----------
        message
            The sentence that describes the error.
        *where
            Keys and indices that lead to the wrong value, as far as they exist.
        """
        line = _line(self.root, where)
        location = f"{self.path}, line {line}" if line else str(self.path)
        return InvalidRecipe(f"{location}: {message}")


def parse_value(text: str) -> Value:
    """Return the value of a YAML text such as ``3``, ``[1, 2]`` or ``nearest``.

    Parameters
    ----------
    text
        One line of YAML.

    Raises
    ------
    InvalidParameter
        If the text is not YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except UnclearYaml as error:
        raise InvalidParameter(f"Invalid value {text[:_SHOWN]!r}: {error.problem}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidParameter(
            f"Invalid value {text!r}: expected a number, a word, [a, list] or {{a: mapping}}, as "
            "in YAML."
        ) from error


def to_text(data: object) -> str:
    """Return plain data as YAML."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=99
    )
    return text


def _path(path: PathLike) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InvalidRecipe(f"A recipe is read from a path, not from a {type(path).__name__}.")
    try:
        if b"\0" not in os.fsencode(path):
            return Path(path)
    except UnicodeEncodeError:
        pass
    raise InvalidRecipe(f"The path {os.fspath(path)!r} has a character that no file name has.")


def write(data: Mapping[str, object], path: PathLike) -> Path:
    """Write plain data to a YAML file and return its path.

    Parameters
    ----------
    data
        Numbers, texts, lists and mappings.
    path
        Path of the file; an existing file is replaced.

    Raises
    ------
    DestinationUnwritable
        If the file cannot be written.
    """
    path = _path(path)
    try:
        path.write_text(to_text(data), encoding="utf-8")
    except OSError as error:
        raise DestinationUnwritable(
            f"The recipe {str(path)!r} cannot be written: {error.strerror}. "
            "Choose a folder that exists and that you can write to."
        ) from error
    return path


def read(path: PathLike) -> Document:
    """Return the plain data of a YAML file.

    Parameters
    ----------
    path
        Path of the file.

    Raises
    ------
    InvalidRecipe
        If the file cannot be read or is not YAML.
    """
    path = _path(path)
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        return Document(path, None if root is None else loader.construct_document(root), root)
    except OSError as error:
        raise InvalidRecipe(
            f"The recipe {str(path)!r} cannot be read ({error.strerror}); expected a YAML file: "
            "check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidRecipe(
            f"The recipe {str(path)!r} cannot be read: it is not a text file."
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        location = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if not isinstance(error, UnclearYaml):
            problem = f"this is not YAML: {problem}"
        raise InvalidRecipe(f"{location}: {problem}.") from error


def _line(node: yaml.Node | None, where: tuple[str | int, ...]) -> int | None:
    """Return the line of the value that keys and indices lead to, as far as they exist."""
    if node is None:
        return None
    line: int = node.start_mark.line + 1
    for step in where:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == step]
            if not pairs:
                break
            line = pairs[0][0].start_mark.line + 1
            node = pairs[0][1]
        else:
            break
    return line
