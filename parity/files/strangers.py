"""The table of files that are recognised only to be refused by name, with a way out.

Their tests come after those of the formats that have a whole magic, and before those of
the formats that are told by little.
"""

from dataclasses import dataclass

from parity.files.reading import Reading, Recogniser, starts


@dataclass(frozen=True)
class Stranger:
    """A kind of file that is not read here: its name, its test, and the way out."""

    name: str
    is_it: Recogniser
    cure: str


def _is_old_torchscript(reading: Reading) -> bool:
    return any(name.endswith("model.json") for name in reading.names)


STRANGERS: tuple[Stranger, ...] = (
    Stranger(
        "TorchScript from before torch 1.4",
        _is_old_torchscript,
        "Save it with a newer torch.",
    ),
    Stranger(
        "HDF5",
        starts(b"\x89HDF\r\n\x1a\n"),
        "Load it with Keras and save its weights as .npz.",
    ),
    Stranger("GGUF", starts(b"GGUF"), "Fetch the safetensors file of the model."),
    Stranger(
        "one array without a name",
        starts(b"\x93NUMPY"),
        "Save it with numpy.savez instead.",
    ),
    Stranger("gzip", starts(b"\x1f\x8b"), "Unpack it with gunzip first."),
    Stranger("Zstandard", starts(b"\x28\xb5\x2f\xfd"), "Unpack it with unzstd first."),
    Stranger("bzip2", starts(b"BZh"), "Unpack it with bunzip2 first."),
    Stranger("xz", starts(b"\xfd7zXZ\0"), "Unpack it with unxz first."),
    Stranger(
        "a pointer of Git LFS",
        starts(b"version https:"),
        "Fetch the file itself with git lfs pull.",
    ),
    Stranger("a page of the web", starts(b"<"), "Fetch the file itself."),
)
