"""A small machine that reads pickles: it builds containers, and calls nothing.

Python's own unpickler calls what a file names. This one follows the instructions with
`pickletools` and looks each global up in a table of ours: a constructor in the table
stands for a function of ours, and anything else becomes a placeholder with its name.
"""

import codecs
import io
import mmap
import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

import numpy as np

from lstm_jax.terminal import printable
from parity.files.bounds import MOST_INSTRUCTIONS, DamagedError, MiB
from parity.files.pickle.inert import (
    Inert,
    InertClass,
    InlineArray,
    Known,
    PickledArray,
    PickledDtype,
    Storage,
    StorageType,
)

_MARK = object()
_KEYS = (str, int, float, bytes, type(None), Inert, InertClass, Known, StorageType)
_CODES = {code.code: code for code in pickletools.opcodes}
_PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NOTHING = {"PROTO", "FRAME"}
BUILT, BUILT_MORE = 2, 64 * MiB  # times the file, and bytes, that constructors make
# What pickletools and the machine raise where a pickle is damaged.
_PICKLE_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)

Stream = mmap.mmap | io.BytesIO
Find = Callable[[str], Any]
Persistent = Callable[[Any], Any]


def unpickle(stream: Stream, find: Find, persistent: Persistent | None = None) -> Any:
    """The object that a pickle describes; the stream is left behind its last byte.

    Args:
        stream: The file, at the start of the pickle.
        find: Gives what stands for a global, by its dotted name.
        persistent: Gives what a persistent id stands for.

    Raises:
        DamagedError: If it is cut off, damaged, too long, or needs what is not allowed.
    """
    machine = _Unpickler(find, persistent, stream)
    try:
        for count, (name, argument) in enumerate(_instructions(stream)):
            if count > MOST_INSTRUCTIONS:
                raise DamagedError(
                    f"its pickle has more than {MOST_INSTRUCTIONS} instructions",
                    "Save only the weights.",
                )
            if name == "STOP":
                return machine.stack.pop()
            machine.step(name, argument)
    except DamagedError:
        raise
    except _PICKLE_ERRORS as error:
        raise DamagedError(f"its pickle is damaged ({printable(error)})") from None
    raise DamagedError("its pickle has no end")


def _instructions(stream: Stream) -> Iterator[tuple[str, Any]]:
    """The instructions, one by one: what one leaves unread, the next starts with."""
    while letter := stream.read(1):
        code = _CODES.get(letter.decode("latin-1"))
        if code is None:
            raise DamagedError(f"its pickle has no instruction {letter.hex()}")
        if code.name == "STRING":
            yield code.name, _quoted(stream.readline())
        else:
            reader = code.arg and code.arg.reader
            yield code.name, reader(cast(BinaryIO, stream)) if reader else None


def _quoted(line: bytes) -> str:
    """A text of Python 2, whose bytes are those of Latin-1."""
    text = line.strip()
    if len(text) < 2 or text[:1] not in b"'\"" or text[:1] != text[-1:]:
        raise DamagedError("its pickle has a text without quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")  # type: ignore[attr-defined]


def _length_of(stream: Stream) -> int:
    at = stream.tell()
    _ = stream.seek(0, 2)
    size = stream.tell()
    _ = stream.seek(at)
    return size


def _cost(made: Any) -> int:
    """About how many bytes there are in what a constructor made."""
    if isinstance(made, (list, tuple, dict)):
        return 64 * len(made)
    if isinstance(made, PickledArray):
        return getattr(made.array, "nbytes", 0)
    data = made.data if isinstance(made, Storage) else made
    return len(data) if isinstance(data, (bytes, memoryview)) else 0


