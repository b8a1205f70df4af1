"""What is in an HDF5 file: run as a program, in a process that may be ended.

The HDF5 library can loop for ever, or fall, in a file that is damaged on purpose. It
imports nothing of `parity`, so that it starts fast.

`python -P lister.py LEFT SECONDS < FILE` writes the length of a JSON text in 8
bytes, the text, and the numbers of those arrays that are not in one piece.
"""

import contextlib
import io
import json
import resource
import struct
import sys
from collections.abc import Iterator
from typing import Any

ATTRIBUTES = (
    "layer_names",
    "weight_names",
    "model_config",
    "keras_version",
    "backend",
    "name",
)
MOST_OBJECTS, MOST_DEPTH, MOST_TEXT = 100_000, 50, 16 * 2**20
MOST_PARTS = 1000  # of a list that Keras has cut
PLAIN_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
MEMORY = 2**30  # of this process, beside what it unpacks


# What h5py raises where a file is damaged.
WRONG = (
    *(RuntimeError, OSError, ValueError, TypeError, LookupError),
    *(ArithmeticError, AttributeError, MemoryError),
)


class RefusedError(Exception):
    """What is wrong with a file, and the cure."""


class Listing:
    """The arrays and texts of a file, in the order in which they are found."""

    def __init__(self, left: int) -> None:
        self.left = left  # bytes that may be unpacked
        self.texts = MOST_TEXT
        self.seen: set[Any] = set()
        self.arrays: list[dict[str, Any]] = []
        self.attributes: dict[str, dict[str, Any]] = {}
        self.numbers: list[bytes] = []

    def walk(self, group: Any, place: str, depth: int) -> None:
        """Everything below a group; nothing outside the file is followed."""
        import h5py

        self.note(group, place)
        for name in group:
            here = f"{place}/{name}" if place else name
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(
                    f"it has a link at {here!r}, and no link is followed",
                    "Copy what it means into the file with h5copy.",
                )
            found = group[name]
            self.visit(found, here, depth)
            if isinstance(found, h5py.Group):
                self.walk(found, here, depth + 1)
            elif isinstance(found, h5py.Dataset):
                self.note(found, here)
                self.arrays.append(self.array(found, here))

    def visit(self, found: Any, here: str, depth: int) -> None:
        """Refuse what has no end."""
        import h5py

        h5o: Any = getattr(h5py, "h5o")  # noqa: B009

        if depth > MOST_DEPTH:
            raise RefusedError(f"it is nested more than {MOST_DEPTH} deep")
        address = h5o.get_info(found.id).addr
        if address in self.seen:
            raise RefusedError(f"it has one object under two names, of which {here!r}")
        self.seen.add(address)
        if len(self.seen) > MOST_OBJECTS:
            raise RefusedError(f"it has more than {MOST_OBJECTS} objects")

    def note(self, found: Any, place: str) -> None:
        """The texts that Keras writes beside arrays."""
        for name in ATTRIBUTES:
            parts = [p for p in _parts(name) if _has(found, p)]
            texts = [self.text(found, p) for p in parts]
            if texts:
                listed = [t for one in texts if isinstance(one, list) for t in one]
                value = listed if isinstance(texts[0], list) else texts[0]
                self.attributes.setdefault(place, {})[name] = value

    def text(self, found: Any, name: str) -> Any:
        """A text, or a list of texts, which must not be endless."""
        import h5py

        attribute = h5py.h5a.open(found.id, name.encode())
        count = attribute.get_space().get_simple_extent_npoints()
        if count == 0:
            return []
        if h5py.check_string_dtype(attribute.dtype) is None:
            raise RefusedError(f"its attribute {name!r} is no text")
        held = max(count * attribute.dtype.itemsize, attribute.get_storage_size())
        self.spend(held)
        value = found.attrs[name]
        texts = value if getattr(value, "ndim", 0) else [value]
        self.spend(max(0, sum(map(len, texts)) - held))
        plain = [t.decode() if isinstance(t, bytes) else str(t) for t in texts]
        return plain if getattr(value, "ndim", 0) else plain[0]

    def spend(self, count: int) -> None:
        """Refuse texts that are too long, together."""
        self.texts -= count
        if self.texts < 0:
            raise RefusedError(f"its texts have more than {MOST_TEXT} bytes")

    def array(self, found: Any, here: str) -> dict[str, Any]:
        """Where an array is; its numbers, if they are not in one piece."""
        facts = {"name": here, "shape": [*(found.shape or ())], "dtype": ""}
        if found.shape is None or found.dtype.kind not in "biufc":
            return facts
        facts["dtype"] = found.dtype.str
        _refuse_outside(found, here)
        size, offset = found.nbytes, found.id.get_offset()
        if offset is not None:
            if found.id.get_storage_size() != size:
                raise RefusedError(f"the array {here!r} is not whole")
            return {**facts, "offset": offset}
        self.left -= size
        if self.left < 0:
            raise RefusedError(
                "its arrays unpack to much more than the file has",
                "Look at it yourself, if you trust who made it.",
            )
        if size and not found.id.get_storage_size():
            raise RefusedError(f"the array {here!r} has no numbers")
        self.numbers.append(found[()].tobytes() if size else b"")
        return {**facts, "bytes": size}


def _parts(name: str) -> Iterator[str]:
    """The names of an attribute: Keras cuts a long list into several."""
    yield name
    if name in ("layer_names", "weight_names"):
        yield from (f"{name}{number}" for number in range(MOST_PARTS))


def _has(found: Any, name: str) -> bool:
    """Whether there is such an attribute."""
    import h5py

    return h5py.h5a.exists(found.id, name.encode())


def _refuse_outside(found: Any, here: str) -> None:
    """Refuse an array whose numbers are in other files, or need a plugin."""
    properties = found.id.get_create_plist()
    if found.is_virtual or properties.get_external_count():
        raise RefusedError(
            f"the numbers of {here!r} are in other files",
            "Copy them into one file with h5repack.",
        )
    for place in range(properties.get_nfilters()):
        number = properties.get_filter(place)[0]
        if number not in PLAIN_FILTERS:
            raise RefusedError(
                f"{here!r} is packed by filter {number}, which needs a plugin",
                "Unpack it with h5repack -f NONE.",
            )


def main() -> None:
    """List the file on standard input."""
    left, seconds = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    import h5py

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY + left, MEMORY + left))
    listing, wrong = Listing(left), list[str]()
    try:
        with h5py.File(io.FileIO(0, closefd=False), "r") as file:
            listing.walk(file, "", 0)
    except RefusedError as error:
        wrong = [str(part) for part in error.args]
    except WRONG as error:
        wrong = [f"its HDF5 is damaged ({type(error).__name__})"]
    answer = {"wrong": wrong}
    if not wrong:
        answer |= {"arrays": listing.arrays, "attributes": listing.attributes}
    text = json.dumps(answer).encode()
    with contextlib.suppress(BrokenPipeError):
        for data in (struct.pack("<Q", len(text)), text, *listing.numbers):
            _ = sys.stdout.buffer.write(data)
        _ = sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
