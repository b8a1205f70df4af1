"""The table of files that are recognised only to be refused by name, with a way out.

Their tests come after those of the formats that no other file can look like, and before
all others.
"""

import re
from dataclasses import dataclass

from parity.files.reading import Reading, Recogniser, starts
from parity.machine import INSTALL_TORCH


@dataclass(frozen=True)
class Stranger:
    """A kind of file that is not read here: its name, its test, and the way out."""

    name: str
    is_it: Recogniser
    cure: str


def _has_member(name: str) -> Recogniser:
    """The test for archives with such a member, on top or in a folder that is there."""
    return lambda reading: any(
        n == name or n.partition("/")[2] == name for n in reading.names
    )


def _has_file(name: str) -> Recogniser:
    """The test for directories with such a file."""
    return lambda reading: reading.path.is_dir() and (reading.path / name).exists()


def _matches(pattern: bytes) -> Recogniser:
    """The test for files that start as a regular expression says."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda reading: compiled.match(reading.start) is not None


def _is_part_of_distributed(reading: Reading) -> bool:
    """Whether it is archives one after the other, or one that is named as a part."""
    if not reading.is_archive:
        return False
    first = min(
        (info.header_offset for info in reading.members.infos.values()), default=0
    )
    return first > 0 or reading.path.suffix == ".distcp"


# In protobuf: the version of the format, then a message, which starts with a text.
_COREML = rb"\x08[\x01-\x1f]\x12[\x80-\xff]*[\x00-\x7f]\x0a"
_DICTIONARY = rb"([\x81-\x8f]|\xde..|\xdf....)"

_WITH_DCP = (
    f"Turn its directory into a torch file, with torch ({INSTALL_TORCH}): python -m "
    "torch.distributed.checkpoint.format_utils dcp_to_torch DIRECTORY FILE.pt."
)
_WITH_COREML = "Convert the model it was made of, from before coremltools."

STRANGERS: tuple[Stranger, ...] = (
    Stranger(
        "TorchScript from before torch 1.4",
        _has_member("model.json"),
        "Save it with a newer torch.",
    ),
    Stranger(
        "a part of a distributed checkpoint of torch",
        _is_part_of_distributed,
        _WITH_DCP,
    ),
    Stranger(
        "the index of a distributed checkpoint of torch",
        _matches(rb"\x80.*torch\.distributed\.checkpoint\.metadata"),
        _WITH_DCP,
    ),
    Stranger(
        "a distributed checkpoint of torch",
        _has_file(".metadata"),
        _WITH_DCP,
    ),
    Stranger(
        "a SavedModel of TensorFlow",
        _has_file("saved_model.pb"),
        "Load it with TensorFlow and save its weights as .npz.",
    ),
    Stranger("CoreML", _matches(_COREML), _WITH_COREML),
    Stranger("a package of CoreML", _has_file("Manifest.json"), _WITH_COREML),
    Stranger(
        "TensorFlow Lite",
        _matches(rb"....TFL3"),
        "Give the weights of the model that it was made of.",
    ),
    Stranger("GGUF", starts(b"GGUF"), "Fetch the safetensors file of the model."),
    Stranger(
        "msgpack of msgpack-numpy, as spaCy writes it",
        _matches(_DICTIONARY + rb"[\xc4-\xc6]"),
        "Load it with spaCy and save its weights as .npz.",
    ),
    Stranger(
        "a file of MATLAB",
        starts(b"MATLAB "),
        "Load it with scipy.io.loadmat and save its arrays with numpy.savez.",
    ),
    Stranger(
        "one array without a name",
        starts(b"\x93NUMPY"),
        "Save it with numpy.savez instead.",
    ),
    Stranger("gzip", starts(b"\x1f\x8b"), "Unpack it with gunzip first."),
    Stranger("Zstandard", starts(b"\x28\xb5\x2f\xfd"), "Unpack it with unzstd first."),
    Stranger("bzip2", starts(b"BZh"), "Unpack it with bunzip2 first."),
    Stranger("xz", starts(b"\xfd7zXZ\0"), "Unpack it with unxz first."),
    Stranger("LZMA", starts(b"\x5d\0\0"), "Unpack it with unlzma first."),
    Stranger("LZ4", starts(b"\x04\x22\x4d\x18"), "Unpack it with unlz4 first."),
    Stranger("7-Zip", starts(b"7z\xbc\xaf\x27\x1c"), "Unpack it with 7z x first."),
    Stranger(
        "zlib, as joblib compresses",
        starts(b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"),
        "Load it with joblib and save it with joblib.dump(..., compress=0).",
    ),
    Stranger(
        "a pointer of Git LFS",
        starts(b"version https:"),
        "Fetch the file itself with git lfs pull.",
    ),
    Stranger(
        "a shortcut of Windows",
        starts(b"L\0\0\0\x01\x14\x02\0"),
        "Give the file that it points to.",
    ),
    Stranger(
        "a page of the web",
        _matches(rb"(\xef\xbb\xbf)?\s*<"),
        "Fetch the file itself.",
    ),
)
