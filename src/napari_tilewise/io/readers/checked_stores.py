"""Zarr arrays whose damage is noticed: chunks cut short, arrays that were removed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore, WrapperStore

from napari_tilewise.errors import SourceChanged, SourceUnreadable
from napari_tilewise.io.chunk_files import BLOSC_HEADER, check_blosc_length
from napari_tilewise.io.network_stores import is_remote, patient
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.zarr_chunk_files import chunk_files_of

if TYPE_CHECKING:
    from pathlib import Path

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from napari_tilewise.io.image import ZarrArray

_METADATA = (".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


class _LengthChecked(WrapperStore[Store]):
    """A store whose Blosc chunks must be as long as their header says (shards are not checked)."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        value = await self._store.get(key, prototype, byte_range)
        if value is None or byte_range is not None or key.endswith(_METADATA):
            return value
        check_blosc_length(key, value[:BLOSC_HEADER].to_bytes(), len(value))
        return value


class _PresenceChecked(WrapperStore[Store]):
    """A local store whose absent chunks are fill values only while the array itself is there."""

    def __init__(self, store: Store, metadata: Path | None = None, name: str = "") -> None:
        super().__init__(store)
        self._metadata, self._name = metadata, name

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._metadata, self._name)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        value = await self._store.get(key, prototype, byte_range)
        if value is None and not key.endswith(_METADATA):
            self.check_present()
        return value

    def check_present(self) -> None:
        """Raise `SourceChanged` if the array is not there any more."""
        if self._metadata is not None and not self._metadata.exists():
            raise SourceChanged(
                f"The source {self._name!r} was removed or renamed while it was read; expected "
                "it to stay until the end: put it back and start again."
            )


class CheckedZarr(CheckedArray):
    """A Zarr array whose damage is noticed; small boxes of it are read from its files.

    Parameters
    ----------
    array
        The array, in stores of this module.
    name
        The source, as the user named it.
    waits
        Whether reading waits for a network.
    """

    def __init__(self, array: ZarrArray, name: str, *, waits: bool | None = False) -> None:
        super().__init__(array, name, waits=waits)
        store = array.store
        self._presence: _PresenceChecked | None = None
        while isinstance(store, _LengthChecked | _PresenceChecked):
            if isinstance(store, _PresenceChecked):
                self._presence = store
            store = store._store
        self._chunk_files = chunk_files_of(array, store)

    def _read(self, key: Any) -> Any:
        if self._chunk_files is not None and _is_box(key, self.shape):
            absent = None if self._presence is None else self._presence.check_present
            pixels = self._chunk_files.read(key, absent)
            if pixels is not None:
                return pixels
        return self._array[key]


def _is_box(key: object, shape: tuple[int, ...]) -> bool:
    """Return whether a selection is a box within an array, with its bounds as plain numbers."""
    return (
        isinstance(key, tuple)
        and len(key) == len(shape)
        and all(
            isinstance(part, slice)
            and part.step in (None, 1)
            and isinstance(part.start, int)
            and isinstance(part.stop, int)
            and 0 <= part.start < part.stop <= n
            for part, n in zip(key, shape, strict=True)
        )
    )


def _refuse_unpickling(array: ZarrArray, name: str) -> None:
    """Refuse an array whose chunks are pickles: reading one runs what its author wants.

    Parameters
    ----------
    array
        An open array.
    name
        The source, as the user named it.
    """
    pending: list[object] = [array.metadata.to_dict()]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            codec = value.get("id", value.get("name"))
            if isinstance(codec, str) and "pickle" in codec.lower():
                raise SourceUnreadable(
                    f"{name!r} is encoded with {codec!r}, which runs code of whoever wrote it; "
                    "expected a codec of numbers: let its author write it without."
                )
            pending.extend(value.values())
        elif isinstance(value, list | tuple):
            pending.extend(value)
        else:
            config = getattr(value, "get_config", None)
            pending.append({} if config is None else config())


def checked(array: ZarrArray, name: str) -> CheckedArray:
    """Return a Zarr array whose damage is noticed.

    Parameters
    ----------
    array
        An open array.
    name
        The source, as the user named it.
    """
    _refuse_unpickling(array, name)
    store = patient(array.store)
    if isinstance(store, LocalStore):
        document = "zarr.json" if array.metadata.zarr_format == 3 else ".zarray"
        store = _PresenceChecked(store, store.root / array.path / document, name)
    with suppress(AttributeError, TypeError, NotImplementedError):
        compressors = array.compressors
        if not array.shards and compressors and "blosc" in type(compressors[-1]).__name__.lower():
            store = _LengthChecked(store)
    if store is not array.store:
        array = zarr.open_array(store, path=array.path, mode="r")
    return CheckedZarr(array, name, waits=is_remote(store))
