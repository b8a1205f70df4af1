"""The example of activity: its recordings, its windows, its parts and its scores."""

import numpy as np
import pytest

from examples.steps import data, train

HEAD = "someone\n23-Jan-1918\n13:58\n {} \n00\nV1\nX\n"
BUSY = np.random.default_rng(0).integers(1, 900, 3 * data.DAY).astype(float)


def recording(counts: np.ndarray, start: int = 0) -> data.Windows:
    return data.windows(data.Recording(start, counts))


def test_a_recording_begins_at_its_minute_and_has_a_count_a_line() -> None:
    found = data.read_awd(HEAD.format(4) + "149\n71 M\n0\n")
    assert found.start == 13 * 60 + 58
    assert found.counts.tolist() == [149, 71, 0]


def test_a_recording_of_another_interval_is_refused() -> None:
    message = (
        "read_awd: the code of the interval '1' must be '4', a count a minute. Use a "
        "recording of that interval."
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        _ = data.read_awd(HEAD.format(1) + "149\n")


def test_the_five_recordings_are_as_long_as_the_readme_says() -> None:
    lengths = [len(data.read_wearer(name).counts) for name in data.WEARERS]
    assert (min(lengths), max(lengths), len(lengths)) == (18_401, 31_299, 5)
    made = [data.windows(data.read_wearer(name)) for name in data.WEARERS]
    assert sum(len(one.end) for one in made) == 7_421


def test_a_watch_is_worn_but_in_zeros_of_three_hours() -> None:
    counts = np.ones(1000)
    counts[100:279] = counts[400:580] = counts[-10:] = 0
    found = data.worn(counts)
    assert np.flatnonzero(~found).tolist() == list(range(400, 580))


def test_a_window_is_the_day_before_and_its_target_the_hour_after() -> None:
    made = recording(BUSY, start=30)
    assert made.xs.shape == (len(made.end), 24, 12)
    for row in (0, 1, len(made.end) - 1):
        end = made.end[row]
        day, hour = BUSY[end - data.DAY : end], BUSY[end : end + 60]
        assert len(hour) == 60
        np.testing.assert_allclose(made.scale[row], day.mean())
        np.testing.assert_allclose(made.truth[row], hour.mean(), rtol=1e-6)
        last = day[-60:].reshape(6, 10).mean(axis=1) / day.mean()
        np.testing.assert_allclose(made.xs[row, -1, :6], last, rtol=1e-6)
        assert made.minute[row] == (30 + end) % data.DAY
    assert np.diff(made.end).tolist() == [10] * (len(made.end) - 1)


def test_what_comes_after_a_window_changes_nothing_in_it() -> None:
    changed = BUSY.copy()
    changed[2 * data.DAY :] += 100
    before, after = recording(BUSY), recording(changed)
    kept = before.end <= 2 * data.DAY
    np.testing.assert_array_equal(before.xs[kept], after.xs[kept])
    assert not np.array_equal(before.xs, after.xs)


def test_a_louder_wearer_has_the_same_windows() -> None:
    np.testing.assert_allclose(recording(3 * BUSY).xs, recording(BUSY).xs, rtol=1e-6)


def test_the_harmonics_are_of_the_middle_of_each_hour() -> None:
    made = recording(BUSY, start=15)
    angle = 2 * np.pi * (15 + made.end[0] - 30) / data.DAY
    expected = [np.sin(k * angle) for k in (1, 2, 3)]
    expected += [np.cos(k * angle) for k in (1, 2, 3)]
    np.testing.assert_allclose(made.xs[0, -1, 6:], expected, atol=1e-6)


def test_no_window_reads_or_predicts_what_was_not_worn() -> None:
    counts = np.concatenate([BUSY, BUSY])
    counts[3 * data.DAY : 3 * data.DAY + 200] = 0
    ends = recording(counts).end
    begin, stop = 3 * data.DAY, 3 * data.DAY + 200
    assert ends[ends <= begin - 60].max() == begin - 60
    assert ends[ends > begin - 60].min() == stop + data.DAY


def test_no_target_of_training_is_in_the_hours_of_validation() -> None:
    first, second = data.split(recording(BUSY))
    assert (first.end + 60).max() <= second.end.min()
    assert len(first.end) > len(second.end) > 0


def test_the_hourly_mean_is_that_of_the_training_wearers() -> None:
    made = recording(BUSY)
    flat = made._replace(ys=np.where(made.minute < 60, 2.0, 0.5)[:, None])
    asked = made.where(np.isin(made.minute // 60, (0, 5)))
    found = data.hourly_mean(flat, asked)
    assert found.tolist() == np.where(asked.minute < 60, 2.0, 0.5).tolist()


def test_the_hours_of_a_window_are_its_last_and_the_same_one_yesterday() -> None:
    made = recording(BUSY)
    for row, end in enumerate(made.end[:3]):
        last, before = BUSY[end - 60 : end], BUSY[end - data.DAY :][:60]
        found = [data.hour_of(made, step)[row] for step in (-1, 0)]
        expected = [last.mean() / made.scale[row], before.mean() / made.scale[row]]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scores_are_means_over_the_wearers() -> None:
    made = [recording(BUSY), recording(2 * BUSY[: 2 * data.DAY])]
    found = [dict.fromkeys(map(str, train.NAMES), one.truth + 3.0) for one in made]
    for one, test in zip(found, made, strict=True):
        one["model"] = test.truth + 1.0
    found[1]["ridge"] = made[1].truth
    rows = train.scores(found, made)
    assert rows["model"]["RMSE"] == pytest.approx(1)
    assert rows["ridge"]["MAE"] == pytest.approx(1.5)
    assert [rows[name]["wearers won"] for name in ("model", "ridge")] == [1, 1]
    assert rows["last hour"]["wearer 2"] == pytest.approx(3)
