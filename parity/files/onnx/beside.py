"""The files beside a model of ONNX: only those within its folder."""

from pathlib import Path

from lstm_jax.terminal import printable
from parity.files.bounds import DamagedError
from parity.files.onnx.tensors import Beside
from parity.files.reading import Reading


def files_beside(reading: Reading) -> Beside:
    """Files in the folder of a model, each mapped once; no other is opened."""
    views: dict[str, memoryview] = {}

    def view(location: str) -> memoryview:
        if location not in views:
            views[location] = _inside(reading, location).source.view
        return views[location]

    return view


def _inside(reading: Reading, location: str) -> Reading:
    """The reading of a file within the folder of the model.

    Raises:
        DamagedError: If it is elsewhere, by its name or by a link, or is not there.
    """
    folder, place = reading.path.parent.resolve(), Path(location)
    odd = not location or "\0" in location or "\\" in location or len(location) > 255
    if not odd and not place.is_absolute() and ".." not in place.parts:
        target = (folder / place).resolve()
        if target.is_relative_to(folder) and target != reading.path.resolve():
            if target.is_file() and target.stat().st_size:
                return reading.part(location)
            raise DamagedError(
                f"its tensors are in {printable(location)!r}, which is not beside it",
                "Fetch that file, too.",
            )
    raise DamagedError(
        f"its tensors are in {printable(location, 60)!r}, outside of its folder",
        "Do not load it, and ask who made it.",
    )


def nothing_beside(location: str) -> memoryview:
    """What a model in memory has beside it.

    Raises:
        DamagedError: Always.
    """
    raise DamagedError(
        f"its tensors are in {printable(location, 60)!r}, and a model in memory has "
        "no folder",
        "Give the path of the file.",
    )
