"""The works of Shakespeare as tokens: characters, and words."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.packages import file_of

# Whole works, of each kind one: a tragedy, a comedy and a history.
VALID = ("macbeth", "twelfth_night", "richard_ii")
TEST = ("hamlet", "as_you_like_it", "henry_v")
UNKNOWN, END = "<unk>", "<end>"
# A word with its apostrophes ('tis, o'er, king's), the end of a line, or a sign.
WORD = re.compile(r"'?[a-z]+(?:'[a-z]+)*|\n|[^\sa-z]")


@dataclass(frozen=True)
class Parts:
    """One sequence of tokens for each work, in three parts.

    Attributes:
        vocabulary: The tokens' texts, of training alone; `<unk>` is the first.
        train: Works that are trained on, each an array `(T_i,)`.
        valid: Works that choices are made on.
        test: Works that nothing else has seen.
        join: A text from tokens.
    """

    vocabulary: tuple[str, ...]
    train: tuple[np.ndarray, ...]
    valid: tuple[np.ndarray, ...]
    test: tuple[np.ndarray, ...]
    join: Callable[[Sequence[str]], str]

    @property
    def end(self) -> int:
        """The token at the end of a work."""
        return self.vocabulary.index(END)

    def text(self, tokens: np.ndarray) -> str:
        """What some tokens say."""
        return self.join([self.vocabulary[token] for token in tokens])


def works() -> dict[str, str]:
    """The text of each work, under its name.

    Raises:
        SystemExit: If the package `shakespeare` is not installed.
    """
    paths = sorted(file_of("shksprdata", "texts").glob("*_gut.txt"))
    return {path.stem.removesuffix("_gut"): _body(path) for path in paths}


def words(text: str) -> list[str]:
    """The words, signs and line ends of a text, in small letters."""
    return WORD.findall(text.lower())


def parts(
    texts: dict[str, str],
    split: Callable[[str], list[str]],
    join: Callable[[Sequence[str]], str],
    size: int,
    held_out: int | None = None,
) -> Parts:
    """The works as numbers of the most frequent tokens of the training part.

    Args:
        texts: The works, under their names.
        split: A text's tokens: `words`, or `list` for its characters.
        join: The other way: `text_of`, or `"".join`.
        size: Numbers at most; the first is of all tokens that have none.
        held_out: Tokens of each work that is not trained on; None means all.
    """
    tokens = {name: [*split(text), END] for name, text in texts.items()}
    train = [name for name in texts if name not in VALID + TEST]
    counted = Counter(token for name in train for token in tokens[name])
    ranked = sorted(counted, key=lambda token: (-counted[token], token))
    vocabulary = (UNKNOWN, *ranked[: size - 1])
    numbers = {token: number for number, token in enumerate(vocabulary)}

    def numbered(names: Sequence[str], length: int | None) -> tuple[np.ndarray, ...]:
        texts = [[numbers.get(token, 0) for token in tokens[name]] for name in names]
        return tuple(np.array(text[:length], np.int32) for text in texts)

    held = [numbered(names, held_out) for names in (VALID, TEST)]
    return Parts(vocabulary, numbered(train, None), held[0], held[1], join)


def text_of(tokens: Sequence[str]) -> str:
    """Words and signs as a text: no space before a sign, none around a line end."""
    text = " ".join(tokens)
    text = re.sub(r" ([^\w\s<\[(']+)(?= |$)", r"\1", text)
    return re.sub(r" ?\n ?", "\n", text)


def _body(path: Path) -> str:
    """A work, without spaces at line ends and with one blank line at most."""
    text = path.read_text(encoding="latin-1").replace("\r\n", "\n")
    text = re.sub(r"[ \t]+\n", "\n", text.strip() + "\n")
    return re.sub(r"\n{3,}", "\n\n", text)
