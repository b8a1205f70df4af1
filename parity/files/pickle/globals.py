"""The table of what a pickle may build: each name, and our function that stands for it.

Nothing is imported by a name from a file. What is not in the table is inert; what could
only be there to run a program is refused, so that it is noticed.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.arrays import TORCH
from parity.files.bounds import DamagedError
from parity.files.pickle.inert import (
    Inert,
    InertClass,
    InlineArray,
    Known,
    PickledArray,
    PickledDtype,
    Storage,
    StorageType,
    array_of_bytes,
)
from parity.files.pickle.machine import put
from parity.files.source import Unreadable, is_expanded, view_of

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
_NUMBER = re.compile(r"[<>=|]?([biufc]\d{1,2}|\?)")
_PROGRAMS = re.compile(
    r"(nt|os|posix|pty|subprocess|_posixsubprocess|sys|shutil|socket|ctypes|_ctypes"
    r"|importlib|runpy|webbrowser|pdb|bdb|timeit|pip|multiprocessing"
    r"|torch\.hub|torch\.ops|torch\.utils\.cpp_extension|numpy\.f2py)\..*"
    r"|builtins\.(eval|exec|compile|open|input|__import__|breakpoint|exit|quit|setattr"
    r"|delattr|globals|locals|vars|dir|map|filter|apply|execfile|reload|help|memoryview)"
    r"|(pickle|_pickle|cPickle|marshal|torch|torch\.serialization|torch\.jit|numpy"
    r"|joblib|dill|cloudpickle)\.(load|loads|Unpickler|_Unpickler|_load|_legacy_load)"
    r"|code\.(interact|InteractiveInterpreter|InteractiveConsole)"
    r"|types\.(FunctionType|CodeType|LambdaType)|(_io|io)\.(open|open_code|FileIO)"
    r"|operator\.(attrgetter|methodcaller|itemgetter)|.*\.runstring"
)


class Globals:
    """What the globals of a pickle stand for.

    `unknown` collects those that are not in the table; `load_from_bytes` stands for
    torch's function of that name, which reads an old torch file within a pickle.
    """

    def __init__(
        self,
        unknown: dict[str, InertClass] | None = None,
        load_from_bytes: Callable[[bytes], Any] | None = None,
    ) -> None:
        self.unknown = {} if unknown is None else unknown
        self.known = dict(_KNOWN)
        if load_from_bytes is not None:
            name = "torch.storage._load_from_bytes"
            self.known[name] = Known(name, load_from_bytes)

    def find(self, name: str) -> Any:
        """A constructor of the table, a type, or an inert class."""
        for old, new in (("__builtin__.", "builtins."), ("copy_reg.", "copyreg.")):
            name = name.replace(old, new, 1) if name.startswith(old) else name
        found = self.known.get(name.replace("numpy._core.", "numpy.core."))
        if found is not None:
            return found
        if _PROGRAMS.fullmatch(name):
            raise _would_run(name)
        return self.unknown.setdefault(name, InertClass(name))


def _would_run(name: str) -> DamagedError:
    return DamagedError(
        f"its pickle would call {printable(name, 80)}, which can run a program",
        "Do not open it with anything else, and ask who made it.",
    )


def _attribute(target: Any, name: Any = "", *_: Any) -> Inert:
    """`getattr`, by which pickles name methods: inert, and only of inert objects."""
    if not isinstance(target, (Inert, InertClass)):
        raise _would_run("builtins.getattr")
    return Inert(f"{target.name}.{name}")


def _storage_types() -> dict[str, StorageType]:
    """Torch's classes of storages, under each name they have had."""
    places = ("torch", "torch.storage", "torch.cuda")
    kinds = ("QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4")
    quantised = {f"{kind}Storage": None for kind in kinds}
    dtypes = {name: TORCH[dtype] for name, dtype in _STORAGES.items()} | quantised
    return {
        f"{place}.{name}": StorageType(name, dtype)
        for place in places
        for name, dtype in dtypes.items()
    }


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    """`torch._utils._rebuild_tensor` and `_v2`, whose last argument is metadata."""
    if not isinstance(storage, Storage):
        return _not_read(storage, "a tensor without a storage")
    if len(rest) > 2 and rest[2]:
        return Unreadable("a conjugated or negated view")
    if storage.type.dtype is None:
        return Unreadable(f"quantised numbers, {storage.type.name}")
    dtype, swapped = storage.type.dtype, storage.swapped
    if swapped and dtype.kind == "V":
        return Unreadable(f"{dtype.name} in the other order of bytes")
    if is_expanded(size, stride):
        return Unreadable("an expanded tensor, larger than its storage")
    return view_of(storage.data, dtype, size, stride, offset, swapped=swapped)


def _typed_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    """`torch._utils._rebuild_tensor_v3`: the type of the elements is an argument."""
    dtype = rest[2] if len(rest) > 2 else None
    if not isinstance(storage, Storage):
        return _not_read(storage, "a tensor without a storage")
    if not isinstance(dtype, StorageType) or dtype.dtype is None:
        return Unreadable(f"numbers of the type {printable(_name_of(dtype), 40)}")
    typed = Storage(storage.data, dtype, storage.swapped)
    return _tensor(typed, offset, size, stride, *rest[:2], *rest[3:])


