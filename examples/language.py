"""What the examples of tokens share: bits of a sequence, sampling, and a mixture."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from lstm_jax.train import cross_entropy

_nats = jax.jit(cross_entropy)
Step = Callable[[np.ndarray, Any], tuple[np.ndarray, Any]]


def bits(model: Any, xs: np.ndarray, ys: np.ndarray, chunk: int = 64) -> np.ndarray:
    """Minus the binary logarithm of the probability of each token.

    Args:
        model: An `LSTMModel` with `outputs="all"` that predicts the next token.
        xs: Tokens before, `(B, T)`; each row begins with the state of zeros.
        ys: Tokens to predict, `(B, T)`.
        chunk: Steps at a time; the state is carried along.

    Returns:
        Bits, `(B, T)`.
    """
    state, found = model.initial_state((len(xs),)), []
    for start in range(0, xs.shape[1], chunk):
        some = slice(start, start + chunk)
        logits, state = model.with_state(xs[:, some], state)
        found.append(np.asarray(_nats(logits, ys[:, some])))
    return np.concatenate(found, axis=1) / np.log(2)


def bits_of(model: Any, sequence: np.ndarray, piece: int) -> np.ndarray:
    """Bits of the tokens of a long sequence that is read in pieces side by side.

    Args:
        model: As in `bits`.
        sequence: Tokens, `(T,)`. The last also comes before the first.
        piece: Tokens of a piece. Each piece begins with the state of zeros.

    Returns:
        Bits, `(T,)`.
    """
    shape = -(-len(sequence) // piece), piece
    xs, ys = (np.resize(tokens, shape) for tokens in (np.roll(sequence, 1), sequence))
    return bits(model, xs, ys).ravel()[: len(sequence)]


def mixed(weight: float, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bits of the mixture `weight * p + (1 - weight) * q`, from the bits of p and q."""
    return -np.log2(weight * 2.0**-one + (1 - weight) * 2.0**-other)


def best_weight(one: np.ndarray, other: np.ndarray) -> float:
    """The weight of `one` in the mixture with the fewest bits, to 0.05."""
    weights = np.linspace(0, 1, 21)
    return float(min(weights, key=lambda weight: mixed(weight, one, other).mean()))


def stepping(model: Any) -> Step:
    """The step of an LSTM for `sample`."""

    def step(tokens: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        state = model.initial_state(tokens.shape) if state is None else state
        logits, state = model.step(tokens, state)
        return np.asarray(jax.nn.softmax(logits), np.float64), state

    return step


def sample(
    step: Step,
    first: Sequence[int],
    steps: int,
    rng: np.random.Generator,
    pick: Callable[[np.ndarray], np.ndarray],
    end: int | None = None,
) -> np.ndarray:
    """Let a model go on, a token at a time.

    Args:
        step: From tokens `(B,)` and the state before, None at the begin, to
            probabilities `(B, V)` and the state after.
        first: The token that each row begins with, `(B,)`.
        steps: Tokens to draw, at most.
        rng: Of the draws.
        pick: Probabilities `(B, V)` to those that are drawn from, such as `nucleus`.
        end: The token that ends a row: where each has one, no more are drawn.

    Returns:
        Tokens, `(B, steps)` or fewer, without the first.
    """
    state, tokens, drawn = None, np.array(first), []
    ended = np.zeros(len(tokens), bool)
    while len(drawn) < steps and not ended.all():
        p, state = step(tokens, state)
        tokens = draw(pick(p), rng)
        drawn.append(tokens)
        ended |= tokens == end
    return np.stack(drawn, axis=1)


def draw(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A token for each row of probabilities, `(B, V)`."""
    heights = np.cumsum(p, axis=-1)
    return (rng.random((len(p), 1)) * heights[:, -1:] >= heights).sum(-1)


def tempered(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities as of the logits over the temperature, `(B, V)`: 1 changes none."""
    logits = np.log(np.maximum(p, 1e-300)) / temperature
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def nucleus(p: np.ndarray, share: float) -> np.ndarray:
    """Only the likeliest tokens, as few as have `share` of the probability, `(B, V)`.

    References:
        Holtzman et al., arXiv:1904.09751, 2019.
    """
    p = p / p.sum(-1, keepdims=True)
    order = np.argsort(-p, axis=-1, kind="stable")
    sorted_p = np.take_along_axis(p, order, -1)
    before = np.cumsum(sorted_p, -1) - sorted_p
    kept = np.where(before < share, sorted_p, 0)
    out = np.zeros_like(p)
    np.put_along_axis(out, order, kept, -1)
    return out / out.sum(-1, keepdims=True)
