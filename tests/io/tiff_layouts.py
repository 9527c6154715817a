"""TIFFs as other programs lay them out, and as those of microscopes describe them."""

import json
import struct
import zlib

import numpy as np
import tifffile

LAYOUTS = ("lists first", "lists last", "lists beside")
"""Where the lists of tags are: before all pixels, behind all of them, before each page's own."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 16: 8}


def write_tiff(path, planes, layout="lists beside", *, big=False, deflate=False, tags=(), gap=b""):
    """Write planes as pages.

    Parameters
    ----------
    path
        The file.
    planes
        The pages, of 8 or 16 bits.
    layout
        One of `LAYOUTS`.
    big
        Whether it is a BigTIFF.
    deflate
        Whether pixels are compressed.
    tags
        Further ones of the first page: code, type, count and the bytes of the value.
    gap
        What stands between the header and the first page.
    """
    pixels = [zlib.compress(p.tobytes()) if deflate else p.tobytes() for p in planes]
    further = [tags] + [()] * (len(planes) - 1)
    lists = [
        _tags(p, len(d), deflate, more) for p, d, more in zip(planes, pixels, further, strict=True)
    ]
    lengths = [len(_list(tags, 0, 0, 0, big)) for tags in lists]
    start = (16 if big else 8) + len(gap)
    if layout == "lists first":
        blocks = [*range(len(planes)), *((n,) for n in range(len(planes)))]
    elif layout == "lists last":
        blocks = [*((n,) for n in range(len(planes))), *range(len(planes))]
    else:
        blocks = [block for n in range(len(planes)) for block in (n, (n,))]
    offsets, position = {}, start
    for block in blocks:
        offsets[block] = position
        position += len(pixels[block[0]]) if isinstance(block, tuple) else lengths[block]
    header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, offsets[0])
    data = [header if big else struct.pack("<2sHI", b"II", 42, offsets[0]), gap]
    for block in blocks:
        if isinstance(block, tuple):
            data.append(pixels[block[0]])
        else:
            following = offsets.get(block + 1, 0)
            data.append(_list(lists[block], offsets[block], offsets[block,], following, big))
    path.write_bytes(b"".join(data))
    return [offsets[n,] for n in range(len(planes))]


def _tags(plane, length, deflate, more):
    height, width = plane.shape
    short = {
        256: width, 257: height, 258: 8 * plane.itemsize, 259: 8 if deflate else 1, 262: 1,
        274: 1, 277: 1, 278: height, 284: 1, 296: 1, 339: 1,
    }  # fmt: skip
    tags = [(code, 3, 1, struct.pack("<H", value)) for code, value in short.items()]
    return sorted([*tags, (273, 4, 1, None), (279, 4, 1, struct.pack("<I", length)), *more])


def _list(tags, offset, pixels, following, big):
    """Return a list of tags with the values that do not fit into it behind it."""
    room, form = (8, "<HHQ") if big else (4, "<HHI")
    count = struct.pack("<Q" if big else "<H", len(tags))
    behind = offset + len(count) + len(tags) * (12 + room if big else 12) + room
    entries, values = [], []
    for code, kind, number, value in tags:
        value = struct.pack("<I", pixels) if value is None else value
        if len(value) > room:
            place = behind + sum(map(len, values))
            values.append(value + b"\0" * (len(value) % 2))
            value = place.to_bytes(room, "little")
        entries.append(struct.pack(form, code, kind, number) + value.ljust(room, b"\0"))
    end = following.to_bytes(room, "little")
    return b"".join([count, *entries, end, *values])


def text_tag(code, text):
    """Return a tag that holds a text."""
    value = text.encode() + b"\0"
    return code, 2, len(value), value


def write_stk(path, stack):
    """Write a stack of MetaMorph: one list of tags, and the planes one after another."""
    count = len(stack)
    distances = struct.pack("<6I", 1, 1, 0, 0, 0, 0) * count
    tags = [(33628, 4, 1, struct.pack("<II", 0, 1)), (33629, 5, count, distances)]
    write_tiff(path, stack[:1], "lists first", tags=tags)
    path.write_bytes(path.read_bytes() + stack[1:].tobytes())


def write_lsm(path, stack, *, deflate=True):
    """Write a stack of Zeiss's LSM: after each page a smaller one of it."""
    info = np.zeros((), tifffile.TIFF.CZ_LSMINFO)
    info["MagicNumber"], info["StructureSize"] = 67127628, info.nbytes
    for name, size in zip("XYZ", stack.shape[::-1], strict=True):
        info[f"Dimension{name}"] = size
    info["DimensionTime"] = info["DimensionChannels"] = 1
    pages = [page for plane in stack for page in (plane, plane[::4, ::4])]
    data = info.tobytes()
    write_tiff(path, pages, deflate=deflate, tags=[(34412, 1, len(data), data)])
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offsets = [page.offset for page in tiff.pages]
    for offset in offsets[1::2]:  # the tag SubfileType is not written: take that of Threshholding
        place = content.index(struct.pack("<HHI", 277, 3, 1), offset)
        content[place : place + 12] = struct.pack("<HHII", 255, 3, 1, 2)
    path.write_bytes(content)


def write_fluoview(path, stack):
    """Write a stack of Olympus's FluoView, whose header names its axes and their lengths."""
    header = np.zeros((), tifffile.TIFF.MM_HEADER)
    for place, name in enumerate("XYZ"):
        header["Dimensions"][place]["Name"] = name.encode()
        header["Dimensions"][place]["Size"] = stack.shape[2 - place]
    data = header.tobytes()
    tags = [(34361, 1, len(data), data), (34362, 1, 64, bytes(64))]
    write_tiff(path, stack, deflate=True, tags=tags)


def write_micro_manager(path, stack, missing=0):
    """Write a stack of Micro-Manager, with its index of the pages at its end."""
    summary = {"MicroManagerVersion": "2", "Frames": 1, "Slices": len(stack), "Channels": 1}
    text = json.dumps(summary).encode()
    size = 32 + len(text)

    def gap(index):
        return struct.pack("<8I", 54773648, index, 0, 0, 0, 0, 2355492, len(text)) + text

    tags = [text_tag(51123, '{"a": 1}')]
    write_tiff(path, stack, tags=tags, gap=bytes(size))
    with tifffile.TiffFile(path) as tiff:
        offsets = [page.offset for page in tiff.pages]
    write_tiff(path, stack, tags=tags, gap=gap(path.stat().st_size))
    offsets[len(offsets) - missing :] = [2**31] * missing
    rows = [(0, z, 0, 0, offset) for z, offset in enumerate(offsets)]
    index = struct.pack("<2I", 3453623, len(rows)) + b"".join(struct.pack("<5I", *r) for r in rows)
    path.write_bytes(path.read_bytes() + index)


def write_ndtiff(path, stack, name=None):
    """Write a stack of NDTiff, whose index is a file of its own in the same folder."""
    text = b"{}"
    gap = struct.pack("<5I", 483729, 3, 0, 2355492, len(text)) + text
    offsets = write_tiff(path, stack, tags=[text_tag(51123, '{"a": 1}')], gap=gap)
    name = (name or path.name).encode()
    entries = []
    for z, offset in enumerate(offsets):
        axes = json.dumps({"z": z}).encode()
        row = struct.pack("<IiiiiIii", offset, stack.shape[2], stack.shape[1], 1, 0, 0, 0, 0)
        entries += [struct.pack("<I", len(axes)), axes, struct.pack("<I", len(name)), name, row]
    (path.parent / "NDTiff.index").write_bytes(b"".join(entries))
