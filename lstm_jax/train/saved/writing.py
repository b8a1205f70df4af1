"""Files that appear whole, or not at all."""

import uuid
from os import PathLike
from pathlib import Path


def write_whole(path: str | PathLike[str], held: str | bytes) -> None:
    """Replace a file; where it cannot be written, what was there stays.

    What a link points to is replaced, not the link. A device or a pipe is written to.

    Raises:
        OSError: If it cannot be written, with the name of this file.
    """
    raw = held.encode() if isinstance(held, str) else held
    place = Path(path).resolve()
    new = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        if place.exists() and not place.is_file():
            _ = place.write_bytes(raw)
            return
        _ = new.write_bytes(raw)
        _ = new.replace(place)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        if place.parent.is_dir():
            new.unlink(missing_ok=True)
