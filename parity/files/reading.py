"""A file while it is read: what a reader looks at, and where it takes notes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from parity.files.pickle.inert import InertClass
from parity.files.source import Leaves, Source, open_source
from parity.files.zip import Members

_LOOKED_AT = 64
_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\1\2")


@dataclass
class Reading:
    """A file, or a directory that is a checkpoint, while it is read.

    `read_any` reads another file, of any format. `sources` are the files that were
    mapped, `unknown` the classes that a pickle names and that are not known here,
    `metadata` the texts beside the tensors, `structure` what the file says of how they
    are used, in the words of its format.
    """

    path: Path
    read_any: Callable[["Reading"], Leaves]
    sources: list[Source] = field(default_factory=list)
    unknown: dict[str, InertClass] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    structure: list[Any] = field(default_factory=list)

    @cached_property
    def source(self) -> Source:
        """The bytes, mapped.

        Raises:
            OSError: If it is not there, or is no plain file.
            ValueError: If it is empty.
        """
        source = open_source(self.path)
        self.sources.append(source)
        return source

    @cached_property
    def start(self) -> bytes:
        """The first bytes of a file; a directory has none."""
        return b"" if self.path.is_dir() else bytes(self.source.view[:_LOOKED_AT])

    @property
    def is_archive(self) -> bool:
        """Whether it is a zip archive."""
        return self.start.startswith(_ZIP)

    @cached_property
    def members(self) -> Members:
        """The members of a zip archive."""
        return Members(self.source)

    @cached_property
    def names(self) -> list[str]:
        """The names of the members of a zip archive; no other file has any."""
        return list(self.members.infos) if self.is_archive else []

    def part(self, name: str) -> "Reading":
        """A file beside it that is read for it, with the same notes."""
        return replace(self, path=self.path.parent / name)


Recogniser = Callable[[Reading], bool]


def starts(*magics: bytes) -> Recogniser:
    """The test for files that start with one of these bytes."""
    return lambda reading: reading.start.startswith(magics)
