"""Writes Nikon's ND2, for nobody else does: named chunks, and at the end a map of where each is."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

_MAGIC = 0x0ABECEDA
_FILE = b"ND2 FILE SIGNATURE CHUNK NAME01!"
_FILE_MAP = b"ND2 FILEMAP SIGNATURE NAME 0001!"
_MAP_END = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_NAME = 4072  # bytes: pixels then begin 4096 bytes after their chunk, where readers look for them
_Z_LOOP, _UNCOMPRESSED = 4, 2
_BOOL, _UINT, _FLOAT, _TEXT, _LEVEL = 1, 3, 6, 8, 11
_DYES = ("Green", "Red", "Blue")

_Level = dict[str, "bool | int | float | str | _Level"]


def write_nd2(path: Path, pixels: np.ndarray, scale: tuple[float, float, float]) -> None:
    """Write channels of volumes as the one z stack of a file.

    Parameters
    ----------
    path
        The file.
    pixels
        Unsigned integers of 8 or 16 bits; axes c, z, y, x.
    scale
        Size of a pixel along z, y and x, in micrometers; along y and x the same, for the format
        holds one number for both.
    """
    channels, planes, height, width = pixels.shape
    bits = 8 * pixels.itemsize
    attributes: _Level = {
        "uiWidth": width,
        "uiWidthBytes": width * channels * pixels.itemsize,
        "uiHeight": height,
        "uiComp": channels,
        "uiBpcInMemory": bits,
        "uiBpcSignificant": bits,
        "uiSequenceCount": planes,
        "eCompression": _UNCOMPRESSED,
    }
    loop: _Level = {"uiCount": planes, "dZStep": scale[0]}
    dyes: _Level = {
        f"a{number}": {"sDescription": dye, "pFluorescentProbe": {"m_sName": dye}}
        for number, dye in enumerate(_DYES[:channels])
    }
    picture: _Level = {
        "bCalibrated": True,
        "dCalibration": scale[2],
        "sPicturePlanes": {"uiCount": channels, "sPlaneNew": dyes},
    }
    frames = {
        f"ImageDataSeq|{z}!": struct.pack("<d", z) + pixels[:, z].transpose(1, 2, 0).tobytes()
        for z in range(planes)
    }  # each after the time it was taken
    chunks = {
        "ImageAttributesLV!": _variant("SLxImageAttributes", attributes),
        "ImageMetadataLV!": _variant("SLxExperiment", {"eType": _Z_LOOP, "uLoopPars": loop}),
        "ImageMetadataSeqLV|0!": _variant("SLxPictureMetadata", picture),
        **frames,
        "CustomData|AcqTimesCache!": struct.pack(f"<{planes}d", *range(planes)),
    }
    path.write_bytes(_with_map(chunks))


def _with_map(chunks: Mapping[str, bytes]) -> bytes:
    file = bytearray(_chunk(_FILE, b"Ver3.0".ljust(64, b"\0")))
    entries = _FILE + struct.pack("<QQ", 0, 64)
    for name, data in chunks.items():
        entries += name.encode() + struct.pack("<QQ", len(file), len(data))
        file += _chunk(name.encode().ljust(_NAME, b"\0"), data)
    file += _chunk(_FILE_MAP, entries + _MAP_END + struct.pack("<Q", len(file)))
    return bytes(file)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<IIQ", _MAGIC, len(name), len(data)) + name + data


def _variant(name: str, value: bool | int | float | str | _Level) -> bytes:
    """Return a value in Nikon's "lite variant": its type, its name, then itself."""
    title = _text(name)
    match value:
        case bool():
            kind, content = _BOOL, struct.pack("<B", value)
        case int():
            kind, content = _UINT, struct.pack("<I", value)
        case float():
            kind, content = _FLOAT, struct.pack("<d", value)
        case str():
            kind, content = _TEXT, _text(value)
        case _:
            kind, content = _LEVEL, _items(value, before=2 + len(title))
    return struct.pack("<BB", kind, len(title) // 2) + title + content


def _items(values: _Level, before: int) -> bytes:
    """Return items after their number and length, before a table of where each begins."""
    items = b""
    starts = []
    for name, value in values.items():
        starts.append(before + 12 + len(items))
        items += _variant(name, value)
    head = struct.pack("<IQ", len(starts), before + 12 + len(items))
    return head + items + struct.pack(f"<{len(starts)}Q", *starts)


def _text(words: str) -> bytes:
    return (words + "\0").encode("utf-16-le")
