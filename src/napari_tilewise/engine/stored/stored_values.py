"""Results of passes as files of data: JSON and the bytes of arrays. Reading one runs no code.

The folder of an unfinished run may be one that others can write to, so what is read there is never
a pickle. Values are plain Python data, NumPy's, and instances of the classes that passes define:
their attributes, set as they are, without a call of anything that the file names.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from functools import partial
from importlib import import_module
from math import prod
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.stored_columns import ColumnStore, StoredColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_tilewise.types import DType

FORMAT = b"napari-tilewise values 1\n"
"""How each of these begins; what an earlier release pickled does not, and is not read."""
_PACKAGE = "napari_tilewise."
_MODULES = re.compile(r"(operations(\.\w+)+|grid)", re.ASCII)
"""Modules below the package whose classes passes use."""
_ATTRIBUTE = re.compile(r"_?[^\W_]\w*", re.ASCII)
_LENGTH = 8
"""Bytes of the number that says how long the JSON is."""
_PLAIN = (type(None), bool, int, float, str)
_CONTAINERS = (list, tuple, dict, set, frozenset)
_HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__")
"""Methods of a class whose instances are more than their attributes."""
_NOT_READ = (
    ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, RecursionError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged or foreign file, or one of another release, raises."""


class NotStorable(TypeError):
    """A value that is not data: a function, or an object of another library."""


class InvalidStoredValue(ValueError):
    """What a file holds is not a value that was stored."""


def dump(value: Any, write: Callable[[Any], Any], folder: Path) -> None:
    """Write a value part by part: no second copy of its arrays is in memory.

    Parameters
    ----------
    value
        The value.
    write
        Takes bytes, or a contiguous array of bytes.
    folder
        The folder that files of columns are in.

    Raises
    ------
    NotStorable
        When the value holds something that is not data; nothing is written then.
    """
    encoder = _Encoder(folder)
    text = json.dumps(encoder.encode(value), separators=(",", ":")).encode()
    write(FORMAT + len(text).to_bytes(_LENGTH, "big"))
    write(text)
    for array in encoder.arrays:
        if array.nbytes:
            write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def load(file: IO[bytes], folder: Path) -> Any:
    """Return a value.

    Parameters
    ----------
    file
        What `dump` wrote, from where the file is read next to its end.
    folder
        The folder that files of columns are in; no other file is opened.

    Raises
    ------
    InvalidStoredValue
        When the file holds anything else, or classes that this release does not have.
    """
    if file.read(len(FORMAT)) != FORMAT:
        raise InvalidStoredValue("not a file of values, or one of another release")
    length = int.from_bytes(file.read(_LENGTH), "big")
    try:
        return _Decoder(file, folder).decode(json.loads(file.read(length)))
    except _NOT_READ as error:
        raise InvalidStoredValue(f"not a value that was stored: {error}") from error


# -- to data ---------------------------------------------------------------------------------------


