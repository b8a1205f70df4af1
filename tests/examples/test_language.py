"""What the examples of tokens share."""

from typing import Any

import jax
import numpy as np
from flax import nnx

from examples import language
from lstm_jax.model import LSTMModel


def model() -> LSTMModel:
    options: Any = {"num_embeddings": 5, "outputs": "all", "rngs": nnx.Rngs(0)}
    return LSTMModel(3, 4, 5, **options)


def test_bits_are_those_of_the_logits_whatever_the_chunk() -> None:
    made, tokens = model(), np.random.default_rng(0).integers(0, 5, (2, 8))
    xs, ys = tokens[:, :-1], tokens[:, 1:]
    p = np.asarray(jax.nn.softmax(made(xs)))
    expected = -np.log2(np.take_along_axis(p, ys[..., None], -1)[..., 0])
    for chunk in (2, 7, 100):
        found = language.bits(made, xs, ys, chunk)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_long_sequence_is_read_in_pieces() -> None:
    made, tokens = model(), np.random.default_rng(0).integers(0, 5, 7)
    found = language.bits_of(made, tokens, piece=4)
    first = language.bits(made, np.roll(tokens, 1)[None, :4], tokens[None, :4])
    second = language.bits(made, tokens[None, 3:6], tokens[None, 4:])
    np.testing.assert_allclose(found, np.append(first, second), rtol=1e-6)


def test_a_mixture_is_one_of_probabilities() -> None:
    one, other = np.array([1.0, 3.0]), np.array([2.0, 1.0])
    expected = -np.log2(0.25 * 2**-one + 0.75 * 2**-other)
    np.testing.assert_allclose(language.mixed(0.25, one, other), expected)
    assert language.best_weight(one, one + 1) == 1
    assert language.best_weight(other + 1, other) == 0
    assert 0 < language.best_weight(one, other) < 1


def test_a_step_goes_on_where_the_sequence_stands() -> None:
    made, tokens = model(), np.array([[1, 2, 3]])
    step, state, p = language.stepping(made), None, np.zeros(0)
    for token in tokens[0]:
        p, state = step(np.array([token]), state)
    expected = jax.nn.softmax(made(tokens)[:, -1])
    np.testing.assert_allclose(p, expected, rtol=1e-5)


def test_sampling_ends_where_every_row_has_ended() -> None:
    def step(tokens: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        return np.eye(4)[np.minimum(tokens + 1, 3)], state

    rng = np.random.default_rng(0)
    drawn = language.sample(step, [0, 1], 9, rng, lambda p: p, end=3)
    assert drawn.tolist() == [[1, 2, 3], [2, 3, 3]]
    assert language.sample(step, [0], 2, rng, lambda p: p).tolist() == [[1, 2]]


def test_draws_are_as_frequent_as_probable() -> None:
    p = np.tile([0.2, 0.0, 0.8], (4000, 1))
    drawn = language.draw(p, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    np.testing.assert_allclose(shares, p[0], atol=0.03)
    assert shares[1] == 0


def test_a_low_temperature_prefers_the_likeliest() -> None:
    p = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(language.tempered(p, 1), p)
    squares = p**2 / (p**2).sum()
    np.testing.assert_allclose(language.tempered(p, 0.5), squares)
    assert language.tempered(np.array([[0.0, 1.0]]), 0.5)[0, 0] == 0


def test_a_nucleus_is_the_fewest_tokens_with_the_share() -> None:
    p = np.array([[0.1, 0.6, 0.3], [0.95, 0.03, 0.02]])
    expected = [[0, 2 / 3, 1 / 3], [1, 0, 0]]
    np.testing.assert_allclose(language.nucleus(p, 0.8), expected)
    np.testing.assert_allclose(language.nucleus(p, 1.0), p)