def _not_read(value: Any, reason: str) -> Unreadable:
    return value if isinstance(value, Unreadable) else Unreadable(reason)


def _name_of(value: Any) -> str:
    return getattr(value, "name", None) or type(value).__name__


def _first(value: Any, *_: Any) -> Any:
    """What a constructor wraps: for a parameter, a type tag or a list of numbers."""
    return value


def _from_type(build: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """`torch._tensor._rebuild_from_type_v2`: a subclass of a tensor, as a tensor."""
    if isinstance(build, Known) and isinstance(arguments, (tuple, list)):
        return build.build(*arguments)
    return Unreadable(f"a tensor of the class {printable(_name_of(kind), 80)}")


def _unreadable(reason: str) -> Callable[..., Unreadable]:
    return lambda *_: Unreadable(reason)


def _numpy_type(name: Any, *_: Any) -> PickledDtype:
    """`numpy.dtype`; if its name is no type of numbers, one that is not read."""
    if isinstance(name, StorageType):
        return PickledDtype(name.name, name.dtype)
    text = printable(name if isinstance(name, str) else _name_of(name), 40)
    if not _NUMBER.fullmatch(text):
        return PickledDtype(text, TORCH.get(text))
    try:
        found = np.dtype(text)
    except TypeError as error:
        raise DamagedError(f"a NumPy type is {text!r}") from error
    return PickledDtype(text, found.newbyteorder("="), not found.isnative)


def _scalar(dtype: Any, raw: Any = b"", *_: Any) -> Any:
    return array_of_bytes(raw, dtype, (), False)


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> Any:
    return array_of_bytes(raw, dtype, shape, order == "F")


def _jax_array(_: Any, __: Any, state: Any, *___: Any) -> Any:
    """`jax._src.array._reconstruct_array`: a NumPy array in three parts."""
    array = PickledArray()
    array.set_state(state)
    return array


def _encode(text: Any, *_: Any) -> bytes:
    """`_codecs.encode`, by which Python 2's protocol writes bytes."""
    if not isinstance(text, str):
        raise DamagedError("its pickle encodes something that is no text")
    return text.encode("latin-1")


def _elements(values: Any = (), *_: Any) -> list[Any]:
    """A set, list or queue, as a list: nothing of a file is hashed."""
    if not isinstance(values, (list, tuple)):
        raise DamagedError("its pickle makes a list out of something that is no list")
    return list(values)


def _entries(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    """A dictionary, out of the pairs that old pickles give."""
    entries: dict[Any, Any] = {}
    if isinstance(pairs, (list, tuple)):
        put(entries, [part for pair in pairs for part in _elements(pair)])
    return entries


def _bytes(value: Any = b"", *_: Any) -> bytes:
    if not isinstance(value, (bytes, str)):
        raise DamagedError("its pickle makes bytes out of something that is no text")
    return value if isinstance(value, bytes) else _encode(value)


def _reconstructor(kind: Any, _: Any = None, state: Any = None, *__: Any) -> Inert:
    """`copyreg._reconstructor`: an inert object, with the state of its base class."""
    return Inert(_name_of(kind), (state,))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _entries,
    "collections.defaultdict": lambda *_: {},
    "collections.Counter": lambda *_: {},
    "collections.deque": _elements,
    "builtins.dict": _entries,
    "builtins.set": _elements,
    "builtins.frozenset": _elements,
    "builtins.list": _elements,
    "builtins.tuple": lambda *v: tuple(_elements(*v)),
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.getattr": _attribute,
    "builtins.object": _reconstructor,
    "builtins.slice": lambda *_: None,
    "builtins.range": lambda *_: None,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstructor,
    "numpy.core.multiarray._reconstruct": lambda *_: PickledArray(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy.dtype": _numpy_type,
    "numpy.ndarray": _unreadable("an array without its numbers"),
    "torch.Tensor": _unreadable("a tensor without its numbers"),
    "jax._src.array._reconstruct_array": _jax_array,
    "joblib.numpy_pickle.NumpyArrayWrapper": lambda *_: InlineArray(),
    "torch.Size": lambda *v: tuple(_elements(*v)),
    "torch.device": lambda *_: None,
    "torch.nn.parameter.Parameter": _first,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_device_tensor_from_numpy": _first,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "torch._utils._rebuild_xla_tensor": _first,
    "torch._utils._rebuild_qtensor": _unreadable("a quantised tensor"),
    "torch._utils._rebuild_sparse_tensor": _unreadable("a sparse tensor"),
    "torch._utils._rebuild_nested_tensor": _unreadable("a nested tensor"),
    "torch._utils._rebuild_meta_tensor_no_storage": _unreadable("a tensor on `meta`"),
    "torch._utils._rebuild_wrapper_subclass": _unreadable("a wrapper of tensors"),
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
}
_KNOWN: dict[str, Any] = {
    **{name: Known(name, function) for name, function in _FUNCTIONS.items()},
    **_storage_types(),
    **{f"torch.{name}": StorageType(name, dtype) for name, dtype in TORCH.items()},
    **{f"ml_dtypes.{name}": StorageType(name, dtype) for name, dtype in TORCH.items()},
}
