"""The fiddle tunes of Ryan's Mammoth Collection, and what makes a tune whole."""

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from examples.melody import abc_notation as abc
from examples.packages import file_of

SHORTEST = 8  # bars of a tune that counts
BAR_LINES = {"|", "|:", ":|", ":|:", "|1", "|2", ":|2"}
END, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Parts:
    """Tunes as tokens, in three parts, split by title.

    Attributes:
        train: Tunes that are trained on.
        valid: Tunes that choices are made on.
        test: Tunes that nothing else has seen.
        files: Files that there are; some are not read, and some are the same tune.
    """

    train: list[list[str]]
    valid: list[list[str]]
    test: list[list[str]]
    files: int

    def of(self, title: str) -> list[list[str]]:
        """The part that a title falls into, by its CRC-32."""
        place = zlib.crc32(title.encode()) % 10
        return {0: self.test, 1: self.valid}.get(place, self.train)


def parts() -> Parts:
    """The tunes of the package `music21`: 80 of 100 titles are trained on.

    The same tokens under two titles are one tune.

    Raises:
        SystemExit: If the package is not installed.
    """
    paths = sorted(file_of("music21", "corpus", "ryansMammoth").glob("*.abc"))
    made = Parts([], [], [], len(paths))
    known: set[tuple[str, ...]] = set()
    for path in paths:
        text = path.read_text(encoding="latin-1")
        try:
            tune = abc.read(text)
        except ValueError:
            continue
        if tuple(tune) not in known:
            known.add(tuple(tune))
            made.of(title_of(text)).append(tune)
    return made


def title_of(text: str) -> str:
    """The words of a title in small letters, without what kind of tune it is."""
    title = re.search(r"^T: *(?:T:)?(.*)", text, re.MULTILINE)
    words = re.split(r" -+ ", title[1].lower())[0] if title else ""
    return " ".join(re.findall(r"[a-z]+", words.removesuffix(", the")))


def vocabulary_of(train: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The end of a tune, the unknown, and what training has twice or more."""
    counted = Counter(token for tune in train for token in tune)
    return ("<end>", "<unk>", *sorted(t for t, count in counted.items() if count > 1))


def numbered(
    some: Sequence[Sequence[str]], vocabulary: Sequence[str]
) -> list[np.ndarray]:
    """Tunes as numbers, each with its end."""
    numbers = {token: number for number, token in enumerate(vocabulary)}
    texts = ([numbers.get(t, UNKNOWN) for t in tune] + [END] for tune in some)
    return [np.array(text, np.int32) for text in texts]


def tune_of(numbers: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
    """The tokens up to the end of a tune; none where it does not end."""
    ends = np.flatnonzero(numbers == END)
    return [vocabulary[int(n)] for n in numbers[: ends[0]]] if len(ends) else []


@dataclass(frozen=True)
class Bar:
    """The notes between two bar lines.

    Attributes:
        notes: Tokens.
        before: The bar line before; "" at the begin of the tune.
        after: The bar line after.
    """

    notes: tuple[str, ...]
    before: str
    after: str

    @property
    def length(self) -> Fraction:
        """In whole notes."""
        return sum((abc.heard(n)[1] for n in self.notes), Fraction(0)) * abc.SIXTEENTH


def bars(tune: Sequence[str]) -> list[Bar]:
    """The bars of a tune, without empty ones."""
    found: list[Bar] = []
    notes: list[str] = []
    before = ""
    for token in tune[2:]:
        if abc.is_note(token):
            notes.append(token)
            continue
        if notes:
            found.append(Bar(tuple(notes), before, token))
        notes, before = [], token
    return found


def playable(tune: Sequence[str]) -> bool:
    """Whether a tune is its metre and its mode, then notes and bar lines alone."""
    heads = [token[:2] for token in tune[:2]]
    others = {token for token in tune[2:] if not abc.is_note(token)}
    return heads == ["M:", "K:"] and others <= BAR_LINES and bool(bars(tune))


def adds_up(tune: Sequence[str]) -> bool:
    """Whether a tune is whole.

    It begins with its metre and its mode, has at least eight bars, ends with a bar
    line, and every bar is as long as its metre, but for these, which are shorter:

    - a pickup: the first bar of a part;
    - the last bar of a part, if a pickup of the tune fills it up;
    - two neighbours that are one bar with a line in it.

    A part begins and ends at a repeat, at an ending and at the ends of the tune.
    """
    if not playable(tune) or abc.is_note(tune[-1]):
        return False
    found = bars(tune)
    whole = abc.length_of_bar(tune[0].removeprefix("M:"))
    lengths = [bar.length for bar in found]
    pickups = {bar.length for bar in found if _begins_part(bar)}
    pairs = [one + other == whole for one, other in itertools.pairwise(lengths)]
    fits = (
        length == whole
        or (length < whole and _begins_part(bar))
        or (_ends_part(bar, found[-1]) and whole - length in pickups)
        or before
        or after
        for bar, length, before, after in zip(
            found, lengths, [False, *pairs], [*pairs, False], strict=True
        )
    )
    return len(found) >= SHORTEST and all(fits)


def played(tune: Sequence[str]) -> list[str]:
    """The notes in the order in which they are heard: repeats are played twice."""
    heard: list[str] = []
    part: list[str] = []
    first: list[str] = []  # what comes before the endings of the part
    ending = ""
    for bar in bars(tune):
        if bar.before.endswith(":"):
            part, first, ending = [], [], ""
        if bar.before.endswith(("1", "2")):
            ending = bar.before[-1]
            first = first or list(part)
        heard += bar.notes
        part += bar.notes
        if bar.after.startswith(":") and ending != "2":
            again = first if ending == "1" else part
            heard += again
        if bar.after.startswith(":") and not bar.after.endswith("2"):
            part, first, ending = [], [], ""
    return heard


def notes_of(tune: Sequence[str]) -> list[str]:
    """The notes of a tune, bar lines left out."""
    return [token for token in tune if abc.is_note(token)]


def text_of_notes(some: Sequence[Sequence[str]]) -> str:
    """The notes of some tunes in one text, for `copied`."""
    return "".join(f" {' '.join(notes_of(tune))} |" for tune in some)


def copied(tune: Sequence[str], training: str) -> int:
    """How many notes the longest run has that is also in a tune of training."""
    notes, longest = notes_of(tune), 0
    for start in range(len(notes)):
        while start + longest < len(notes):
            run = " ".join(notes[start : start + longest + 1])
            if f" {run} " not in training:
                break
            longest += 1
    return longest


def _begins_part(bar: Bar) -> bool:
    return bar.before == "" or bar.before[-1] in ":12" or bar.before.startswith(":")


def _ends_part(bar: Bar, last: Bar) -> bool:
    return bar is last or bar.after[-1] in ":12" or bar.after.startswith(":")
