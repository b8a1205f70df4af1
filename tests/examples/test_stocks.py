"""Stocks: no input knows its day, the state is carried, the measures by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from examples.stocks import baselines, data, scoring, train
from examples.stocks.measures import hit_rate, lag_correlations, r_squared, wilson


def tables(changed: int | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Three stocks of 3,300 days, B from its 100th on; A changed from a day on."""
    rng = np.random.default_rng(0)
    days = np.datetime64("2002-06-01") + np.arange(3300)
    made = {}
    for name, first in {"A": 0, "B": 100, "C": 0}.items():
        prices = np.exp(0.02 * rng.normal(size=3300).cumsum())
        high, volume = prices * 1.01, np.exp(rng.normal(size=3300))
        table = {"date": days, "adj_close": prices, "high": high, "low": prices}
        made[name] = {k: v[first:] for k, v in table.items()}
        made[name]["volume"] = volume[first:]
    if changed is not None:
        for column in ("adj_close", "high", "volume"):
            made["A"][column][changed:] *= 3
    return made


def test_the_package_holds_what_the_readme_says() -> None:
    stocks = data.read()
    assert [len(stock.days) for stock in stocks] == [3268, 2146, 3268, 3268]
    for stock in stocks:
        assert stock.xs.shape == (len(stock.days), len(data.INPUTS))
        assert stock.test.sum() == 543
        assert str(stock.days[-1]) == "2013-03-01"
        assert np.isfinite(stock.xs).all()
        held = stock.xs[stock.training], stock.ys[stock.training]
        for part in held:
            assert_allclose(part.mean(0), 0, atol=1e-5)
            assert_allclose(part.std(0), 1, atol=1e-5)


def test_each_day_is_in_one_part_and_the_parts_are_in_order() -> None:
    for stock in data.read(tables()):
        parts = np.stack([stock.training, stock.validation, stock.test])
        assert_array_equal(parts.sum(0), 1)
        assert np.all(np.diff(parts.argmax(0)) >= 0)
        assert parts.sum(1).min() > 0


def test_a_day_changes_no_input_of_its_own_prediction() -> None:
    given = tables()
    day = np.flatnonzero(given["A"]["date"] > data.TEST)[50]
    before, after = data.read(given), data.read(tables(changed=day))
    upto = before[0].days <= given["A"]["date"][day]
    assert_array_equal(before[0].xs[upto], after[0].xs[upto])
    assert_array_equal(before[2].xs[upto], after[2].xs[upto])
    assert not np.array_equal(before[0].ys[upto], after[0].ys[upto])
    assert not np.array_equal(before[0].xs, after[0].xs)
    assert not np.array_equal(before[2].xs, after[2].xs)
    assert (before[0].mean, before[0].std) == (after[0].mean, after[0].std)


def test_inputs_and_targets_by_hand() -> None:
    given = tables()
    stock, row = data.read(given)[2], 200
    assert stock.days[row] == given["C"]["date"][row + 2]
    close = {name: np.log(one["adj_close"]) for name, one in given.items()}
    assert_allclose(stock.returns(stock.ys)[row], np.diff(close["C"])[row + 1])
    assert_allclose(stock.prices[row], given["C"]["adj_close"][row + 1])
    others = np.diff(close["A"])[:-1]
    others[100:] = (others[100:] + np.diff(close["B"])[:-1]) / 2  # B has begun
    expected = (others - others[stock.training].mean()) / others[stock.training].std()
    assert_allclose(stock.xs[:, 1], expected, rtol=1e-4, atol=1e-5)


def test_a_predicted_price_is_the_last_one_and_the_return() -> None:
    stock = data.read(tables())[0]
    guess, true = scoring.prices(stock, np.zeros(stock.test.sum()))
    assert_allclose(guess[1:], true[:-1])
    assert_allclose(true, tables()["A"]["adj_close"][2:][stock.test])


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_windows_end_at_the_close_before_the_day(part: str) -> None:
    stocks = data.read(tables())
    rows = data.windows(stocks, part, 5)
    short = 4 if part == "training" else 0  # the first days have too few before them
    counts = [getattr(stock, part).sum() - short for stock in stocks]
    assert rows.xs.shape == (sum(counts), 5, 4)
    place = np.flatnonzero(getattr(stocks[1], part))[-1]
    last = counts[0] + counts[1] - 1
    assert_array_equal(rows.xs[last], stocks[1].xs[place - 4 : place + 1])
    assert rows.ys[last, 0] == stocks[1].ys[place]


