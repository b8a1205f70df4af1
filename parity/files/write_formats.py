"""The formats that are written: torch, npz, and Flax's msgpack and Orbax."""

import shutil
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from parity.arrays import tensor_of
from parity.files.beside import Done, Tensor, nothing, write_safetensors
from parity.files.kinds.msgpack import nest

Writer = Callable[[Sequence[Tensor], Path, Done], None]


def write_torch(tensors: Sequence[Tensor], path: Path, done: Done = nothing) -> None:
    """`torch.save` of a state dict; what is not cast is streamed from its file."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a mapped array cannot be written to
        state_dict = {t.name: tensor_of(t.value(), copy=False) for t in tensors}
        torch.save(state_dict, path)
    for _ in tensors:
        done()


def write_npz(tensors: Sequence[Tensor], path: Path, done: Done = nothing) -> None:
    """`numpy.savez`, array by array.

    Raises:
        ValueError: If NumPy has no name for a type.
    """
    for tensor in tensors:
        if tensor.name.startswith("/") or ".." in tensor.name.split("/"):
            raise ValueError(
                f"convert: {tensor.name!r} must be a name within an archive: npz is "
                "one. Use --to safetensors, or --prefix."
            )
        if tensor.dtype.kind == "V":
            raise ValueError(
                f"convert: {tensor.name!r} must be of a type of NumPy, not "
                f"{tensor.dtype.name}: npz would lose it. Use --to safetensors, or "
                "--dtype float32."
            )
    with zipfile.ZipFile(path, "w") as archive:
        for tensor in tensors:
            name = f"{tensor.name}.npy"
            with archive.open(name, "w", force_zip64=True) as member:
                npy.write_array(member, tensor.value(), allow_pickle=False)
            done()


def write_msgpack(tensors: Sequence[Tensor], path: Path, done: Done = nothing) -> None:
    """What `flax.serialization.msgpack_restore` reads, array by array."""
    import msgpack
    from flax.serialization import msgpack_serialize

    packer = msgpack.Packer()

    def write(branch: Any) -> None:
        if isinstance(branch, Tensor):
            _ = file.write(msgpack_serialize(branch.value()))
            return done()
        _ = file.write(packer.pack_map_header(len(branch)))
        for name, child in branch.items():
            _ = file.write(packer.pack(name))
            write(child)
        return None

    tree = nest([tensor.name for tensor in tensors], tensors)
    with path.open("wb") as file:
        write(tree)


def write_orbax(tensors: Sequence[Tensor], path: Path, done: Done = nothing) -> None:
    """A checkpoint of Orbax, which takes all arrays at once.

    Raises:
        ValueError: If an array is empty: Orbax refuses it.
    """
    import orbax.checkpoint as ocp

    empty = [tensor.name for tensor in tensors if tensor.array.size == 0]
    if empty:
        raise ValueError(
            f"convert: {empty[0]!r} must not be empty: Orbax does not save it. "
            "Use --to msgpack."
        )
    tree = nest([t.name for t in tensors], [t.value() for t in tensors])
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(path.resolve(), tree)
    finally:
        for half in path.parent.glob(f"{path.name}.orbax-checkpoint-tmp*"):
            shutil.rmtree(half)
    for _ in tensors:
        done()


WRITERS: dict[str, Writer] = {
    "torch": write_torch,
    "safetensors": write_safetensors,
    "npz": write_npz,
    "msgpack": write_msgpack,
    "orbax": write_orbax,
}
BY_SUFFIX = {
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt"), "torch"),
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".msgpack": "msgpack",
    ".orbax": "orbax",
}


def equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bits."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.size == 0:
        return True
    whole = (np.asarray(a, order="C").reshape(-1) for a in (first, second))
    ours, theirs = (array.view(np.uint8) for array in whole)
    step = 2**24  # bytes at a time
    starts = range(0, len(ours), step)
    return all(np.array_equal(ours[s : s + step], theirs[s : s + step]) for s in starts)
