"""The index of a model in several files: JSON with the file of each tensor."""

from collections.abc import Iterable
from typing import Any

from lstm_jax.terminal import printable
from parity.files.bounds import MOST_HEADER, MOST_SHARDS, DamagedError
from parity.files.reading import Reading, starts
from parity.files.source import Leaves
from parity.files.strict_json import parse_json

is_index = starts(b"{")


def read_index(reading: Reading) -> Leaves:
    """The tensors that an index finds in the files beside it.

    Raises:
        DamagedError: If it names a file elsewhere, or a tensor that its file does not
            have.
        FileNotFoundError: If a file that it names is not there.
    """
    if len(reading.source) > MOST_HEADER:
        raise DamagedError(f"its index has more than {MOST_HEADER} bytes")
    places = parse_json(bytes(reading.source.view), "index").get("weight_map")
    if not isinstance(places, dict) or not places:
        raise DamagedError("its JSON has no `weight_map`, names to files")
    names = {_checked(name) for name in places.values()}
    if len(names) > MOST_SHARDS:
        raise DamagedError(f"its index names more than {MOST_SHARDS} files")
    _check_there(reading, names)
    files = {name: _leaves_of(reading.part(name)) for name in sorted(names)}
    missing = [name for name, place in places.items() if name not in files[place]]
    if missing:
        raise DamagedError(
            f"{printable(places[missing[0]])!r} has no {printable(missing[0])!r}, "
            "which the index promises"
        )
    return {name: files[place][name] for name, place in places.items()}


def _checked(name: Any) -> str:
    """The name of a file, if it can only be in the directory of the index."""
    plain = isinstance(name, str) and name not in ("", ".", "..")
    if not plain or any(c in name for c in "/\\:\0"):
        raise DamagedError(
            f"its index names the file {printable(name, 80)!r}, which is not beside it",
            "Put all files in one directory.",
        )
    return name


def _check_there(reading: Reading, names: Iterable[str]) -> None:
    """Refuse an index of files of which one is not beside it."""
    gone = sorted(name for name in names if not reading.part(name).path.exists())
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise FileNotFoundError(
            f"{reading.path} must have {printable(gone[0], 80)!r}{more} beside it: it "
            "is an index, and the tensors are there. Fetch these files, too."
        )


def _leaves_of(part: Reading) -> Leaves:
    """The tensors of one file; an index that names itself would never end."""
    if is_index(part):
        raise DamagedError(f"it names {printable(part.path.name)!r}, an index itself")
    return part.read_any(part)