def test_the_chunks_carry_the_state_and_count_the_days_of_their_part() -> None:
    stocks = data.read(tables())
    batches = list(train.chunks(stocks, "validation"))
    weights = sum(batch.weights.sum() for batch in batches if batch.weights is not None)
    assert weights == sum(stock.validation.sum() for stock in stocks)
    resets = [batch.reset for batch in batches if batch.reset is not None]
    assert resets[0].all()
    assert not np.any([reset[0] for reset in resets[1:]])
    last = max(stock.days[stock.validation][-1] for stock in stocks)
    assert last < data.TEST


def test_a_step_a_day_is_the_whole_sequence() -> None:
    model = train.new_model(0)
    params = model.params()
    model.load_params(params | {"fc.weight": params["fc.weight"] + 0.3})
    xs = data.read(tables())[0].xs[:300]
    steps = np.asarray(train.day_by_day(model, xs))
    assert_allclose(steps, model(jnp.asarray(xs)), atol=1e-5)
    assert np.std(steps) > 0.01


def test_the_new_model_predicts_the_same_for_every_day() -> None:
    made = np.asarray(train.new_model(1)(jnp.asarray(data.read(tables())[0].xs)))
    assert_array_equal(made, np.full_like(made, made[0, 0]))


def test_scores_of_persistence_and_of_the_truth() -> None:
    stocks = data.read(tables())
    still = scoring.scores(stocks, baselines.persistence)
    assert still["skill, %"] == 0
    assert still["lag, days"] == 1
    assert "hit rate, %" not in still
    perfect = scoring.scores(stocks, lambda s, p: s.returns(s.ys[getattr(s, p)]))
    assert perfect["RMSE, %"] == 0
    assert perfect["lag, days"] == 0
    assert perfect["hit rate, %"] == perfect["skill, %"] == 100
    assert perfect["skill on validation, %"] == 100


def test_ridge_finds_that_a_move_is_taken_back_the_next_day() -> None:
    given = tables()
    for one in given.values():
        noise = 0.02 * np.random.default_rng(1).normal(size=len(one["date"]))
        one["adj_close"] = np.exp(noise)
    stocks = data.read(given)
    _, skill = scoring.errors(stocks, baselines.by_ridge(stocks), "test")
    assert 40 < skill < 50  # one day reaches 25, twenty days 47.6, all of the past 50


def test_wilson_by_its_published_example() -> None:
    assert_allclose(wilson(0.5, 100), (0.4038315, 0.5961685), atol=1e-6)
    assert_allclose(wilson(0.0, 10), (0, 0.2775328), atol=1e-6)


def test_a_day_without_a_change_is_no_hit_and_no_miss() -> None:
    guess, true = np.array([1.0, 1, -1, 1]), np.array([2.0, -1, -3, 0])
    assert_allclose(hit_rate(guess, true, np.arange(4)).rate, 2 / 3)


def test_four_copies_of_a_stock_tell_as_much_as_one() -> None:
    guess, true = np.random.default_rng(0).normal(size=(2, 100))
    one = hit_rate(guess, true, np.arange(100))
    four = hit_rate(np.tile(guess, 4), np.tile(true, 4), np.tile(np.arange(100), 4))
    assert_allclose(four, one)
    assert_allclose(one[1:], wilson(one.rate, 100))
    apart = hit_rate(np.tile(guess, 4), np.tile(true, 4), np.arange(400))
    assert apart.high - apart.low < 0.6 * (four.high - four.low)


def test_persistence_has_a_lag_of_one_day_and_a_good_forecast_none() -> None:
    moves = 0.01 * np.random.default_rng(0).normal(size=400)
    price = np.exp(moves.cumsum())
    late = lag_correlations(price[:-1], price[1:])
    assert late.argmax() == 1
    assert_allclose(late[1], 1)
    assert lag_correlations(price, price).argmax() == 0
    assert r_squared(price[:-1], price[1:]) > 0.9


def test_r_squared_of_the_mean_is_zero() -> None:
    truth = np.array([1.0, 2, 6])
    assert r_squared(np.full(3, 3.0), truth) == 0
    assert r_squared(truth, truth) == 1
