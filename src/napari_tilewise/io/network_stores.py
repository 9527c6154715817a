"""Zarr stores behind a network: their requests are made again where that may help."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from zarr.abc.store import Store
from zarr.storage import FsspecStore, WrapperStore

from napari_tilewise.io import network

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

T = TypeVar("T")


def is_remote(store: Store) -> bool:
    """Return whether a store is behind a network.

    Parameters
    ----------
    store
        A store of Zarr, or one that is wrapped around it.
    """
    while isinstance(store, WrapperStore):
        store = store._store
    if not isinstance(store, FsspecStore):
        return False
    protocol = store.fs.protocol
    return network.NEAR.isdisjoint((protocol,) if isinstance(protocol, str) else protocol)


def patient(store: Store) -> Store:
    """Return a store whose requests are made again; a store without a network as it is.

    Parameters
    ----------
    store
        A store of Zarr.
    """
    inner = store
    while isinstance(inner, WrapperStore):
        if isinstance(inner, _PatientStore):
            return store
        inner = inner._store
    return _PatientStore(store) if is_remote(store) else store


class _PatientStore(WrapperStore[Store]):
    """A store behind a network whose requests are made again where that may help."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return await _patiently(lambda: self._store.get(key, prototype, byte_range))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        ranges = list(key_ranges)
        return await _patiently(lambda: self._store.get_partial_values(prototype, ranges))

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for answer in Store._get_many(self, requests):
            yield answer

    async def exists(self, key: str) -> bool:
        return await _patiently(lambda: self._store.exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        await _patiently(lambda: self._store.set(key, value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await _patiently(lambda: self._store.set_if_not_exists(key, value))

    async def delete(self, key: str) -> None:
        await _patiently(lambda: self._store.delete(key))

    async def list(self) -> AsyncIterator[str]:
        async for name in self._listed(self._store.list):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        async for name in self._listed(lambda: self._store.list_prefix(prefix)):
            yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        async for name in self._listed(lambda: self._store.list_dir(prefix)):
            yield name

    async def _listed(self, names: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
        async def listing() -> list[str]:
            return [name async for name in names()]

        for name in await _patiently(listing):
            yield name


async def _patiently(request: Callable[[], Awaitable[T]]) -> T:
    for pause in network.PAUSES:
        try:
            return await request()
        except Exception as error:
            if not network.is_transient(error):
                raise
        await asyncio.sleep(pause)
    return await request()
