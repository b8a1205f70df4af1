"""The bounds that a file must keep to, and the sentence that refuses it."""

from pathlib import Path

MiB = 2**20
MOST_INSTRUCTIONS = 5_000_000  # of a pickle; a model of 1000 tensors has 40 thousand
MOST_HEADER = 16 * MiB  # of safetensors, and a whole index: 100 thousand tensors
MOST_ONNX = 2**31 - 1  # of ONNX without what is beside it: protobuf's own
MOST_MEMBERS = 1_000_000  # of an archive
MOST_NAMES = 1_000_000  # places in a tree of names
MOST_DEPTH = 100  # of that tree
MOST_NAME_CHARACTERS = 64 * MiB
MOST_SHARDS = 10_000
# What compressed members may unpack to, together: times the file, and this much more.
UNPACKED, UNPACKED_MORE = 20, 64 * MiB
# What tensors that share bytes may have, together.
SHARED, SHARED_MORE = 8, MiB


class DamagedError(ValueError):
    """What is wrong with a file: half a sentence, and the cure."""

    def __init__(self, reason: str, cure: str = "Fetch or save it again.") -> None:
        super().__init__(reason)
        self.reason = reason
        self.cure = cure


def cannot(path: Path, words: str, error: DamagedError) -> ValueError:
    """The sentence for a file that cannot be read."""
    return ValueError(f"{path} cannot be read as {words}: {error.reason}. {error.cure}")
