"""CSV files as people have them: separators, encodings, several files, broken ones."""

import hashlib
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lstm_jax.train import read_csv
from lstm_jax.train.table.files import reading
from tests.given.tables import refused

TEXT = "day,flow,who\n2024-01-01,1.5,ä\n2024-01-02,-2,b\n"


def write(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    raw = text if isinstance(text, bytes) else text.encode()
    _ = path.write_bytes(raw)
    return path


SAME = {
    "comma": TEXT,
    "crlf": TEXT.replace("\n", "\r\n"),
    "cr": TEXT.replace("\n", "\r"),
    "bars": TEXT.replace(",", "|"),
    "blank lines": "\n" + TEXT.replace("\n", "\n\n"),
    "no last newline": TEXT.rstrip("\n"),
    "spaces": TEXT.replace(",", ", "),
    "quotes": TEXT.replace("ä", '"ä"').replace("1.5", '"1.5"'),
    "semicolon": TEXT.replace(",", ";"),
    "decimal comma": TEXT.replace(",", ";").replace("1.5", "1,5"),
    "tab": TEXT.replace(",", "\t"),
    "tab, decimal comma": TEXT.replace(",", "\t").replace("1.5", "1,5"),
    "utf-8 with a mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16 big endian": b"\xfe\xff" + TEXT.encode("utf-16-be"),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_table_is_read_of(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, SAME[name])
    table = read_csv(path)
    assert list(table.frame.columns) == ["day", "flow", "who"]
    assert table.frame.flow.tolist() == [1.5, -2.0]
    assert table.frame.day.tolist() == ["2024-01-01", "2024-01-02"]
    assert table.frame.who.tolist() == ["ä", "b"]
    assert table.group is None
    assert table.sha256 == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_comma_within_quotes_does_not_separate(tmp_path: Path) -> None:
    frame = read_csv(write(tmp_path, '"a,x",b\n"1,5",2\n')).frame
    assert list(frame.columns) == ["a,x", "b"]
    assert frame["a,x"].tolist() == ["1,5"]


def test_a_blank_line_of_one_column_is_a_missing_value(tmp_path: Path) -> None:
    frame = read_csv(write(tmp_path, "flow\n1\n\n3\n")).frame
    np.testing.assert_array_equal(frame.flow, [1.0, np.nan, 3.0])


def test_a_column_without_a_name_is_left_out_and_said(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, ",flow\n0,5\n1,6\n"))
    assert list(table.frame.columns) == ["flow"]
    assert table.said == ("Columns left out, for they have no name: 1.",)


def test_the_column_of_groups_is_text(tmp_path: Path) -> None:
    path = write(tmp_path, "gauge,flow\n01,5\n1,6\n")
    assert read_csv(path, group="gauge").frame.gauge.tolist() == ["01", "1"]


def test_several_files_are_groups_named_by_their_stems(tmp_path: Path) -> None:
    paths = [write(tmp_path, "flow\n1\n2\n", "b.csv"), write(tmp_path, "flow\n3\n")]
    table = read_csv(paths)
    assert table.group == "group"
    assert table.frame.group.tolist() == ["b", "b", "a"]
    assert table.frame.flow.tolist() == [1, 2, 3]
    assert list(table.sha256) == [str(path) for path in paths]
    assert read_csv(paths, group="gauge").frame.gauge.tolist() == ["b", "b", "a"]


def test_several_files_may_have_a_column_of_groups(tmp_path: Path) -> None:
    texts = {"x.csv": "group,flow\n01,1\n02,2\n", "y.csv": "group,flow\n01,3\n"}
    paths = [write(tmp_path, text, name) for name, text in texts.items()]
    table = read_csv(paths, group="group")
    assert (table.group, table.frame.group.tolist()) == ("group", ["01", "02", "01"])
    table = read_csv(paths)
    assert (table.group, table.frame.file.tolist()) == ("file", ["x", "x", "y"])


def test_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = SimpleNamespace(stdin=SimpleNamespace(buffer=io.BytesIO(b"flow\n7\n")))
    monkeypatch.setattr(reading, "sys", given)
    table = read_csv("-")
    assert table.frame.flow.tolist() == [7]
    assert list(table.sha256) == ["-"]


BROKEN = {
    b"": "must hold a table: it is empty. Give another.",
    b" \n": "must hold a table: it is empty. Give another.",
    b"a,b\n": "must have rows: it has names of columns only, 'a', 'b'. Give another.",
    b"a,a,b\n1,2,3\n": "must name each column once: 'a' stands in its first line "
    "several times. Rename all but one.",
    b"# of 2020\na,b\n1,2\n": "must have 1 field in each line, as its first has: line "
    "2 has 2. Correct one of them.",
    b"\x1f\x8b\x08\x00": "must be text: it is a gzip file. Unpack it.",
    b"PK\x03\x04\x14": "must be text: it is a ZIP file or a workbook. Unpack it, or "
    "save the table as CSV.",
    b"1,2\n3,4\n": "must begin with the names of its columns: its first line is '1', "
    "'2'. Put a line of names on top.",
    b"a,b\n1,2\n\n3\n": "must have 2 fields in each line, as its first has: line 4 has "
    "1. Correct one of them.",
    b'a,b\n"1",2\n3,4,5\n': "must have 2 fields in each line, as its first has: line 3 "
    "has 3. Correct one of them.",
    b"a;b\n1,5;2\n3;4.5\n": "must write all numbers one way: it has '4.5' and '1,5'. "
    "Write a point, or a comma, in all.",
    "a\n1\nä\n".encode(
        "cp1252"
    ): "must be UTF-8: line 3 is not. Use encoding='cp1252', "
    "or save the file as UTF-8.",
    b"\xff\xfea": "must be UTF-16: line 1 is not. Use another encoding=, or save the "
    "file as UTF-8.",
    "a\n1\n".encode(
        "utf-16-le"
    ): "must be text: it holds bytes of 0. Save the table as CSV, in UTF-8.",
}


@pytest.mark.parametrize("raw", BROKEN)
def test_a_broken_file_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, raw)
    with refused(f"read_csv: {str(path)!r} {BROKEN[raw]}"):
        _ = read_csv(path)


