"""Dropout between the layers, seen through layers that show what they are given."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import lstm
from tests.given.inputs import (
    B,
    H,
    T,
    assert_equal,
    assert_near,
    make_inputs,
    make_params,
    make_spec,
)

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(0)


def glass_layer(layer: int, features: int) -> dict[str, np.ndarray]:
    """A layer whose output is `tanh(tanh(x))`: gates i and o open, f shut."""
    gates = np.zeros((4 * features, features))
    gates[2 * features : 3 * features] = np.eye(features)
    bias = np.repeat([1000.0, -1000.0, 0.0, 1000.0], features)
    return {
        f"weight_ih_l{layer}": gates,
        f"weight_hh_l{layer}": np.zeros((4 * features, features)),
        f"bias_ih_l{layer}": bias,
        f"bias_hh_l{layer}": np.zeros_like(bias),
    }


def through_glass(ys: Any) -> np.ndarray:
    """What a glass layer was given."""
    return np.arctanh(np.arctanh(np.asarray(ys)))


def glass_stack(num_layers: int, features: int = H) -> dict[str, np.ndarray]:
    stack = {}
    for layer in range(num_layers):
        stack |= glass_layer(layer, features)
    return stack


def masks(
    num_layers: int, rate: float, shape: tuple, **options: Any
) -> list[np.ndarray]:
    """The factor by which each layer's output was multiplied, but the last's."""
    xs = np.random.default_rng(0).uniform(0.5, 1, shape)
    params = glass_stack(num_layers, shape[-1])
    found = []
    given = xs
    for last in range(1, num_layers):
        keys = [name for name in params if int(name[-1]) <= last]
        stack = {name: params[name] for name in keys}
        ys, _ = lstm(stack, xs, dropout=rate, dropout_key=KEY)
        seen = through_glass(ys)
        output = np.tanh(np.tanh(given))
        with np.errstate(invalid="ignore"):
            found.append(np.where(output == 0, np.nan, seen / output))
        given = output * found[-1]
    return found


def test_a_glass_layer_shows_what_it_is_given() -> None:
    xs = np.random.default_rng(0).uniform(-1, 1, (T, B, H))
    assert_near(through_glass(lstm(glass_stack(1), xs)[0]), xs)


@pytest.mark.parametrize("rate", [0.5, 0.25])
def test_an_element_is_zeroed_or_scaled_up(rate: float) -> None:
    (mask,) = masks(2, rate, (40, 20, 8))
    kept = mask != 0
    assert_near(mask[kept], np.full(kept.sum(), 1 / (1 - rate)))
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    assert abs(np.mean(kept) - (1 - rate)) < 5 * deviation


def test_each_element_and_each_layer_has_a_draw_of_its_own() -> None:
    first, second = (mask != 0 for mask in masks(3, 0.5, (40, 20, 8)))
    for axis in range(3):
        same = np.mean(first == np.roll(first, 1, axis))
        assert abs(same - 0.5) < 5 * 0.5 / np.sqrt(first.size)
    seen = first  # what the second mask multiplies is zero elsewhere
    same = np.mean(second[seen])
    assert abs(same - 0.5) < 5 * 0.5 / np.sqrt(seen.sum())


def test_both_directions_are_dropped_from() -> None:
    params, xs, _ = make_inputs(make_spec(bidirectional=True), steps=40)
    glass = glass_layer(1, H)
    gates = glass.pop("weight_ih_l1")
    stack = params | glass | {f"{name}_reverse": a for name, a in glass.items()}
    stack["weight_ih_l1"] = np.concatenate([gates, 0 * gates], axis=1)
    stack["weight_ih_l1_reverse"] = np.concatenate([0 * gates, gates], axis=1)
    shown, _ = lstm(stack, xs, dropout=0.5, dropout_key=KEY)
    seen, given = through_glass(shown), np.asarray(lstm(params, xs)[0])
    kept = seen != 0
    assert_near(seen[kept], 2 * given[kept])
    for half in np.split(kept, 2, axis=-1):
        assert abs(np.mean(half) - 0.5) < 5 * 0.5 / np.sqrt(half.size)


def test_a_rate_of_one_gives_the_next_layer_zeros() -> None:
    spec = make_spec(num_layers=2, input_size=H)
    params, xs, state = make_inputs(spec)
    ys, after = lstm(params, xs, state, dropout=1.0, dropout_key=KEY)
    second = {
        name.replace("_l1", "_l0"): array
        for name, array in params.items()
        if "_l1" in name
    }
    own = type(state)(*(a[1:] for a in state))
    expected, expected_after = lstm(second, np.zeros_like(xs), own)
    assert_near(ys, expected)
    assert_near(after.c[1:], expected_after.c)


def test_the_last_layer_is_left_as_it_is() -> None:
    params, xs, state = make_inputs()
    expected = lstm(params, xs, state)
    assert_equal(lstm(params, xs, state, dropout=0.9), expected)
    assert_equal(lstm(params, xs, state, dropout=0.9, dropout_key=KEY), expected)
    params, xs, state = make_inputs(make_spec(num_layers=2))
    ys, after = lstm(params, xs, state, dropout=0.9, dropout_key=KEY)
    assert np.all(np.asarray(ys) != 0)
    assert_equal(after.h[1], ys[-1])


def test_the_states_are_not_dropped_from() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2))
    _, after = lstm(params, xs, state, dropout=0.9, dropout_key=KEY)
    _, expected = lstm(params, xs, state)
    assert_near(after.h[0], expected.h[0])
    assert_near(after.c[0], expected.c[0])


def test_the_same_key_gives_the_same_result_and_another_key_another() -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2))

    def run(key: Any) -> Any:
        return lstm(params, xs, dropout=0.5, dropout_key=key)

    assert_equal(run(KEY), run(KEY))
    assert_near(jax.jit(run)(KEY), run(KEY))
    assert_equal(run(jax.random.PRNGKey(0)), run(KEY))
    assert np.any(np.asarray(run(KEY)[0] != run(jax.random.key(1))[0]))


def test_no_rate_needs_no_key_and_ignores_one() -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2))
    assert_equal(lstm(params, xs, dropout=0.0, dropout_key=KEY), lstm(params, xs))


def test_what_is_dropped_has_no_gradient() -> None:
    params = glass_stack(2)
    xs = np.random.default_rng(0).uniform(0.5, 1, (T, B, H))

    def total(xs: Any) -> Any:
        return jnp.sum(lstm(params, xs, dropout=0.5, dropout_key=KEY)[0])

    (mask,) = masks(2, 0.5, (T, B, H))
    gradient = np.asarray(jax.grad(total)(xs))
    np.testing.assert_array_equal(gradient != 0, mask != 0)


def test_dropout_works_with_lengths_and_resets() -> None:
    params, xs = make_params(make_spec(num_layers=2)), make_inputs().xs
    lengths = np.array([7, 0, 3])
    past = np.arange(T)[:, None] >= lengths

    def run(xs: Any, **options: Any) -> Any:
        options |= {"dropout": 0.5, "dropout_key": KEY}
        return lstm(params, xs, lengths=lengths, **options)

    ys, _ = run(xs)
    assert np.all(np.asarray(ys)[past] == 0)
    assert np.all(np.asarray(ys)[~past] != 0)
    assert_equal(run(np.where(past[..., None], np.nan, xs)), run(xs))
    resets = np.ones((T, B), bool)
    alone = np.asarray(run(xs, resets=resets)[0])
    np.testing.assert_array_equal(alone[0], ys[0])
    assert np.all(alone[1:][~past[1:]] != np.asarray(ys)[1:][~past[1:]])


def test_variational_dropout_zeroes_the_same_elements_at_every_step() -> None:
    """Rate one half: what is kept is doubled, at all steps of a row or at none."""
    xs = np.random.default_rng(0).uniform(0.5, 1, (40, 20, 8))
    options: Any = {"dropout": 0.5, "dropout_key": KEY, "variational": True}
    ys, _ = lstm(glass_stack(2, 8), xs, **options)
    factors = through_glass(ys) / np.tanh(np.tanh(xs))
    assert_near(factors, np.broadcast_to(factors[:1], factors.shape))
    kept = factors[0] != 0
    assert_near(factors[0][kept], np.full(kept.sum(), 2.0))
    assert abs(np.mean(kept) - 0.5) < 5 * 0.5 / np.sqrt(kept.size)
    ys, _ = lstm(glass_stack(2, 8), np.moveaxis(xs, 0, 1), batch_first=True, **options)
    assert_near(through_glass(jnp.moveaxis(ys, 1, 0)) / np.tanh(np.tanh(xs)), factors)
