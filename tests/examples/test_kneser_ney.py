"""The Kneser-Ney model against sums made by hand."""

import numpy as np
import pytest

from examples import kneser_ney

A, B, BEGIN = 0, 1, 2


def test_a_corpus_of_three_tokens_by_hand() -> None:
    model = kneser_ney.fit([np.array([A, B, A])], 2, 2, discounts=(0.5, 0.5, 0.5))
    # Of single tokens: a was seen after the begin and after b, b after a.
    a = (2 - 0.5) / 3 + 2 * 0.5 / 3 / 2
    b = (1 - 0.5) / 3 + 2 * 0.5 / 3 / 2
    expected = {BEGIN: [0.5 + 0.5 * a, 0.5 * b], A: [0.5 * a, 0.5 + 0.5 * b]}
    expected[B] = expected[BEGIN]
    for context, p in expected.items():
        np.testing.assert_allclose(model.following(np.array([[context]])), [p])
    found = model.probabilities(np.array([A, B, A]))
    np.testing.assert_allclose(found, [5 / 6, 2 / 3, 5 / 6])
    np.testing.assert_allclose(model.bits(np.array([A, B])), -np.log2(found[:2]))


def test_a_context_that_was_never_seen_leaves_the_shorter_one() -> None:
    model = kneser_ney.fit([np.array([A, B, A])], 3, 3)
    unseen, shorter = np.array([[2, A]]), np.array([[BEGIN + 1, A]])
    assert not np.allclose(model.following(unseen), model.following(shorter))
    two = kneser_ney.KneserNey(2, 3, model.levels[:2])
    np.testing.assert_allclose(model.following(unseen), two.following(unseen[:, 1:]))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one(order: int) -> None:
    rng = np.random.default_rng(0)
    tokens = [rng.integers(0, 7, size) for size in (300, 40, 1)]
    model = kneser_ney.fit(tokens, order, 8)  # 7 was never seen
    contexts = rng.integers(0, 9, (50, order - 1))
    p = model.following(contexts)
    np.testing.assert_allclose(p.sum(1), 1)
    assert p.min() > 0


def test_a_sequence_has_the_probabilities_of_its_contexts() -> None:
    rng = np.random.default_rng(1)
    text = rng.integers(0, 3, 60)
    model = kneser_ney.fit([text], 3, 3)
    begin = np.full(2, 3)
    contexts = np.stack([np.append(begin, text)[t : t + 2] for t in range(60)])
    expected = model.following(contexts)[np.arange(60), text]
    np.testing.assert_allclose(model.probabilities(text), expected)


def test_sampling_goes_from_context_to_context() -> None:
    model = kneser_ney.fit([np.array([A, B, A, A])], 3, 2)
    p, state = model.step(np.array([0]), None)
    np.testing.assert_array_equal(state, [[BEGIN, BEGIN]])
    np.testing.assert_array_equal(p, model.following(np.array([[BEGIN, BEGIN]])))
    _, state = model.step(np.array([A]), state)
    _, state = model.step(np.array([B]), state)
    np.testing.assert_array_equal(state, [[A, B]])


def test_discounts_are_those_of_chen_and_goodman() -> None:
    counts = np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])
    np.testing.assert_allclose(kneser_ney.estimated(counts), [0.5, 1.25, 1.0])
    np.testing.assert_array_equal(kneser_ney.estimated(np.array([3, 4])), [0.5] * 3)


def test_a_discount_is_within_its_count() -> None:
    found = kneser_ney.estimated(np.array([1, 2, *[3] * 9, *[4] * 90]))
    assert (found > 0).all()
    assert (found <= [1, 2, 3]).all()


def test_the_longest_known_n_gram_of_each_token() -> None:
    model = kneser_ney.fit([np.array([A, B, A])], 2, 3)
    assert model.seen(np.array([A, B, A])).tolist() == [2, 2, 2]
    assert model.seen(np.array([B, B, 2])).tolist() == [1, 1, 0]


def test_an_n_gram_is_one_number() -> None:
    with pytest.raises(ValueError, match="order=6 must be less with size=5000"):
        _ = kneser_ney.fit([np.array([A])], 6, 5000)
