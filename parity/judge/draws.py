"""Random cases: sizes, flags and weights drawn from a seed and a number."""

from dataclasses import replace

import numpy as np

from parity.judge.cases import Case

# Draws in a row that share sizes, and so a compiled program.
DRAWS_PER_SHAPE = 6
# Shapes in a row among which the values of every option are dealt like cards, in the
# proportions of `_DEAL`, so that few draws are enough to meet them all.
SHAPES_PER_DEAL = 20
_DEAL = {
    "num_layers": [1, 2, 3, 4] * 5,
    "bidirectional": [False, True] * 10,
    "projected": [False, True] * 10,
    "bias": [False] * 5 + [True] * 15,
    "given_state": [False] * 8 + [True] * 12,
    "lengths": [False] * 10 + [True] * 10,
    "resets": [False] * 8 + [True] * 12,  # taken with one direction only
    "reset_state": [False] * 10 + [True] * 10,
    "dtype": ["float32"] * 8 + ["float64"] * 6 + ["bfloat16"] * 3 + ["float16"] * 3,
    "batch_axes": [0] * 4 + [1] * 10 + [2] * 6,
    "steps": ["long", "none", "one"] + ["some"] * 17,
}


def random_case(seed: int, index: int) -> Case:
    """Draw number `index` of `seed`; six in a row differ only in their values."""
    number = index // DRAWS_PER_SHAPE
    values = np.random.default_rng([seed, number, index])
    return replace(
        _random_shape(seed, number),
        name=f"random {seed}:{index}",
        scale=float(np.exp(values.uniform(np.log(0.1), np.log(4.0)))),
        seed=int(values.integers(2**31)),
    )


def _random_shape(seed: int, number: int) -> Case:
    """Sizes and flags: T 0-64 (one in twenty up to 1000), I and H 1-64, B 0-5."""
    deal = np.random.default_rng([seed, number // SHAPES_PER_DEAL])
    options = {
        name: list(deal.permutation(len(cards))) for name, cards in _DEAL.items()
    }
    position = number % SHAPES_PER_DEAL
    card = {name: _DEAL[name][order[position]] for name, order in options.items()}
    rng = np.random.default_rng([seed, number])
    long = card["steps"] == "long"
    largest = 16 if long else 64  # the oracle loops over steps in extended precision
    input_size, hidden_size = (_log_uniform(rng, 1, largest) for _ in range(2))
    if card["projected"]:
        hidden_size = max(2, hidden_size)
    steps = {"long": (65, 1000), "none": (0, 0), "one": (1, 1), "some": (2, 64)}
    low, high = steps[card["steps"]]
    return Case(
        name="",
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=card["num_layers"],
        bidirectional=card["bidirectional"],
        proj_size=int(rng.integers(1, hidden_size)) if card["projected"] else 0,
        bias=card["bias"],
        steps=int(rng.integers(low, high, endpoint=True)),
        batch=_random_batch(rng, card["batch_axes"], 2 if long else 5),
        given_state=card["given_state"],
        lengths=card["lengths"],
        resets=card["resets"] and not card["bidirectional"],
        reset_state=card["reset_state"],
        dtype=card["dtype"],
    )


def _log_uniform(rng: np.random.Generator, low: int, high: int) -> int:
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


def _random_batch(rng: np.random.Generator, axes: int, largest: int) -> tuple[int, ...]:
    """Batch axes of 0 to `largest` rows in all, or a little more with two axes."""
    if axes == 2:
        return (int(rng.integers(1, 3)), int(rng.integers(0, largest // 2 + 1)))
    return tuple(int(rng.integers(0, largest + 1)) for _ in range(axes))
