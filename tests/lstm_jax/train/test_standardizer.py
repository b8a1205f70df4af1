"""Columns with mean 0 and standard deviation 1, and back."""

import json

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Standardizer
from tests.given.tables import refused

VALUES = np.random.default_rng(0).normal(3.0, 5.0, (41, 3))


def test_columns_get_mean_0_and_deviation_1() -> None:
    made = Standardizer.fit(VALUES)
    np.testing.assert_array_equal(made.mean, [c.mean() for c in VALUES.T.copy()])
    np.testing.assert_array_equal(made.std, [c.std() for c in VALUES.T.copy()])
    np.testing.assert_array_equal(
        made.transform(VALUES), (VALUES - made.mean) / made.std
    )
    np.testing.assert_array_equal(made.inverse(VALUES), made.mean + made.std * VALUES)


def test_any_axes_may_stand_before_the_columns() -> None:
    made = Standardizer.fit(VALUES)
    folded = VALUES[:40].reshape(5, 8, 3)
    scaled = made.transform(folded).reshape(40, 3)
    np.testing.assert_array_equal(scaled, made.transform(VALUES[:40]))
    assert made.transform(np.empty((0, 3))).shape == (0, 3)


def test_missing_values_count_for_nothing_and_stay() -> None:
    holed = np.insert(VALUES, [0, 7], np.nan, axis=0)
    made = Standardizer.fit(holed)
    np.testing.assert_array_equal(made.mean, Standardizer.fit(VALUES).mean)
    np.testing.assert_array_equal(np.isnan(made.transform(holed)), np.isnan(holed))


def test_a_constant_column_becomes_0() -> None:
    made = Standardizer.fit(np.full((5, 1), 0.1))
    np.testing.assert_array_equal(made.transform(np.full((5, 1), 0.1)), 0.0)


def test_a_frame_comes_back_as_a_frame() -> None:
    frame = pd.DataFrame(VALUES, columns=list("abc"), index=range(7, 48))
    made = Standardizer.fit(frame)
    assert made.names == ("a", "b", "c")
    scaled = made.transform(frame)
    assert isinstance(scaled, pd.DataFrame)
    assert scaled.index.equals(frame.index)
    np.testing.assert_array_equal(scaled, made.transform(VALUES))
    assert list(made.inverse(scaled).columns) == ["a", "b", "c"]


def test_json_keeps_every_bit() -> None:
    made = Standardizer.fit(pd.DataFrame(VALUES, columns=list("abc")))
    back = Standardizer.from_json(json.loads(json.dumps(made.to_json())))
    np.testing.assert_array_equal(back.mean, made.mean)
    np.testing.assert_array_equal(back.std, made.std)
    assert back.names == made.names


def test_what_cannot_be_fitted_is_refused() -> None:
    with refused(
        "Standardizer.fit: values.shape=(4,) must be (rows, columns): each column has "
        "a mean of its own. Use values[:, None] for one column."
    ):
        _ = Standardizer.fit(np.ones(4))
    with refused(
        "Standardizer.fit: values[:, 1] must be known somewhere: it has no mean "
        "otherwise. Leave it out."
    ):
        _ = Standardizer.fit(np.array([[1.0, np.nan]]))
    with refused(
        "Standardizer.fit: column 'b' must be finite: it has no mean otherwise. Leave "
        "it out."
    ):
        _ = Standardizer.fit(pd.DataFrame({"a": [1.0], "b": [np.inf]}))


@pytest.mark.parametrize("how", ["transform", "inverse"])
def test_other_columns_are_refused(how: str) -> None:
    made = Standardizer.fit(pd.DataFrame(VALUES, columns=list("abc")))
    with refused(
        f"Standardizer.{how}: values.shape=(4, 2) must end in 3: it was fitted on so "
        "many columns. Give the same columns, in the same order."
    ):
        _ = getattr(made, how)(np.ones((4, 2)))
    with refused(
        f"Standardizer.{how}: values.columns=['b', 'a', 'c'] must be ['a', 'b', 'c']: "
        "it was fitted on these. Use values[['a', 'b', 'c']]."
    ):
        _ = getattr(made, how)(pd.DataFrame(VALUES, columns=["b", "a", "c"]))
