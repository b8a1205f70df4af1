"""Scores on windows of real tables: what is known of them, and no leak."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from vega_datasets import local_data

from lstm_jax.train import windows
from lstm_jax.train.scores import fit_baselines, score
from lstm_jax.train.scores.measured import ROWS


def zeros(part) -> np.ndarray:
    """What a model that outputs 0 predicts, in the targets' own units."""
    return part.unscaled(np.zeros((len(part), part.truth()[0].size)))


def test_persistence_alone_has_a_high_nse_on_seattles_temperatures() -> None:
    table = local_data.seattle_weather()
    dataset = windows(table, target="temp_max", time="date", window=30)
    found = score(dataset, zeros(dataset.test))
    rows = found.over_all("temp_max")
    assert tuple(rows) == ROWS
    assert rows["persistence"].nse == pytest.approx(0.87, abs=0.01)
    assert rows["model"].rmse == rows["persistence"].rmse  # a change of 0
    assert rows["ridge"].rmse < rows["persistence"].rmse < rows["seasonal naive"].rmse
    assert found.sentences()[-1].startswith("Best on the test part: ridge, RMSE 2.")


def basins() -> pd.DataFrame:
    """Four basins with half of their discharge missing."""
    draw, parts = np.random.default_rng(0), []
    for k in range(4):
        rain, flow = draw.gamma(0.3, 5, 200), np.zeros(200)
        for t in range(1, 200):
            flow[t] = 0.8 * flow[t - 1] + (k + 1) * rain[t]
        held = {"day": pd.date_range("2000-01-01", periods=200), "basin": f"b{k}"}
        flow[draw.random(200) < 0.5] = np.nan
        parts.append(
            pd.DataFrame({**held, "rain": rain, "flow": flow, "area": k + 1.0})
        )
    return pd.concat(parts)


def cut(table: pd.DataFrame):
    roles: Any = {"time": "day", "group": "basin", "static": "area"}
    return windows(table, target="flow", horizon=0, window=20, **roles)


def test_basins_without_their_past_are_scored_by_group() -> None:
    dataset = cut(basins())
    found = score(dataset, zeros(dataset.test))
    assert found.notes["persistence"] == (
        "the last known value before the predicted step; it sees the target's past, "
        "which the model does not"
    )
    assert list(found.by_group("flow")) == ["b0", "b1", "b2", "b3"]
    rows = found.over_all("flow")
    assert rows["model"].known == (~np.isnan(dataset.test.truth())).sum()
    assert rows["ridge"].rmse < rows["model"].rmse


def test_garbage_in_the_test_part_changes_no_baseline() -> None:
    clean = basins()
    dirty = clean.copy()
    late = (clean["day"] >= np.unique(clean["day"])[-25]).to_numpy()
    assert late.mean() < 0.15
    dirty.loc[late, ["rain", "flow"]] = 1e6
    windows_of_test = cut(clean).test
    pairs = zip(fit_baselines(cut(clean)), fit_baselines(cut(dirty)), strict=True)
    for one, other in pairs:
        assert one.note == other.note
        if one.predict is not None and other.predict is not None:
            got, expected = one.predict(windows_of_test), other.predict(windows_of_test)
            np.testing.assert_array_equal(got, expected)
