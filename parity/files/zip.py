"""The members of a zip archive as bytes: mapped, or unpacked if compressed."""

import struct
import zipfile
import zlib

from lstm_jax.terminal import printable
from parity.files.bounds import MOST_MEMBERS, UNPACKED, UNPACKED_MORE, DamagedError
from parity.files.source import Bytes, Source

_LOCAL_HEADER = 30
# What zipfile raises where an archive is damaged.
_ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, OSError),
    *(EOFError, ValueError, LookupError, RuntimeError, OverflowError),
)


class Members:
    """The names in an archive and their bytes; nothing is unpacked to the disk."""

    def __init__(self, source: Source | Bytes) -> None:
        self.source = source
        self.unpacked = 0  # bytes, so far
        self.infos: dict[str, zipfile.ZipInfo] = {}
        try:
            with source.open() as file, zipfile.ZipFile(file) as archive:
                infos = archive.infolist()
        except _ARCHIVE_ERRORS as error:
            raise DamagedError(f"its archive is damaged ({printable(error)})") from None
        if len(infos) > MOST_MEMBERS:
            raise DamagedError(f"its archive has more than {MOST_MEMBERS} members")
        for info in infos:
            self._add(info)

    def _add(self, info: zipfile.ZipInfo) -> None:
        name = printable(info.filename)
        if info.filename in self.infos:
            raise DamagedError(f"its archive has the member {name!r} twice")
        if ".." in info.filename.split("/") or info.filename[:1] in ("/", "\\"):
            raise DamagedError(
                f"its archive has the member {name!r}, outside of itself",
                "Do not unpack it, and ask who made it.",
            )
        self.infos[info.filename] = info

    def __contains__(self, name: str) -> bool:
        return name in self.infos

    def __getitem__(self, name: str) -> memoryview | bytes:
        """The bytes of a member.

        Raises:
            DamagedError: If it is missing, cut off or would unpack to too much.
        """
        info = self.infos.get(name)
        if info is None:
            raise DamagedError(f"its archive has no member {printable(name)!r}")
        if info.flag_bits & 1:
            raise DamagedError("its archive is encrypted", "Decrypt it first.")
        stored = info.compress_type == zipfile.ZIP_STORED
        return self._mapped(info) if stored else self._unpacked(info)

    def _mapped(self, info: zipfile.ZipInfo) -> memoryview:
        view, at = self.source.view, info.header_offset
        header = bytes(view[at : at + _LOCAL_HEADER]) if at >= 0 else b""
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise DamagedError(f"the member {printable(info.filename)!r} has no header")
        start = at + _LOCAL_HEADER + sum(struct.unpack("<HH", header[26:30]))
        data = view[start : start + info.file_size]
        if len(data) != info.file_size or info.file_size != info.compress_size:
            raise DamagedError(f"the member {printable(info.filename)!r} is cut off")
        return data

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes:
        """Unpack a member into memory, within what the file may unpack to."""
        self.unpacked += info.file_size
        if self.unpacked > UNPACKED * len(self.source) + UNPACKED_MORE:
            raise DamagedError(
                f"its archive unpacks to more than {UNPACKED} times its size",
                "Unpack and look at it yourself, if you trust who made it.",
            )
        try:
            with self.source.open() as file, zipfile.ZipFile(file) as archive:
                data = archive.open(info).read(info.file_size + 1)
        except _ARCHIVE_ERRORS as error:
            raise DamagedError(f"its archive is damaged ({printable(error)})") from None
        if len(data) != info.file_size:
            raise DamagedError(f"the member {printable(info.filename)!r} is cut off")
        return data