class _Encoder:
    """Makes the JSON of a value; its arrays follow in the same order, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[int, int] = {}
        self._originals: list[np.ndarray] = []
        self.arrays: list[np.ndarray] = []

    def encode(self, value: Any) -> Any:
        """Return plain data: lists as they are, anything else that JSON has not as {tag: data}."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list:
            return list(map(self.encode, value))
        if kind in (tuple, set, frozenset):
            return {kind.__name__: list(map(self.encode, value))}
        if kind is dict:
            return {"dict": [[self.encode(key), self.encode(item)] for key, item in value.items()]}
        if isinstance(value, np.ndarray) and kind in (np.ndarray, np.memmap):
            return self._array(value)
        if isinstance(value, np.generic) and not value.dtype.hasobject:
            return {"number": [_dtype_text(value.dtype), _base64(value.tobytes())]}
        return self._rare(value, kind)

    def _array(self, array: np.ndarray) -> Any:
        if array.dtype.hasobject:
            if array.dtype != object:
                raise NotStorable(f"an array of {array.dtype}")
            return {"objects": [list(array.shape), list(map(self.encode, array.ravel().tolist()))]}
        number = self._numbers.setdefault(id(array), len(self.arrays))
        if number < len(self.arrays):
            return {"same array": number}
        self._originals.append(array)  # no other array has its id meanwhile
        # Sums depend on the order in memory, and so do their last bits.
        is_transposed = array.flags.f_contiguous and not array.flags.c_contiguous
        self.arrays.append(array.T if is_transposed else array)
        return {"array": [_dtype_text(array.dtype), list(array.shape), is_transposed]}

    def _rare(self, value: Any, kind: type) -> Any:
        if isinstance(value, (slice, range)):
            data = [self.encode(n) for n in (value.start, value.stop, value.step)]
            return {kind.__name__: data}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind is bytes:
            return {"bytes": _base64(value)}
        if isinstance(value, np.dtype):
            return {"dtype": _dtype_text(value)}
        if isinstance(value, type) and issubclass(value, np.generic):
            return {"scalar type": np.dtype(value).str}
        if isinstance(value, np.ufunc):
            return {"ufunc": _ufunc_name(value)}
        if kind is ColumnStore:
            folder = self._relative(value.root) if value.is_lasting else None
            return {"store": [value.limit, folder]}
        if kind is StoredColumn:
            if not value.store.is_lasting:
                return self._array(np.asarray(value))
            data = [self._relative(value.path), _dtype_text(value.dtype), list(value.shape)]
            return {"column": [self.encode(value.store), *data]}
        return self._instance(value, kind)

    def _instance(self, value: Any, kind: type) -> Any:
        """Return an instance of one of the package's classes: its items and its attributes."""
        name = f"{kind.__module__}:{kind.__qualname__}".removeprefix(_PACKAGE)
        base = _base(kind)
        if _class_named(name) is not kind or not all(map(partial(_inherits, kind, base), _HOOKS)):
            raise NotStorable(f"an object of class {kind.__module__}.{kind.__qualname__}")
        items = None if base is object else self.encode(base(value))
        state = value.__getstate__()
        attributes: dict[str, Any] = {}
        for part in state if isinstance(state, tuple) else (state,):
            attributes |= part or {}
        data = {key: self.encode(item) for key, item in attributes.items()}
        return {"instance": [name, items, data]}

    def _relative(self, path: Path) -> str:
        try:
            return path.relative_to(self._folder).as_posix()
        except ValueError:
            raise NotStorable(f"a file outside {str(self._folder)!r}") from None


# -- from data -------------------------------------------------------------------------------------


