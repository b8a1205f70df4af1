"""A Kneser-Ney model: the next token from the few before it, by counting.

It is the strongest of the models that count, and the baseline of `next_word` and
`melody`. This is the interpolated one with three discounts of each order, which Chen
and Goodman call modified.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Level:
    """What is known of the n-grams of one length.

    An n-gram is one number: its tokens are the digits, the last token the last digit.

    Attributes:
        grams: Those of the training, sorted.
        shares: Of each: its discounted count over the count of its context.
        contexts: The n-grams without their last token, sorted.
        rests: Of each context: what the discounts left for the shorter n-grams.
    """

    grams: np.ndarray
    shares: np.ndarray
    contexts: np.ndarray
    rests: np.ndarray


@dataclass(frozen=True)
class KneserNey:
    r"""The next token from the `order - 1` before it.

    With the count $c$ of an n-gram, its context $u$, and $u'$, the context without its
    first token,

    $$
    p(w | u) = \frac{c(uw) - D_{c(uw)}}{\sum_v c(uv)} + \gamma(u) \, p(w | u')
    $$

    where $\gamma(u)$ is such that the probabilities sum to 1. Of shorter n-grams not
    the occurrences are counted but the tokens seen before them. The shortest context
    is followed by each of the `size` tokens alike.

    Attributes:
        order: Length of the longest n-grams.
        size: How many tokens there are: 0 to `size` - 1.
        levels: What is known of the n-grams of length 1, 2, ... `order`.

    References:
        Chen and Goodman, *An Empirical Study of Smoothing Techniques for Language
        Modeling*, 1998, section 3.
    """

    order: int
    size: int
    levels: tuple[Level, ...]

    def probabilities(self, sequence: np.ndarray) -> np.ndarray:
        """Of each token of a sequence `(T,)`, given those before it; `(T,)`."""
        return self._of(_windows(sequence, self.order, self.size))

    def bits(self, sequence: np.ndarray) -> np.ndarray:
        """Minus the binary logarithms of the probabilities, `(T,)`."""
        return -np.log2(self.probabilities(sequence))

    def following(self, contexts: np.ndarray) -> np.ndarray:
        """Of each token after each context, `(B, order - 1)` to `(B, size)`.

        The number `size` in a context stands for what is before the begin.
        """
        return np.stack([self._after(context) for context in contexts])

    def step(self, tokens: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """A step for `language.sample`. The first tokens stand for the begin."""
        if state is None:
            state = np.full((len(tokens), self.order - 1), self.size)
        else:
            state = np.column_stack([state[:, 1:], tokens])
        return self.following(state), state

    def seen(self, sequence: np.ndarray) -> np.ndarray:
        """The length of the longest known n-gram that ends at each token, `(T,)`."""
        windows = _windows(sequence, self.order, self.size)
        longest = np.zeros(len(windows), int)
        for length, level in enumerate(self.levels, start=1):
            found = _found(level.grams, _numbers(windows, length, self.size))
            longest[found >= 0] = length
        return longest

    def _after(self, context: np.ndarray) -> np.ndarray:
        p = np.full(self.size, 1 / self.size)
        for length, level in enumerate(self.levels, start=1):
            number = _numbers(context[None].astype(np.int64), length - 1, self.size)[0]
            ends = number * (self.size + 1) + np.array([0, self.size + 1])
            first, last = np.searchsorted(level.grams, ends)
            if first < last:
                p *= level.rests[np.searchsorted(level.contexts, number)]
                seen = level.grams[first:last] % (self.size + 1)
                p[seen] += level.shares[first:last]
        return p

    def _of(self, windows: np.ndarray) -> np.ndarray:
        p = np.full(len(windows), 1 / self.size)
        for length, level in enumerate(self.levels, start=1):
            grams = _numbers(windows, length, self.size)
            place = _found(level.grams, grams)
            share = np.where(place >= 0, level.shares[place], 0)
            place = _found(level.contexts, grams // (self.size + 1))
            p = share + np.where(place >= 0, level.rests[place], 1) * p
        return p


def fit(
    sequences: Sequence[np.ndarray],
    order: int,
    size: int,
    discounts: Sequence[float] | None = None,
) -> KneserNey:
    """Count the n-grams of some sequences.

    Args:
        sequences: Tokens, 0 to `size` - 1, each an array `(T_i,)`.
        order: Length of the longest n-grams.
        size: How many tokens there are.
        discounts: Of n-grams with a count of 1, of 2 and of 3 or more; None means an
            estimate for each length.

    Raises:
        ValueError: If an n-gram is no 64-bit number.
    """
    if (size + 1) ** order >= 2**63:
        raise ValueError(
            f"fit: {order=} must be less with {size=}: an n-gram is one 64-bit number. "
            "Use a lower order, or fewer tokens."
        )
    windows = [_windows(sequence, order, size) for sequence in sequences]
    numbers = np.concatenate([_numbers(window, order, size) for window in windows])
    grams, counts = np.unique(numbers, return_counts=True)
    levels = [_level(grams, counts, size, discounts)]
    for length in range(order - 1, 0, -1):
        grams, counts = np.unique(grams % (size + 1) ** length, return_counts=True)
        levels.insert(0, _level(grams, counts, size, discounts))
    return KneserNey(order, size, tuple(levels))


def estimated(counts: np.ndarray) -> np.ndarray:
    """Discounts of counts of 1, of 2 and of 3 or more, from how frequent they are.

    Each is between 0.001 and the count, so that something is left for what was never
    seen. Where no count is 1 or none is 2 there is nothing to estimate from, and each
    is a half.
    """
    n = np.bincount(counts, minlength=5)[1:5].astype(float)
    if n[0] == 0 or n[1] == 0:
        return np.full(3, 0.5)
    y = n[0] / (n[0] + 2 * n[1])
    steps = np.arange(1, 4)
    later = np.divide(n[1:], n[:3], out=np.zeros(3), where=n[:3] > 0)
    return np.clip(steps - (steps + 1) * y * later, 1e-3, steps)


def _level(
    grams: np.ndarray,
    counts: np.ndarray,
    size: int,
    discounts: Sequence[float] | None,
) -> Level:
    found = estimated(counts) if discounts is None else np.asarray(discounts)
    cuts = found[np.minimum(counts, 3) - 1]
    contexts, of = np.unique(grams // (size + 1), return_inverse=True)
    totals = np.bincount(of, counts)
    rests = np.bincount(of, cuts) / totals
    return Level(grams, (counts - cuts) / totals[of], contexts, rests)


def _windows(sequence: np.ndarray, order: int, size: int) -> np.ndarray:
    """Each token with the `order - 1` before it, `(T, order)`.

    The number `size` stands for what is before the begin.
    """
    before = np.full(order - 1, size)
    padded = np.concatenate([before, sequence.astype(np.int64)])
    return np.lib.stride_tricks.sliding_window_view(padded, order)


def _numbers(windows: np.ndarray, length: int, size: int) -> np.ndarray:
    """The last `length` tokens of each window as one number, `(T,)`."""
    places = (size + 1) ** np.arange(length - 1, -1, -1, dtype=np.int64)
    return windows[:, windows.shape[1] - length :] @ places


def _found(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Where each number stands in a sorted table; -1 where it does not."""
    place = np.minimum(np.searchsorted(table, numbers), len(table) - 1)
    return np.where(table[place] == numbers, place, -1)
