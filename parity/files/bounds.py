"""How a file is refused, and the bounds that it must keep to."""

from pathlib import Path

MiB = 2**20
MOST_INSTRUCTIONS = 5_000_000  # of a pickle; a model of 1000 tensors has 40 thousand
MOST_HEADER = 16 * MiB  # of safetensors, and a whole index: 100 thousand tensors
MOST_MEMBERS = 1_000_000  # of an archive
MOST_NAMES = 1_000_000  # places that a tree of names is walked through
MOST_DEPTH = 100  # of that tree
MOST_NAME_CHARACTERS = 64 * MiB
MOST_SHARDS = 10_000
UNPACKED = 20  # times the size of the file that compressed members may have, and
UNPACKED_MORE = 64 * MiB  # this much besides
SHARED = 8  # times the size of the file that tensors which share bytes may have
SHARED_MORE = MiB


class DamagedError(ValueError):
    """What is wrong with a file: half a sentence, and the cure."""

    def __init__(self, reason: str, cure: str = "Fetch or save it again.") -> None:
        super().__init__(reason)
        self.reason = reason
        self.cure = cure


def cannot(path: Path, format: str, error: DamagedError) -> ValueError:
    """The sentence for a file that cannot be read."""
    return ValueError(
        f"{path} cannot be read as {format}: {error.reason}. {error.cure}"
    )
