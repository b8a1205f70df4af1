"""`truncate`: the series of a table read in order, the state carried on."""

from pathlib import Path
from typing import Any

import numpy as np
import optax
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_jax import train
from lstm_jax.train import fit, model_for, predicting, resume
from tests.given.tables import basins, one_series, refused, windows
from tests.given.training import VALID, model

pytestmark = pytest.mark.usefixtures("unoptimised")

STILL: Any = {"optimizer": optax.sgd(0.0), "epochs": 1, "truncate": 9}
LEARNS: Any = {"truncate": 9, "epochs": 3, "rate": 0.02, "batch": 2}


def series(rows: int = 60, **options: Any) -> train.Dataset:
    return windows(one_series(rows), target="flow", time="day", window=5, **options)


def groups(**options: Any) -> train.Dataset:
    asked = {"target": "flow", "time": "time", "group": "basin", "window": 4}
    return windows(basins(60), **asked, fill="last", **options)


def drawn(made: train.Dataset, **options: Any) -> Any:
    """A model at every row, whose head is not zero."""
    given = model_for(made, hidden_size=4, outputs="all", **options)
    rng, params = np.random.default_rng(0), given.params()
    head = {
        name: rng.normal(size=array.shape).astype(np.float32)
        for name, array in params.items()
        if name.startswith("fc.")
    }
    given.load_params({**params, **head})
    return given


def at_ends(given: Any, held: train.Windows) -> np.ndarray:
    """The outputs at each window's last row, every series run as a whole."""
    source = held.source
    found = np.zeros((len(source.targets), given.output_size))
    for first in np.unique(source.segments.first[held.ends]):
        last = source.segments.last[first]
        found[first : last + 1] = given(source.features[None, first : last + 1])[0]
    return found[held.ends]


def loss_of(given: Any, held: train.Windows) -> float:
    batch = held.take(np.arange(len(held)))
    assert batch.weights is not None
    off = batch.weights * (at_ends(given, held) - batch.ys) ** 2
    return off.sum() / batch.weights.sum()


@pytest.mark.parametrize("made", [series(horizon=2), groups()], ids=["one", "groups"])
def test_a_stretch_has_each_window_at_its_last_row(made: train.Dataset) -> None:
    for held in (made.train, made.valid, made.test):
        batch = held.take(np.arange(len(held)))
        seen = np.zeros(len(held.source.targets), int)
        for first, xs, ys, weights in held.stretches():
            assert first == held.source.segments.first[first]
            rows = np.arange(first, first + len(xs))
            seen[rows] += 1
            mine = np.isin(rows, held.ends)
            ours = np.isin(held.ends, rows)
            assert mine[-1]
            assert_array_equal(xs, held.source.features[rows])
            assert_array_equal(ys[mine], batch.ys[ours])
            assert batch.weights is not None
            assert_array_equal(weights[mine], batch.weights[ours])
            assert (weights[~mine] == 0).all()
        assert seen.max() == 1
        assert seen[held.ends].all()


@pytest.mark.parametrize(("made", "batch"), [(series(), 1), (groups(), 2)])
def test_chunk_by_chunk_is_the_series_as_a_whole(
    made: train.Dataset, batch: int
) -> None:
    """Validation and predictions, too, begin at the first row of each series."""
    given = drawn(made)
    run = fit(given, made, batch=batch, **STILL)
    exact = [loss_of(given, made.train), loss_of(given, made.valid)]
    assert_allclose(run.history[["loss", "validation"]].to_numpy()[0], exact, rtol=1e-5)
    exact = made.test.unscaled(at_ends(given, made.test))[:, 0, 0]
    found = predicting.predict(run.model, made.test)[:, 0, 0]
    assert_allclose(found, exact, rtol=0, atol=1e-5 * np.abs(exact).max())


def test_a_long_series_is_predicted_in_chunks(monkeypatch: Any) -> None:
    made = series()
    given = drawn(made)
    whole = predicting.run_series(given, made.test)
    monkeypatch.setattr(predicting, "CHUNK", 7)
    found = predicting.run_series(given, made.test)
    assert_allclose(found, whole, rtol=0, atol=1e-6)
    assert len(found) == len(made.test)


