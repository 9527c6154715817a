"""Hatch's hook that compiles the kernels into the wheel, where there is a compiler.

Without one, or with ``TILEWISE_NATIVE=0`` in the environment, the wheel holds Python only. There is
no Python ABI: ``py3-none-<platform>`` serves every Python. An editable install compiles beside the
Python modules.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "napari_tilewise/kernels"
SUFFIXES = (".so", ".dll")


COMPILERS = ["clang++"] if os.name == "nt" else ["c++", "g++", "clang++"]
"""Those that `native/CMakeLists.txt` takes; on Windows CMake would find GCC first."""


def compiler() -> str | None:
    """Return a C++ compiler's path, or None."""
    choices = [os.environ["CXX"]] if "CXX" in os.environ else COMPILERS
    return next(filter(None, map(shutil.which, choices)), None)


class KernelsHook(BuildHookInterface):
    """Compiles ``native/`` with CMake."""

    def _compiles(self) -> bool:
        return (
            self.target_name == "wheel"
            and os.environ.get("TILEWISE_NATIVE") != "0"
            and compiler() is not None
        )

    def dependencies(self) -> list[str]:
        """Return the build tools that the system does not have."""
        tools = {"cmake": "cmake>=3.18", "ninja": "ninja>=1.10"}
        if not self._compiles():
            return []
        return [package for tool, package in tools.items() if shutil.which(tool) is None]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the libraries into the wheel.

        Parameters
        ----------
        version
            ``editable``, or the kind of wheel.
        build_data
            What Hatch builds from.
        """
        if not self._compiles():
            return
        if version == "editable":
            self._compile(Path(self.root, "src", PACKAGE))
            return
        output = Path(tempfile.mkdtemp(prefix="tilewise-kernels-"))
        libraries = [path for path in self._compile(output) if path.suffix in SUFFIXES]
        for library in libraries:
            build_data["force_include"][str(library)] = f"{PACKAGE}/{library.name}"
        if libraries:
            platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"

    def _compile(self, output: Path) -> list[Path]:
        """Return what was built into a folder: nothing where compiling fails."""
        configure = [
            "cmake",
            "-S",
            str(Path(self.root, "native")),
            "-G",
            "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DTILEWISE_OUTPUT={output.as_posix()}",
        ]
        environment = {**os.environ, "CXX": compiler() or ""}
        architectures = re.findall(r"-arch (\S+)", os.environ.get("ARCHFLAGS", ""))
        if architectures:
            configure.append(f"-DCMAKE_OSX_ARCHITECTURES={';'.join(architectures)}")
        with tempfile.TemporaryDirectory() as build:
            for command in ([*configure, "-B", build], ["cmake", "--build", build]):
                try:
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
                except (OSError, subprocess.CalledProcessError) as error:
                    self.app.display_warning(
                        f"The kernels were not compiled, scikit-image runs without them: {error}"
                    )
                    return []
        return sorted(output.glob("tilewise_*"))
