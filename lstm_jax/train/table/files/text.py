"""The text of a CSV file: its encoding, its separator, its decimal sign, its shape."""

import csv
import io
import re
from collections.abc import Iterator

from lstm_jax.train.table.notes import Notes, counted, listed

BOMS = (b"\xff\xfe", b"\xfe\xff")
SEPARATORS = (";", "\t", "|", ",")
PACKED = {  # how files that are no text begin, and what they are
    b"\x1f\x8b": "a gzip file. Unpack it",
    b"BZh": "a bzip2 file. Unpack it",
    b"\xfd7zXZ": "an xz file. Unpack it",
    b"PK\x03\x04": "a ZIP file or a workbook. Unpack it, or save the table as CSV",
    b"PAR1": "a Parquet file. Save the table as CSV",
}
QUOTED = re.compile(r'"[^"]*"')


def decode(notes: Notes, name: str, raw: bytes, encoding: str | None) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, or the encoding that is given.

    Its lines end in newlines, whatever ends them in the file.

    Raises:
        ValueError: If it is no text of this encoding, with a line that shows it.
    """
    if not raw.strip():
        raise notes.wrong(f"{name!r} must hold a table: it is empty. Give another.")
    for begin, what in PACKED.items():
        if raw.startswith(begin):
            raise notes.wrong(f"{name!r} must be text: it is {what}.")
    marked = raw[:2] in BOMS and encoding is None
    wanted = "utf-16" if marked else encoding or "utf-8-sig"
    try:
        text = raw.decode(wanted)
    except LookupError:
        raise notes.wrong(
            f"encoding={encoding!r} must be one that Python knows, such as 'cp1252' or "
            "'latin-1'. Use one of these, or leave it out for UTF-8."
        ) from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        told = encoding or ("UTF-16" if marked else "UTF-8")
        cure = "another encoding=" if encoding or marked else "encoding='cp1252'"
        raise notes.wrong(
            f"{name!r} must be {told}: line {line} is not. Use {cure}, or save the "
            "file as UTF-8."
        ) from None
    if "\0" in text:
        raise notes.wrong(
            f"{name!r} must be text: it holds bytes of 0. Save the table as CSV, in "
            "UTF-8."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def find_separator(text: str) -> str:
    """The separator that the first line has most of; a comma where it has none."""
    first = QUOTED.sub("", text.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=lambda sign: (first.count(sign), sign == ","))


def find_decimal(notes: Notes, name: str, text: str, separator: str) -> str:
    """The decimal sign, "." or ",": a comma only where it does not separate.

    Raises:
        ValueError: If the file has numbers of both kinds.
    """
    if separator == ",":
        return "."
    edge = re.escape(separator)
    found = {
        sign: re.search(
            rf'(?:^|{edge})[ "]*(-?\d*{re.escape(sign)}\d+)[ "]*(?={edge}|\r?$)',
            text,
            re.MULTILINE,
        )
        for sign in ".,"
    }
    if (point := found["."]) and (comma := found[","]):
        raise notes.wrong(
            f"{name!r} must write all numbers one way: it has {point[1]!r} and "
            f"{comma[1]!r}. Write a point, or a comma, in all."
        )
    return "," if found[","] else "."


def check_shape(notes: Notes, name: str, text: str, separator: str) -> list[str]:
    """The names of the columns, where all lines have as many fields.

    Raises:
        ValueError: If names are doubled, are numbers, or stand alone; or a line has
            more or fewer fields.
    """
    lines = _counted(text, separator)
    reader = csv.reader(io.StringIO(text.lstrip("\r\n")), delimiter=separator)
    header = [field.strip() for field in next(reader)]
    _ = next(lines)
    _check_header(notes, name, header)
    some = False
    for number, fields in lines:
        some = True
        if fields != len(header):
            raise notes.wrong(
                f"{name!r} must have {counted(len(header), 'field')} in each line, as "
                f"its first has: line {number} has {fields}. Correct one of them."
            )
    if not some:
        raise notes.wrong(
            f"{name!r} must have rows: it has names of columns only, {listed(header)}. "
            "Give another."
        )
    return header


def _counted(text: str, separator: str) -> Iterator[tuple[int, int]]:
    """The number of each line that is not blank, and its fields."""
    if '"' in text:
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        for fields in reader:
            if fields:
                yield reader.line_num, len(fields)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip(" \r"):
            yield number, line.count(separator) + 1


def _check_header(notes: Notes, name: str, header: list[str]) -> None:
    named = [held for held in header if held]
    if doubled := sorted({held for held in named if named.count(held) > 1}):
        raise notes.wrong(
            f"{name!r} must name each column once: {listed(doubled)} stands in its "
            "first line several times. Rename all but one."
        )
    if named and all(map(_is_number, named)):
        raise notes.wrong(
            f"{name!r} must begin with the names of its columns: its first line is "
            f"{listed(named)}. Put a line of names on top."
        )


def _is_number(text: str) -> bool:
    try:
        _ = float(text.replace(",", "."))
    except ValueError:
        return False
    return True
