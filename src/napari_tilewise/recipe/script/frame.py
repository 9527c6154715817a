"""What stands around the steps of a script: imports, paths, reading and saving."""

from __future__ import annotations

import os
import re
import textwrap
from importlib.metadata import version
from typing import TYPE_CHECKING

from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.recipe.script import helpers as script_helpers
from napari_tilewise.recipe.script.calls import user_module
from napari_tilewise.recipe.script.code import WIDTH, call, lay_out, literal, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.recipe.recipe import Recipe
    from napari_tilewise.recipe.script.flow import ImageFlow

HELPERS = tuple(function.__name__ for function in script_helpers.FUNCTIONS)
RESERVED = (
    "args", "argparse", "columns", "csv", "destination", "file", "help", "ndim", "np", "number",
    "parser", "pickle", "plane", "read", "save", "ski", "source", "tifffile", "tw", "value",
    "writer", "zarr", *HELPERS,
)  # fmt: skip
"""What no variable may be called."""

_MADE = f"made by napari-tilewise {version('napari-tilewise')}"
_TYPES = ("Callable", "Collection", "Iterator")
_SUFFIXES = {
    Output.TABLE: ".csv", Output.POINTS: ".csv", Output.CONTOURS: ".csv",
    Output.SCALAR: ".json", Output.VALUES: ".json", Output.MESH: ".json",
}  # fmt: skip
_PLAIN_SUFFIXES = {
    Output.TABLE: ".csv", Output.POINTS: ".csv", Output.CONTOURS: ".csv",
    Output.VALUES: ".pickle", Output.MESH: ".pickle",
}  # fmt: skip