def test_long_windows_go_through_a_model_one_by_one(monkeypatch: Any) -> None:
    made = series()
    given = model_for(made, hidden_size=4)
    given.load_params({n: a + 0.1 for n, a in given.params().items()})
    whole = predicting.run_model(given, made.test)
    monkeypatch.setattr(predicting, "STEPS", 5)
    found = predicting.run_model(given, made.test)
    assert_allclose(found, whole, rtol=0, atol=1e-6)


def test_no_prediction_reads_a_later_row() -> None:
    made = series()
    run = fit(drawn(made), made, **LEARNS)
    table = one_series()
    before = run.predict(table)
    table.loc[40:, ["flow", "rain", "promo"]] += 3.0
    after = run.predict(table)
    same = (before["time"] <= pd.Timestamp(table["day"][40])).to_numpy()
    assert 30 < same.sum() < len(before)
    one, other = (held["flow_predicted"].to_numpy() for held in (before, after))
    assert_array_equal(one[same], other[same])
    assert (one[~same] != other[~same]).all()


@pytest.mark.slow
def test_the_loss_falls_and_the_run_is_scored(tmp_path: Path) -> None:
    made = groups()
    run = fit(drawn(made), made, folder=tmp_path / "run", **LEARNS)
    assert run.history["loss"].iloc[-1] < run.history["loss"].iloc[0]
    scored = run.scores.over_all("flow")
    assert scored["model"].rmse > 0
    again = train.load(tmp_path / "run")
    found, exact = again.predict(basins(60)), run.predict(basins(60))
    pd.testing.assert_frame_equal(found, exact)


def test_a_run_that_was_stopped_goes_on_with_its_chunks(tmp_path: Path) -> None:
    made = series()
    given = drawn(made, remat="sqrt")
    whole = fit(given, made, **LEARNS)
    run = fit(given, made, folder=tmp_path, minutes=1e-9, **LEARNS)
    assert run.said[0].startswith("The clock ended the run after step 1")
    run = resume(tmp_path, made)
    assert run.model.remat == "sqrt"
    for name, array in whole.model.params().items():
        assert_array_equal(run.model.params()[name], array)


@pytest.mark.slow
def test_keeping_fewer_states_trains_the_same() -> None:
    made = series()
    whole, again = (
        fit(model_for(made, hidden_size=4, remat=remat), made, epochs=2)
        for remat in (None, "sqrt")
    )
    for name, array in whole.model.params().items():
        assert_allclose(again.model.params()[name], array, rtol=0, atol=1e-6)


def test_what_does_not_fit_together_is_refused() -> None:
    made = series()
    with refused(
        "fit: model.outputs='last' must be 'all' with truncate=9: a chunk has a target "
        "at every row. Use model_for(..., outputs='all')."
    ):
        _ = fit(model_for(made), made, truncate=9)
    with refused(
        "fit: truncate=None must be a number of rows where model.outputs is 'all': a "
        "window has one target, at its end. Use truncate=1000, or a model with "
        "outputs='last'."
    ):
        _ = fit(drawn(made), made)
    with refused(
        "fit: truncate=9 must come with the windows of a table, not Arrays: their "
        "series are cut into chunks. Use streams(xs, ys, chunk=9) as data, and "
        "truncate=None.",
        TypeError,
    ):
        _ = fit(model(outputs="all"), VALID, truncate=9)
    with refused(
        "fit: truncate=0 must be a whole number from 1 up, or None. Use truncate=1 or "
        "more."
    ):
        _ = fit(drawn(made), made, truncate=0)
    none = train.Windows(made.train.source, made.train.ends[:0])
    with refused(
        "fit: truncate=9 must come with a window: there is none. Use more rows, or "
        "smaller windows."
    ):
        _ = fit(drawn(made), none, truncate=9)
