"""Arrays of torch, JAX and NumPy, bit for bit; and the names of their types."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jaxtyping import Array

if TYPE_CHECKING:
    import torch

_WHERE = "from_torch"

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
STORAGES = {
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
SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
FLOATING = ("float64", "float32", "float16", "bfloat16")


def is_floating(dtype: np.dtype) -> bool:
    """Whether it is a real floating type, those of 8 bits included."""
    return dtype.name.startswith(("float", "bfloat"))


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
    """A torch tensor, NumPy or JAX array as a NumPy array, bit for bit."""
    if isinstance(value, (np.ndarray, jax.Array)):
        return np.asarray(value)
    if type(value).__module__.partition(".")[0] != "torch" or not hasattr(value, "cpu"):
        raise TypeError(
            f"{where}: {name} must be a tensor, not {type(value).__name__}: "
            "it is to be a parameter. Use the state dict of a module."
        )
    tensor = value.detach().cpu()
    dtype = TORCH.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is not None and dtype.kind == "V":  # a type that NumPy has not
        import torch

        bits = torch.int16 if dtype.itemsize == 2 else torch.uint8
        return tensor.contiguous().view(bits).numpy().view(dtype)
    return tensor.resolve_conj().resolve_neg().numpy()


def tensor_of(array: Any, *, copy: bool = True) -> "torch.Tensor":
    """A JAX or NumPy array as a torch tensor, bit for bit."""
    import torch

    array = np.array(array, order="C", copy=copy or None)
    if array.dtype.kind == "V":  # a type that NumPy has not
        bits = np.dtype(np.int16 if array.dtype.itemsize == 2 else np.uint8)
        dtype = getattr(torch, array.dtype.name)
        return torch.from_numpy(array.view(bits)).view(dtype)
    return torch.from_numpy(array)
