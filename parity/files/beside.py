"""Files that are written whole or not at all: beside their place, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path beside `path`, which takes its place if the block does not fail.

    Raises:
        OSError: What the system says of it, under the name of `path`.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        _replace(part, path)
    except OSError as error:
        if error.filename is not None and Path(error.filename).name == part.name:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside and rename; write directly into a device or a pipe."""
    if path.exists() and not path.is_file():
        _ = path.write_bytes(content)
        return
    with beside(path.resolve()) as part:
        _ = part.write_bytes(content)


def _replace(part: Path, path: Path) -> None:
    """Put `part` in the place of `path`, once it is on the disk."""
    if part.is_dir() and path.is_dir():
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        _ = path.replace(old)
        _ = part.replace(path)
        shutil.rmtree(old)
        return
    if part.is_file():
        with part.open("rb") as file:
            os.fsync(file.fileno())
    _ = part.replace(path)