def test_another_encoding_is_named_and_the_cure_works(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.encode("cp1252"))
    with pytest.raises(ValueError, match=r"Use encoding='cp1252'"):
        _ = read_csv(path)
    assert read_csv(path, encoding="cp1252").frame.who[0] == "ä"
    with refused(
        f"read_csv: {str(path)!r} must be ascii: line 2 is not. Use another encoding=, "
        "or save the file as UTF-8."
    ):
        _ = read_csv(path, encoding="ascii")
    with refused(
        "read_csv: encoding='klingon' must be one that Python knows, such as 'cp1252' "
        "or 'latin-1'. Use one of these, or leave it out for UTF-8."
    ):
        _ = read_csv(path, encoding="klingon")


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    a, b = write(tmp_path, "x,y\n1,2\n"), write(tmp_path, "x,z\n1,2\n", "b.csv")
    again = write(tmp_path / "sub", "x,y\n1,2\n")
    with refused(
        "read_csv: 'b' must have the columns of 'a': only one of them has 'y', 'z'. "
        "Give all files the same columns."
    ):
        _ = read_csv([a, b])
    with refused(
        f"read_csv: {str(a)!r} and {str(again)!r} must have different names: each file "
        "is a group, and both are 'a'. Rename one."
    ):
        _ = read_csv([a, again])
    with refused("read_csv: paths=[] must name a file: there is none. Give one."):
        _ = read_csv([])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    with refused(
        f"read_csv: {str(path)!r} must be a file that can be read: no such file or "
        "directory. Give another path.",
        FileNotFoundError,
    ):
        _ = read_csv(path)
    with refused(
        f"read_csv: {str(tmp_path)!r} must be a file that can be read: is a directory. "
        "Give another path.",
        IsADirectoryError,
    ):
        _ = read_csv(tmp_path)
