"""Zarr arrays whose damage is noticed: chunks cut short, arrays that were removed."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore, WrapperStore

from napari_tilewise.errors import SourceChanged, SourceUnreadable
from napari_tilewise.io.network_stores import is_remote, patient
from napari_tilewise.io.readers.checked_arrays import CheckedArray

if TYPE_CHECKING:
    from pathlib import Path

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from napari_tilewise.io.image import ZarrArray

_BLOSC_HEADER = 16
_METADATA = (".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


class _LengthChecked(WrapperStore[Store]):
    """A store whose Blosc chunks must be as long as their header says (shards are not checked)."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        value = await self._store.get(key, prototype, byte_range)
        if value is None or byte_range is not None or key.endswith(_METADATA):
            return value
        header = value[:_BLOSC_HEADER].to_bytes()
        declared = struct.unpack_from("<I", header, 12)[0] if len(header) == _BLOSC_HEADER else -1
        if declared != len(value):
            says = f"its header says {declared}" if declared >= 0 else "too short for a header"
            raise ValueError(f"the chunk {key!r} is {len(value)} bytes long, {says}")
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
        if value is None and self._metadata is not None and not key.endswith(_METADATA):
            if not self._metadata.exists():
                raise SourceChanged(
                    f"The source {self._name!r} was removed or renamed while it was read; expected "
                    "it to stay until the end: put it back and start again."
                )
        return value


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
    return CheckedArray(array, name, waits=is_remote(store))
