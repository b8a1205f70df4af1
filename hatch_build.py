"""The hook of the build: it compiles the kernel of `lstm_jax/native` where it can.

Without a compiler the package is built without it, and `lstm_jax.backends.explain` says
why. `CXX` names the compiler. The headers of XLA beside the source are those of jaxlib
0.10.2, the oldest that is supported: a newer jaxlib runs what was compiled with them.
"""

import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path(__file__).parent / "lstm_jax" / "native"
SOURCE, LIBRARY = FOLDER / "source", FOLDER / "kernel.so"
REASON = FOLDER / "not_compiled.txt"
FLAGS = ["-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-fvisibility=hidden"]
FLAGS += ["-Wall", "-Wextra", "-Wno-psabi"]


class Width(NamedTuple):
    """A width of vectors: floats of one, rows of a block, and the processor's flags."""

    name: str
    lanes: int
    rows: int
    flags: tuple[str, ...] = ()


X86 = (
    Width("avx512", 16, 6, ("-march=x86-64-v4", "-mprefer-vector-width=512")),
    Width("avx2", 8, 3, ("-march=x86-64-v3",)),
)
ARM = (Width("neon", 4, 6),)
WIDTHS = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}


class KernelHook(BuildHookInterface):
    """Compiles the kernel before the wheel, editable or not, is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel of this platform; or say why not."""
        del version
        try:
            compile_kernel()
        except NotCompiledError as error:
            LIBRARY.unlink(missing_ok=True)
            _ = REASON.write_text(f"{error}\n", encoding="utf-8")
            build_data["artifacts"].append(str(REASON.relative_to(self.root)))
            self.app.display_warning(f"lstm_jax is built without its kernel: {error}")
            return
        REASON.unlink(missing_ok=True)
        build_data["artifacts"].append(str(LIBRARY.relative_to(self.root)))
        build_data["pure_python"] = False
        of_platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{of_platform}"


class NotCompiledError(Exception):
    """Why there is no kernel."""


def flags_of(width: Width) -> list[str]:
    """What the compiler is told for the kernel of a width."""
    sizes = [
        f"-DLANES={width.lanes}",
        f"-DBLOCK={width.rows}",
        f"-DKERNEL={width.name}",
    ]
    return [*FLAGS, *width.flags, *sizes]


def compile_kernel(library: Path = LIBRARY, more: Sequence[str] = ()) -> None:
    """Compile the kernel for each width, and the calls; unless it is newer than all.

    Args:
        library: The file to write.
        more: Further flags of the compiler.

    Raises:
        NotCompiledError: If there is no compiler, or it fails.
    """
    sources = [Path(__file__), *SOURCE.rglob("*.cc"), *SOURCE.rglob("*.h")]
    newest = max(path.stat().st_mtime for path in sources)
    if library.exists() and library.stat().st_mtime > newest:
        return
    widths = WIDTHS.get(platform.machine())
    if widths is None:
        raise NotCompiledError(f"it knows no {platform.machine()} processors.")
    named = os.environ.get("CXX")
    compiler = named or next(filter(shutil.which, ("g++", "c++", "clang++")), None)
    if compiler is None:
        raise NotCompiledError("there was no C++ compiler.")
    start = compiler.split()
    with TemporaryDirectory(dir=library.parent) as folder:
        handlers = [*FLAGS, "-isystem", str(SOURCE)]
        of_object = {f"{folder}/{one.name}.o": flags_of(one) for one in widths}
        of_object[f"{folder}/handlers.o"] = handlers
        compiled = [
            [*start, *flags, *more, "-c", str(SOURCE / source), "-o", path]
            for path, flags in of_object.items()
            for source in ["handlers.cc" if flags is handlers else "kernel.cc"]
        ]
        _run_all(compiled)
        unfinished = Path(folder) / library.name
        link = [*start, "-shared", "-pthread", *more, *of_object]
        _run_all([[*link, "-o", str(unfinished)]])
        _ = unfinished.replace(library)


def _run_all(commands: list[list[str]]) -> None:
    """Run compilers side by side."""
    pipe = {"stderr": subprocess.PIPE, "text": True}
    try:
        started = [subprocess.Popen(command, **pipe) for command in commands]
    except OSError as error:
        raise NotCompiledError(f"the compiler does not start: {error}.") from error
    ended = [(one, one.communicate()[1]) for one in started]
    for one, said in ended:
        if one.returncode:
            first = next((line for line in said.splitlines() if "error" in line), said)
            raise NotCompiledError(f"the compiler fails: {first.strip()}")
