"""Arrays of torch, JAX and NumPy, bit for bit; and torch's names of their types."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx
from jaxtyping import Array

if TYPE_CHECKING:
    import torch

_WHERE = "from_torch"
_STEP = 2**24

TORCH = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "float8_e8m0fnu": np.dtype(ml_dtypes.float8_e8m0fnu),
    "complex64": np.dtype(np.complex64),
    "complex128": np.dtype(np.complex128),
    "int64": np.dtype(np.int64),
    "int32": np.dtype(np.int32),
    "int16": np.dtype(np.int16),
    "int8": np.dtype(np.int8),
    "uint64": np.dtype(np.uint64),
    "uint32": np.dtype(np.uint32),
    "uint16": np.dtype(np.uint16),
    "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}
FLOATING = ("float64", "float32", "float16", "bfloat16")


def is_floating(dtype: np.dtype) -> bool:
    """Whether it is a real floating type, of 8 bits or more."""
    return dtype.name.startswith(("float", "bfloat"))


def mapping_of(source: Any, where: str) -> Mapping[Any, Any]:
    """Names to arrays: a mapping as it is, or the state dict or parameters of a module.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(source, Mapping):
        return source
    for method in ("state_dict", "params"):
        if callable(getattr(source, method, None)):
            return getattr(source, method)()
    cure = "Use parity.read_tensors for a file."
    if isinstance(source, nnx.Module):
        cure = "Use flax.nnx.state(module)."
    raise TypeError(
        f"{where}: source must be a mapping of names to arrays, or a module, not "
        f"{type(source).__name__}: each array is written under its name. {cure}"
    )


def array_of(name: str, value: Any, where: str = _WHERE) -> Array:
    """A copy of a torch tensor, NumPy or JAX array as a JAX array, bit for bit.

    Raises:
        TypeError: If it is not an array.
        ValueError: If JAX would round it: 64 bits while `jax_enable_x64` is off.
    """
    array = numpy_of(name, value, where)
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        raise ValueError(
            f"{where}: {name}.dtype={array.dtype} must have at most 32 bits: "
            "jax_enable_x64 is off and JAX would round it. Use "
            "jax.config.update('jax_enable_x64', True), or convert the source first."
        )
    return jnp.array(array, copy=True)


def numpy_of(name: str, value: Any, where: str = _WHERE) -> np.ndarray:
    """A torch tensor, NumPy or JAX array as a NumPy array, bit for bit.

    Raises:
        TypeError: If it is none of these, or not of numbers.
        ValueError: If it has no numbers of its own to copy.
    """
    if hasattr(value, "__jax_array__"):  # an nnx.Param
        value = value.__jax_array__()
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        _check_numbers(name, value, where)
        return np.asarray(value)
    if type(value).__module__.partition(".")[0] != "torch" or not hasattr(value, "cpu"):
        cure = "Use the state dict of a module."
        if isinstance(value, Mapping):
            cure = f"Give the mapping under {name!r}."
        raise TypeError(
            f"{where}: {name} must be a tensor, not {type(value).__name__}: "
            f"every parameter is one. {cure}"
        )
    _check_plain(name, value, where)
    tensor = value.detach().cpu()
    dtype = TORCH.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is not None and dtype.kind == "V":  # a type that NumPy does not have
        import torch

        bits = torch.int16 if dtype.itemsize == 2 else torch.uint8
        return tensor.contiguous().view(bits).numpy().view(dtype)
    return tensor.resolve_conj().resolve_neg().numpy()


def _check_numbers(name: str, value: Any, where: str) -> None:
    """Refuse keys of `jax.random`, texts and objects of Python."""
    key = jnp.issubdtype(value.dtype, jax.dtypes.extended)
    if not key and value.dtype.kind not in "OSU":
        return
    cure = "Use jax.random.key_data for a key." if key else "Leave it out."
    raise TypeError(
        f"{where}: {name} must be an array of numbers, not of the type {value.dtype}: "
        f"they are copied. {cure}"
    )


_NOT_PLAIN = {
    "is_meta": ("on `meta`, without numbers", "Load weights into the module first."),
    "is_sparse": ("sparse", "Use its to_dense()."),
    "is_quantized": ("quantised", "Use its dequantize()."),
}


def _check_plain(name: str, tensor: Any, where: str) -> None:
    """Refuse a tensor that has no numbers of its own to copy."""
    for flag, (what, cure) in _NOT_PLAIN.items():
        if getattr(tensor, flag):
            raise ValueError(
                f"{where}: {name} must be a plain tensor, not one that is {what}: its "
                f"numbers are copied. {cure}"
            )


def tensor_of(array: Any, *, copy: bool = True) -> "torch.Tensor":
    """A JAX or NumPy array as a torch tensor, bit for bit."""
    import torch

    array = np.array(array, order="C", copy=copy or None)
    if array.dtype.kind == "V":  # a type that NumPy does not have
        bits = np.dtype(np.int16 if array.dtype.itemsize == 2 else np.uint8)
        dtype = getattr(torch, array.dtype.name)
        return torch.from_numpy(array.view(bits)).view(dtype)
    return torch.from_numpy(array)


def native(array: np.ndarray) -> np.ndarray:
    """The array in this machine's order of bytes."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array, without a copy where they follow each other."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bits; 16 MiB at a time."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.size == 0:
        return True
    ours, theirs = bytes_of(first), bytes_of(second)
    starts = range(0, len(ours), _STEP)
    return all(ours[at : at + _STEP] == theirs[at : at + _STEP] for at in starts)