class _Decoder:
    """Makes a value from JSON and the arrays that follow it in a file."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._arrays: list[np.ndarray] = []
        position = file.tell()
        self._end = file.seek(0, 2)
        file.seek(position)
        self._tags: Mapping[str, Callable[[Any], Any]] = {
            "array": self._array,
            "bytes": _bytes,
            "column": self._column,
            "complex": lambda data: complex(*data),
            "dict": lambda data: {self.decode(key): self.decode(item) for key, item in data},
            "dtype": _dtype,
            "frozenset": lambda data: frozenset(map(self.decode, data)),
            "instance": self._instance,
            "number": lambda data: np.ndarray((), _dtype(data[0]), bytearray(_bytes(data[1])))[()],
            "objects": self._objects,
            "range": lambda data: range(*data),
            "same array": lambda number: self._arrays[number],
            "scalar type": lambda data: _dtype(repr(data)).type,
            "set": lambda data: set(map(self.decode, data)),
            "store": self._store,
            "slice": lambda data: slice(*map(self.decode, data)),
            "tuple": lambda data: tuple(map(self.decode, data)),
            "ufunc": _ufunc,
        }

    def decode(self, data: Any) -> Any:
        """Return the value of some plain data."""
        if isinstance(data, list):
            return list(map(self.decode, data))
        if not isinstance(data, dict):
            return data
        ((tag, content),) = data.items()
        return self._tags[tag](content)

    def _array(self, data: Any) -> np.ndarray:
        text, shape, is_transposed = data
        dtype, shape = _dtype(text), _shape(shape)
        nbytes = prod(shape) * dtype.itemsize
        if nbytes > self._end - self._file.tell():
            raise InvalidStoredValue("an array longer than its file")
        array = np.empty(shape[::-1] if is_transposed else shape, dtype)
        if nbytes:
            self._file.readinto(array.reshape(-1).view(np.uint8))  # type: ignore[attr-defined]  # files have it
        self._arrays.append(array.T if is_transposed else array)
        return self._arrays[-1]

    def _objects(self, data: Any) -> np.ndarray:
        shape, items = data
        array = np.empty(len(items), object)
        for number, item in enumerate(items):
            array[number] = self.decode(item)
        return array.reshape(_shape(shape))

    def _instance(self, data: Any) -> Any:
        name, items, attributes = data
        cls = _class_named(name)
        if cls is None:
            raise InvalidStoredValue(f"no class {name!r}")
        base = _base(cls)
        if base in (tuple, frozenset):
            instance = base.__new__(cls, self.decode(items))
        else:
            instance = base.__new__(cls)
        if base in (list, dict, set):
            base.__init__(instance, self.decode(items))
        for key, item in attributes.items():
            if not _ATTRIBUTE.fullmatch(key):
                raise InvalidStoredValue(f"no attribute {key!r}")
            object.__setattr__(instance, key, self.decode(item))
        return instance

    def _store(self, data: Any) -> ColumnStore:
        limit, folder = data
        return ColumnStore(int(limit), None if folder is None else self._inside(folder))

    def _column(self, data: Any) -> StoredColumn:
        store, name, text, shape = data
        path, dtype, shape = self._inside(name), _dtype(text), _shape(shape)
        if not path.is_file() or path.stat().st_size != prod(shape) * dtype.itemsize:
            raise InvalidStoredValue(f"{str(path)!r} is not the file that it was")
        return StoredColumn(self.decode(store), path, dtype, shape)

    def _inside(self, name: str) -> Path:
        """Return a path in the folder: links and names that lead elsewhere are refused."""
        path = self._folder / PurePosixPath(name)
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise InvalidStoredValue(f"{name!r} leads outside {str(self._folder)!r}")
        return path


def _class_named(name: str) -> type | None:
    """Return one of the classes that passes define, by module and name; None for any other."""
    module_name, _, class_name = name.partition(":")
    if not _MODULES.fullmatch(module_name):
        return None
    cls = vars(import_module(_PACKAGE + module_name)).get(class_name)
    is_defined_there = isinstance(cls, type) and cls.__module__ == _PACKAGE + module_name
    return cls if is_defined_there and cls not in (ColumnStore, StoredColumn) else None


def _inherits(cls: type, base: type, name: str) -> bool:
    return getattr(cls, name) is getattr(base, name)


def _base(cls: type) -> Any:
    """Return the container that a class is, or `object`."""
    return next((base for base in _CONTAINERS if issubclass(cls, base)), object)


def _dtype_text(dtype: DType) -> str:
    return repr(np.lib.format.dtype_to_descr(dtype))


def _dtype(text: str) -> DType:
    dtype: DType = np.lib.format.descr_to_dtype(ast.literal_eval(text))
    if dtype.hasobject:
        raise InvalidStoredValue("an array of Python's objects")
    return dtype


def _shape(data: Any) -> tuple[int, ...]:
    shape = tuple(map(int, data))
    if any(n < 0 for n in shape):
        raise InvalidStoredValue(f"a shape {shape}")
    return shape


def _ufunc_name(ufunc: np.ufunc) -> str:
    name = str(ufunc.__name__)
    if getattr(np, name, None) is not ufunc:
        raise NotStorable(f"a function {name} that is not NumPy's")
    return name


def _ufunc(name: str) -> np.ufunc:
    ufunc = getattr(np, name)
    if not isinstance(ufunc, np.ufunc):
        raise InvalidStoredValue(f"no ufunc {name!r}")
    return ufunc


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
