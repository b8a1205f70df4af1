"""Where the LSTM is better than counting, and where it is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples.next_word.data import Parts
from lstm_jax.train.pictures.style import BLACK, BLUE, ORANGE, drawn, legend

LONGEST = 10  # letters; what comes later in a word counts as there


@dataclass(frozen=True)
class Sizes:
    """Of a model and its training.

    Attributes:
        embedding: Features of a token.
        hidden: Features of the LSTM's cell.
        projection: Features of its output; 0 means those of its cell.
        steps: Of training.
        drawn: Tokens of the sample.
    """

    embedding: int
    hidden: int
    projection: int
    steps: int
    drawn: int


@dataclass(frozen=True)
class Measured:
    """What one level, words or characters, gave on the test works.

    Attributes:
        model: Bits of each token by the LSTM, `(T,)`.
        counted: Bits by the Kneser-Ney models, each `(T,)`, the best last.
        mixture: Bits by the mixture of both.
        seen: Length of the longest n-gram of training that ends at each token.
        parts: The works as tokens.
        weight: Of the LSTM in the mixture.
        losses: On the first batch, before training and after, in nats a token.
        sample: A text that the LSTM made.
    """

    model: np.ndarray
    counted: list[np.ndarray]
    mixture: np.ndarray
    seen: np.ndarray
    parts: Parts
    weight: float
    losses: tuple[float, float]
    sample: str


def draw(words: Measured, characters: Measured, path: Path) -> None:
    """Bits of words by what was seen of them, of characters by their place."""
    with drawn(path, 7.5, 3.2) as figure:
        left, right = figure.subplots(1, 2)
        orders = np.arange(1, words.seen.max() + 1)
        shares = [(words.seen == order).mean() for order in orders]
        _lines(left, words, orders, words.seen)
        names = [
            f"{order}\n{share:.0%}" for order, share in zip(orders, shares, strict=True)
        ]
        _ = left.set_xticks(orders, names)
        _ = left.set_xlabel("words of the longest known n-gram,\nshare of the words")
        _ = left.set_ylabel("bits a word")
        legend(left)
        places = places_in_words(characters.parts)
        _lines(right, characters, np.arange(LONGEST + 1), places)
        names = ["no\nletter", *map(str, range(1, LONGEST)), f"{LONGEST}+"]
        _ = right.set_xticks(np.arange(LONGEST + 1), names)
        _ = right.set_xlabel("place of the letter in its word")
        _ = right.set_ylabel("bits a character")


def places_in_words(parts: Parts) -> np.ndarray:
    """1 for the first letter of a word, at most `LONGEST`; 0 for other characters."""
    letters = np.array(
        [token.isalpha() and len(token) == 1 for token in parts.vocabulary]
    )
    places = []
    for work in parts.test:
        at = np.arange(1, len(work) + 1)
        last_other = np.maximum.accumulate(np.where(letters[work], 0, at))
        places.append(np.minimum(at - last_other, LONGEST))
    return np.concatenate(places)


def _lines(axes: Any, measured: Measured, groups: np.ndarray, of: np.ndarray) -> None:
    lines = {
        "Kneser-Ney": (measured.counted[-1], ORANGE),
        "LSTM": (measured.model, BLUE),
        "mixture": (measured.mixture, BLACK),
    }
    for label, (bits, color) in lines.items():
        means = [bits[of == group].mean() for group in groups]
        _ = axes.plot(groups, means, "o-", color=color, label=label, markersize=4)
    _ = axes.set_ylim(0)
