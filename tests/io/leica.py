"""Writes Leica's LIF, for nobody else does: a header of XML, then blocks of pixels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_BLOCK, _PART = 0x70, 0x2A
_DYES = ("Green", "Red", "Blue")


def write_lif(path: Path, pixels: np.ndarray, sizes: tuple[float, ...], *more: np.ndarray) -> None:
    """Write channels of volumes as the images of a file.

    Parameters
    ----------
    path
        The file.
    pixels
        Unsigned integers; axes c, z, y, x.
    sizes
        Size of a pixel along z, y and x, in micrometers.
    more
        Pixels of further images.
    """
    scenes = (pixels, *more)
    images = "".join(_image(scene, sizes, number) for number, scene in enumerate(scenes, 1))
    file = _element(path.name, f'<Experiment Path="{path.name}"/>', (0, 0), images)
    xml = f'<LMSDataContainerHeader Version="2">{file}</LMSDataContainerHeader>'
    header = struct.pack("<BI", _PART, len(xml)) + xml.encode("utf-16-le")
    blocks = [_block(header)]
    for number, data in enumerate((b"", *(scene.tobytes() for scene in scenes))):
        name = f"MemBlock_{number}"
        head = struct.pack("<BQBI", _PART, len(data), _PART, len(name)) + name.encode("utf-16-le")
        blocks.append(_block(head) + data)
    path.write_bytes(b"".join(blocks))


def _image(pixels: np.ndarray, sizes: tuple[float, ...], number: int) -> str:
    """Return the description of an image whose pixels are in the block of a number."""
    depth = 8 * pixels.itemsize
    steps = [pixels.itemsize]
    for length in reversed(pixels.shape[1:]):
        steps.append(steps[-1] * length)
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{depth}" Min="0" Max="1" '
        f'NameOfMeasuredQuantity="" Unit="" LUTName="{dye}" IsLUTInverted="0" '
        f'BytesInc="{number * steps[3]}" BitInc="0"/>'
        for number, dye in enumerate(_DYES[: len(pixels)])
    )
    lengths = zip(pixels.shape[:0:-1], reversed(sizes), steps, strict=False)
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" '
        f'Length="{(n - 1) * size * 1e-6}" Unit="m" BitInc="0" BytesInc="{step}"/>'
        for axis, (n, size, step) in enumerate(lengths, 1)
    )
    return _element(
        "image" if number == 1 else f"image {number}",
        f'<Image TextDescription=""><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image>",
        (pixels.nbytes, number),
    )


def _element(name: str, data: str, memory: tuple[int, int], children: str = "") -> str:
    size, block = memory
    return (
        f'<Element Name="{name}" Visibility="1"><Data>{data}</Data>'
        f'<Memory Size="{size}" MemoryBlockID="MemBlock_{block}"/>'
        f"<Children>{children}</Children></Element>"
    )


def _block(content: bytes) -> bytes:
    return struct.pack("<II", _BLOCK, len(content)) + content
