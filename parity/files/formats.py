"""The table of the formats: a row each, and what is read off the rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from parity.files.kinds import (
    h5,
    index,
    msgpack,
    npz,
    onnx,
    orbax,
    plain_pickle,
    pt2,
    safetensors,
    torch_legacy,
    torch_zip,
)
from parity.files.reading import Reading, Recogniser
from parity.files.source import Leaves
from parity.files.tensor import Writer


def never(_: Reading) -> bool:
    """The test that no file passes."""
    return False


def only_read(*_: Any) -> None:
    """What stands for the writer of a format that has none."""
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of files.

    Attributes:
        name: What `--from` and `--to` call it; old and new files may share a name.
        words: What a file of it is, in a sentence.
        suffixes: The usual ones: they tell how to write a file, not how to read it.
        memory: How the tensors of a file get into memory.
        is_it: Whether a file is surely of it, whatever else its first bytes look like.
        looks_like: Whether a file that is no stranger has its magic.
        may_be: Whether a file that is of no other may be of it, by its suffix.
        read: Gives every tensor of a file.
        write: Writes tensors to a file.
        directory: Whether it is a directory of files.
        texts: Whether it holds texts beside the tensors: `write` takes `metadata`.
        needs_torch: Whether `write` needs torch.
    """

    name: str
    words: str
    suffixes: tuple[str, ...] = ()
    memory: str = "read"
    is_it: Recogniser = never
    looks_like: Recogniser = never
    may_be: Recogniser = never
    read: Callable[[Reading], Leaves]
    write: Writer = only_read
    directory: bool = False
    texts: bool = False
    needs_torch: bool = False


# In the order in which they are tried.
FORMATS: tuple[Format, ...] = (
    Format(
        name="torch",
        words="a torch file",
        suffixes=(".pt", ".pth", ".bin", ".ckpt"),
        memory="mapped",
        looks_like=torch_zip.is_torch_zip,
        read=torch_zip.read_torch_zip,
        write=torch_zip.write_torch_zip,
        needs_torch=True,
    ),
    Format(
        name="torch",
        words="an old torch file",
        suffixes=(".pt", ".pth", ".bin", ".ckpt"),
        memory="mapped",
        looks_like=torch_legacy.is_torch_legacy,
        read=torch_legacy.read_torch_legacy,
    ),
    Format(
        name="torchscript",
        words="TorchScript",
        suffixes=(".jit", ".ts", ".pt"),
        memory="mapped",
        looks_like=torch_zip.is_torchscript,
        read=torch_zip.read_torch_zip,
    ),
    Format(
        name="pt2",
        words="a program of torch.export",
        suffixes=(".pt2",),
        memory="mapped",
        looks_like=pt2.is_pt2,
        read=pt2.read_pt2,
    ),
    Format(
        name="safetensors",
        words="safetensors",
        suffixes=(".safetensors",),
        memory="mapped",
        is_it=safetensors.is_safetensors,
        may_be=safetensors.may_be_safetensors,
        read=safetensors.read_safetensors,
        write=safetensors.write_safetensors,
        texts=True,
    ),
    Format(
        name="index",
        words="an index of several files",
        suffixes=(".safetensors.index.json", ".bin.index.json"),
        memory="mapped",
        looks_like=index.is_index,
        read=index.read_index,
    ),
    Format(
        name="npz",
        words="npz",
        suffixes=(".npz",),
        memory="mapped; compressed members are unpacked",
        looks_like=npz.is_npz,
        read=npz.read_npz,
        write=npz.write_npz,
    ),
    Format(
        name="pickle",
        words="a pickle",
        suffixes=(".pkl", ".pickle"),
        looks_like=plain_pickle.is_pickle,
        may_be=plain_pickle.may_be_pickle,
        read=plain_pickle.read_pickle,
    ),
    Format(
        name="msgpack",
        words="msgpack",
        suffixes=(".msgpack",),
        looks_like=msgpack.is_msgpack,
        may_be=msgpack.may_be_msgpack,
        read=msgpack.read_msgpack,
        write=msgpack.write_msgpack,
    ),
    Format(
        name="onnx",
        words="ONNX",
        suffixes=(".onnx",),
        looks_like=onnx.is_onnx,
        may_be=onnx.may_be_onnx,
        read=onnx.read_onnx,
    ),
    Format(
        name="h5",
        words="HDF5",
        suffixes=(".h5", ".hdf5"),
        memory="mapped; packed arrays are unpacked",
        looks_like=h5.is_h5,
        read=h5.read_h5,
    ),
    Format(
        name="keras",
        words="a model of Keras 3",
        suffixes=(".keras",),
        memory="mapped; packed arrays are unpacked",
        looks_like=h5.is_keras,
        read=h5.read_keras,
    ),
    Format(
        name="orbax",
        words="an Orbax checkpoint",
        suffixes=(".orbax",),
        memory="read, by tensorstore",
        is_it=orbax.is_orbax,
        read=orbax.read_orbax,
        write=orbax.write_orbax,
        directory=True,
    ),
)


def names_read() -> list[str]:
    """What `--from` may be."""
    return list(dict.fromkeys(format.name for format in FORMATS))


def written() -> dict[str, Format]:
    """The formats that are written, by what `--to` may be."""
    return {format.name: format for format in FORMATS if format.write is not only_read}


def written_by_suffix() -> dict[str, Format]:
    """The same formats, by the suffix of what is written."""
    return {s: format for format in written().values() for s in format.suffixes}


def in_words() -> str:
    """What is read, for a sentence."""
    return one_of(format.words for format in FORMATS)


def one_of(words: Iterable[str]) -> str:
    """One of these words, for a sentence.

    Example:
        >>> one_of(["npz", "torch", "msgpack"])
        'npz, torch or msgpack'
    """
    *before, last = words
    return f"{', '.join(before)} or {last}" if before else last