def _hashable(value: Any) -> Any:
    """A key of a dictionary, if hashing it is quick and runs nothing."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    parts = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(part, _KEYS) for part in parts):
        raise DamagedError("its pickle has a key that is neither name nor number")
    return value


def put(target: Any, pairs: list[Any]) -> None:
    """Put alternating keys and values into a dictionary or an inert object."""
    entries = target.entries if isinstance(target, Inert) else target
    if not isinstance(entries, dict) or len(pairs) % 2:
        raise DamagedError(
            "its pickle puts entries into something that is no dictionary"
        )
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        hashed = _hashable(key)
        if hashed in entries:
            raise DamagedError(f"its pickle has the key {printable(key)!r} twice")
        entries[hashed] = value


def _extend(target: Any, values: list[Any]) -> None:
    items = target.items if isinstance(target, Inert) else target
    if not isinstance(items, list):
        raise DamagedError("its pickle adds elements to something that is no list")
    items.extend(values)


def _made_by(function: Any, arguments: Any) -> Any:
    """What a function of ours makes, or an inert object of an unknown class."""
    if not isinstance(arguments, tuple):
        raise DamagedError("its pickle calls a class without a tuple")
    if isinstance(function, Known):
        return function.build(*arguments)
    if isinstance(function, (Inert, InertClass)):
        return Inert(function.name, arguments)
    raise DamagedError("its pickle calls something that is no class")


def _set_state(target: Any, state: Any) -> None:
    """Give an object its state: data to keep, never attributes to set."""
    if isinstance(target, (PickledArray, PickledDtype)):
        target.set_state(state)
    elif isinstance(target, Inert):
        target.state = state


class _Unpickler:
    """The stack and the memo; one method for each kind of instruction."""

    def __init__(
        self, find: Find, persistent: Persistent | None, stream: Stream
    ) -> None:
        self.left = BUILT * _length_of(stream) + BUILT_MORE
        self.stream = stream
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.find = find
        self.persistent = persistent

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        method = _METHODS.get(name)
        if method is not None:
            method(self)
        elif name in _GIVEN:
            self.stack.append(argument)
        elif name in _PLAIN:
            self.stack.append(_PLAIN[name])
        elif name in _WITH_ARGUMENT:
            _WITH_ARGUMENT[name](self, argument)
        elif name not in _NOTHING:
            raise DamagedError(
                f"its pickle has the instruction {name}, which no checkpoint needs",
                "Do not use it, unless you know who made it.",
            )

    def marked(self) -> list[Any]:
        """Take off the last mark, and what is above it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise DamagedError("its pickle has no mark where it needs one")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def last(self, count: int) -> list[Any]:
        """Take off the last values."""
        values = self.stack[len(self.stack) - count :]
        if len(values) < count:
            raise DamagedError("its pickle takes more than it has")
        del self.stack[len(self.stack) - count :]
        return values

    def spend(self, made: Any) -> Any:
        """Count what was made, and refuse it if it is too much."""
        self.left -= _cost(made)
        if self.left < 0:
            raise DamagedError("its pickle builds much more than it holds")
        return made

    def append(self) -> None:
        (value,) = self.last(1)
        _extend(self.stack[-1], [value])

    def appends(self) -> None:
        values = self.marked()
        _extend(self.stack[-1], values)

    def set_item(self) -> None:
        pair = self.last(2)
        put(self.stack[-1], pair)

    def set_items(self) -> None:
        pairs = self.marked()
        put(self.stack[-1], pairs)

    def dictionary(self) -> None:
        pairs = self.marked()
        self.stack.append({})
        put(self.stack[-1], pairs)

    def reduce(self) -> None:
        function, arguments = self.last(2)
        self.stack.append(self.spend(_made_by(function, arguments)))

    def new_with_keywords(self) -> None:
        function, arguments, keywords = self.last(3)
        made = self.spend(_made_by(function, arguments))
        if isinstance(made, Inert):
            made.state = keywords
        self.stack.append(made)

    def instance(self) -> None:
        function, *arguments = self.marked()
        self.stack.append(self.spend(_made_by(function, tuple(arguments))))

    def named_instance(self, name: str) -> None:
        self.stack.append(self.spend(_made_by(self.named(name), tuple(self.marked()))))

    def build(self) -> None:
        (state,) = self.last(1)
        _set_state(self.stack[-1], state)
        if isinstance(self.stack[-1], InlineArray):
            self.stack[-1].read(self.stream)
        if isinstance(self.stack[-1], PickledArray):
            _ = self.spend(self.stack[-1])

    def named(self, name: str) -> Any:
        module, _, attribute = name.partition(" ")
        return self.find(f"{module}.{attribute}")

    def push_named(self, name: str) -> None:
        self.stack.append(self.named(name))

    def push_global(self) -> None:
        module, attribute = self.last(2)
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise DamagedError("its pickle names a class by something other than text")
        self.stack.append(self.find(f"{module}.{attribute}"))

    def by_id(self, value: Any) -> None:
        if self.persistent is None:
            raise DamagedError("its pickle refers to bytes outside of it")
        self.stack.append(self.persistent(value))

    def push_memo(self, place: Any) -> None:
        if int(place) not in self.memo:
            raise DamagedError(
                "its pickle takes something from its memo that is not there"
            )
        self.stack.append(self.memo[int(place)])

    def store(self, place: Any) -> None:
        self.memo[int(place)] = self.stack[-1]


_GIVEN = {
    code.name for code in pickletools.opcodes if code.arg and not code.stack_before
}
_GIVEN -= {"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "GLOBAL"}
_GIVEN -= {"EXT1", "EXT2", "EXT4", "PERSID", "PROTO", "FRAME", "INST"}

_METHODS: dict[str, Callable[[_Unpickler], Any]] = {
    "MARK": lambda m: m.stack.append(_MARK),
    "POP": lambda m: m.last(1),
    "POP_MARK": lambda m: m.marked(),
    "DUP": lambda m: m.stack.append(m.stack[-1]),
    "EMPTY_LIST": lambda m: m.stack.append([]),
    "EMPTY_TUPLE": lambda m: m.stack.append(()),
    "EMPTY_DICT": lambda m: m.stack.append({}),
    "EMPTY_SET": lambda m: m.stack.append([]),  # a list: nothing is hashed
    "LIST": lambda m: m.stack.append(m.marked()),
    "TUPLE": lambda m: m.stack.append(tuple(m.marked())),
    "FROZENSET": lambda m: m.stack.append(m.marked()),
    "DICT": _Unpickler.dictionary,
    "TUPLE1": lambda m: m.stack.append(tuple(m.last(1))),
    "TUPLE2": lambda m: m.stack.append(tuple(m.last(2))),
    "TUPLE3": lambda m: m.stack.append(tuple(m.last(3))),
    "APPEND": _Unpickler.append,
    "APPENDS": _Unpickler.appends,
    "ADDITEMS": _Unpickler.appends,
    "SETITEM": _Unpickler.set_item,
    "SETITEMS": _Unpickler.set_items,
    "REDUCE": _Unpickler.reduce,
    "NEWOBJ": _Unpickler.reduce,
    "NEWOBJ_EX": _Unpickler.new_with_keywords,
    "OBJ": _Unpickler.instance,
    "BUILD": _Unpickler.build,
    "STACK_GLOBAL": _Unpickler.push_global,
    "BINPERSID": lambda m: m.by_id(*m.last(1)),
    "MEMOIZE": lambda m: m.store(len(m.memo)),
}
_WITH_ARGUMENT: dict[str, Callable[[_Unpickler, Any], Any]] = {
    "GLOBAL": _Unpickler.push_named,
    "INST": _Unpickler.named_instance,
    "PERSID": _Unpickler.by_id,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Unpickler.push_memo),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Unpickler.store),
}
