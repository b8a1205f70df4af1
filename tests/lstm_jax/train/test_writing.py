"""Files that appear whole, or not at all."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from lstm_jax.train.pictures import curve
from lstm_jax.train.saved.writing import write_whole

HISTORY = pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})


@contextmanager
def full_disk(size: int = 1000) -> Iterator[None]:
    """Files end after so many bytes, as on a full disk: RLIMIT_FSIZE."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_there_stays_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_whole(path, "old")
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write_whole(path, "new" * 1000)
    assert caught.value.filename == str(path)
    assert [held.name for held in tmp_path.iterdir()] == ["p.csv"]
    assert path.read_text() == "old"


def test_a_picture_stays_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    curve(HISTORY, {}, path)
    before = path.read_bytes()
    with full_disk(), pytest.raises(OSError, match="File too large"):
        curve(HISTORY.head(1), {}, path)
    assert path.read_bytes() == before
    assert [held.name for held in tmp_path.iterdir()] == ["curve.png"]


def test_a_folder_that_is_not_there_is_named_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "p.csv"
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(path, "new")
    assert caught.value.filename == str(path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "p.csv", tmp_path / "link.csv"
    _ = path.write_text("old")
    link.symlink_to(path)
    write_whole(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_a_device_is_written_to() -> None:
    write_whole("/dev/null", "new")
    assert Path("/dev/null").is_char_device()