class ScriptFrame:
    """What stands around the steps.

    Parameters
    ----------
    recipe
        The recipe.
    flow
        Its images.
    source, destination
        Paths that the script reads and writes unless told otherwise.
    plain
        Whether it shall need scikit-image and NumPy only.
    """

    def __init__(
        self,
        recipe: Recipe,
        flow: ImageFlow,
        source: str | os.PathLike[str] | None,
        destination: str | os.PathLike[str] | None,
        *,
        plain: bool,
    ) -> None:
        self._recipe = recipe
        self._flow = flow
        self._source = None if source is None else os.fspath(source)
        self._plain = plain
        self._whole = flow.steps[recipe.running[-1]].whole
        suffix = _PLAIN_SUFFIXES.get(self._whole.output, ".npy")
        if not plain:
            suffix = _SUFFIXES.get(self._whole.output, ".ome.zarr")
        self._destination = f"result{suffix}" if destination is None else os.fspath(destination)

    def around(
        self, statements: Sequence[str], source: str, inputs: Mapping[str, str], result: str
    ) -> str:
        """Return the whole script.

        Parameters
        ----------
        statements
            One per step.
        source
            The variable of the source.
        inputs
            The variables of the recipe's inputs.
        result
            The code of what is written.
        """
        space = self._flow.text(self._flow.source.axes)
        reading = [f"{source} = {self._read(space, alone=not inputs)}"]
        anything = "" if self._plain else ', axes="any"'
        reading += [f"{name} = read(args.{name}{anything})" for name in inputs.values()]
        body = "\n".join([*reading, *statements, *self._saving(result)])
        called = {name for name in HELPERS if re.search(rf"\b{name}\(", body)}
        helpers = script_helpers.text(called if self._plain else called - {"read"})
        code = f"{self._parser(inputs)}\n\n{body}\n"
        code = f"\n\n{helpers}\n\n{code}" if helpers else f"\n{code}"
        return f"{self._docstring(space)}\n\n{self._imports(code)}\n{code}"

    def _docstring(self, axes: str | None) -> str:
        titles = [self._recipe.steps[number].op.title for number in self._recipe.running]
        words = ", ".join([titles[0], *map(_inner, titles[1:])])
        if len(words) + len(_MADE) > WIDTH - 6:
            words = f"{len(titles)} steps, from {_inner(titles[0])} to {_inner(titles[-1])}"
        about = "Reads, computes and writes tile by tile, whatever the size of the image."
        if self._plain:
            about = "Needs scikit-image and NumPy only, and memory for the whole image."
        if axes is not None:
            about += f" For images with the axes {axes}."
        return f'"""{words}: {_MADE}.\n\n{textwrap.fill(about, WIDTH)}\n"""'

    def _imports(self, code: str) -> str:
        """Return the imports that code needs, in the usual three blocks."""
        words = set(re.findall(r"\b\w+\b", re.sub(r'"[^"\n]*"', "", code)))
        standard = [f"import {name}" for name in ("argparse", "csv", "pickle") if name in words]
        types = ", ".join(name for name in _TYPES if name in words)
        standard += [f"from collections.abc import {types}"] if types else []
        standard += ["from typing import Any"] if "Any" in words else []
        third = ["import numpy as np"] if "np" in words else []
        own = ["import napari_tilewise as tw"] if "tw" in words else []
        if "ski" in words and self._plain:
            third.append("import skimage as ski")
        elif "ski" in words:
            own.append("import napari_tilewise.skimage as ski")
        if not self._plain:
            own.append("from napari_tilewise.io.script_io import read, save")
        inside = re.findall(r"^ +import (\w+)", code, re.MULTILINE)
        third += [f"import {x}" for x in ("tifffile", "zarr") if x in words and x not in inside]
        blocks = (standard, sorted([*third, *self._users_modules()]), own)
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _users_modules(self) -> list[str]:
        unused = "" if self._plain else "  # noqa: F401  # apply finds its operations by name"
        homes = {user_module(self._recipe.steps[number].op) for number in self._recipe.running}
        return [f"import {module}{unused}" for module in homes if module is not None]

    def _parser(self, inputs: Mapping[str, str]) -> str:
        lines = ["parser = argparse.ArgumentParser(description=__doc__)"]
        for name, default in (("source", self._source), ("destination", self._destination)):
            more = [f'"{name}"']
            if default is not None:
                more += ['nargs="?"', f"default={one_line(literal(default))}"]
            lines.append(lay_out(call("parser.add_argument", *more)))
        for name, variable in inputs.items():
            more = ['"--help-image"' if name == "help" else f'"--{name}"', "required=True"]
            if name != variable:
                more.append(f'dest="{variable}"')
            lines.append(lay_out(call("parser.add_argument", *more)))
        return "\n".join([*lines, "args = parser.parse_args()"])

    def _read(self, axes: str | None, *, alone: bool) -> str:
        """Return the code that reads the source; plain, as its suffix needs where that is known."""
        if not self._plain:
            return "read(args.source)" if axes is None else f'read(args.source, axes="{axes}")'
        name = (self._source or "").lower()
        if not alone or not name or (name.endswith(".zarr") and not name.endswith(".ome.zarr")):
            return "read(args.source)"
        if name.endswith(".npy"):
            return "np.load(args.source)"
        if name.endswith(".zarr"):
            return 'zarr.open_group(args.source, mode="r")["0"][:]'
        library = "tifffile" if name.endswith((".tif", ".tiff")) else "ski.io"
        return f"{library}.imread(args.source)"

    def _saving(self, result: str) -> list[str]:
        whole, output = self._whole, self._whole.output
        if output is Output.SCALAR:
            return self._told(result)
        if self._plain:
            return _plainly_saved(result, output)
        if not output.is_image:
            return [f"save({result}, args.destination)"]
        axes = self._flow.text(whole.axes)
        more = [] if axes is None else [f'axes="{axes}"']
        more += ["labels=True"] if whole.labels else []
        return [lay_out(call("save", result, "args.destination", "like=args.source", *more))]

    def _told(self, result: str) -> list[str]:
        """Return the lines that print a number and save it."""
        name = result if result.isidentifier() else "value"
        made = result if self._plain else f"np.asarray({result})"
        lines = [] if made == name else [f"{name} = {made}"]
        save = f"save({name}, args.destination)"
        return [
            *lines,
            f"print({name})",
            f"np.save(args.destination, {name})" if self._plain else save,
        ]


def _inner(title: str) -> str:
    """Return a title as it stands within a sentence: acronyms stay."""
    return title if title[:2].isupper() else title[0].lower() + title[1:]


def _plainly_saved(result: str, output: Output) -> list[str]:
    """Return the lines that save a result with NumPy and Python alone."""
    if output.is_image:
        return [f"np.save(args.destination, {result})"]
    if output in (Output.VALUES, Output.MESH):
        lines = [f"pickle.dump({result}, file)"]
        return ['with open(args.destination, "wb") as file:', *(f"    {line}" for line in lines)]
    lines = ['writer = csv.writer(file, lineterminator="\\n")']
    if output is Output.TABLE:
        lines += [
            f"writer.writerow({result})",
            f"columns = (column.tolist() for column in {result}.values())",
            "writer.writerows(zip(*columns, strict=True))",
        ]
    elif output is Output.POINTS:
        lines += [
            f'writer.writerow([f"axis-{{axis}}" for axis in range({result}.shape[1])])',
            f"writer.writerows({result}.tolist())",
        ]
    else:
        lines += [
            f"ndim = {result}[0].shape[1] if {result} else 0",
            'writer.writerow(["contour", *(f"axis-{axis}" for axis in range(ndim))])',
            f"for number, contour in enumerate({result}):",
            "    writer.writerows([number, *point] for point in contour.tolist())",
        ]
    opened = 'with open(args.destination, "w", newline="") as file:'
    return [opened, *(f"    {line}" for line in lines)]
