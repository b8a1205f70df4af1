"""The example of activity tagging: its recordings, streams, features and scores."""

import numpy as np
import pytest

from examples.activity import baselines, data, train

HEAD = "#a remark\n@missing false\n@equalLength true\n@data\n"
RNG = np.random.default_rng(0)


@pytest.fixture
def made() -> data.Recordings:
    """Two recordings of each class: every value of a recording is its number."""
    values = np.repeat(np.arange(8.0), 100 * 6).reshape(8, 100, 6)
    return data.Recordings(values, np.arange(8) % 4)


def test_a_recording_is_its_channels_and_its_class() -> None:
    found = data.read_ts(HEAD + "1,2,3:4,5,6:Walking\n7,8,9:0,0,0:Standing\n")
    assert found.xs.shape == (2, 3, 2)
    assert found.xs[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert [data.CLASSES[k] for k in found.classes] == ["Walking", "Standing"]


def test_recordings_of_several_lengths_are_refused() -> None:
    text = HEAD.replace("equalLength true", "equalLength false")
    with pytest.raises(ValueError, match="must have the line '@equalLength true'"):
        _ = data.read_ts(text + "1,2:3,4:Walking\n")


@pytest.mark.parametrize("part", ["TRAIN", "TEST"])
def test_the_package_has_ten_recordings_of_each_class(part: str) -> None:
    found = data.read_part(part)
    assert found.xs.shape == (40, 100, 6)
    assert np.bincount(found.classes).tolist() == [10] * 4


def test_no_recording_is_in_two_parts() -> None:
    whole = data.read_part("TRAIN")
    parts = [*data.split(whole), data.read_part("TEST")]
    seen = [{one.tobytes() for one in part.xs} for part in parts]
    assert [len(one) for one in seen] == [28, 12, 40]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]
    assert seen[0] | seen[1] == {one.tobytes() for one in whole.xs}


def test_a_stream_is_made_of_its_recordings_alone(made: data.Recordings) -> None:
    found = data.streams(made, 5, seed=1)
    assert found.xs.shape == (5, data.STEPS, 6)
    rows = np.rint(np.sinh(found.xs)).astype(int)
    assert (rows == rows[..., :1]).all()
    np.testing.assert_array_equal(made.classes[rows[..., 0]], found.ys)


def test_parts_have_drawn_lengths_and_change_the_class(made: data.Recordings) -> None:
    found = data.streams(made, 20, seed=2)
    lengths = [np.diff(np.flatnonzero(np.diff(one))) for one in found.ys]
    together = np.concatenate(lengths)
    assert together.min() >= data.SHORTEST
    assert together.max() <= 100
    assert len(set(together)) > 20


def test_streams_are_those_of_their_seed(made: data.Recordings) -> None:
    first, same, other = (data.streams(made, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.xs, same.xs)
    assert not np.array_equal(first.ys, other.ys)


def test_a_gain_changes_the_numbers_and_not_the_classes(made: data.Recordings) -> None:
    plain, louder = (data.streams(made, 3, 1, gain) for gain in (0.0, 0.5))
    np.testing.assert_array_equal(plain.ys, louder.ys)
    known = plain.xs != 0
    ratios = np.sinh(louder.xs[known]) / np.sinh(plain.xs[known])
    assert 0.3 < np.log(ratios).std() < 0.7


def test_near_are_the_ten_steps_before_and_after_a_change() -> None:
    ys = np.zeros((2, 50), int)
    ys[0, 20:] = 1
    ys[1, 3:] = 2
    found = data.near_changes(ys)
    assert np.flatnonzero(found[0]).tolist() == list(range(10, 30))
    assert np.flatnonzero(found[1]).tolist() == list(range(13))


def test_rolling_features_are_of_the_window_around_a_step() -> None:
    xs = RNG.normal(size=(2, 30, 3)).astype(np.float32)
    found = baselines.rolling(xs, (5, 9))
    assert found.shape == (2, 30, 3 * 11)
    for width, place in ((5, 3), (9, 18)):
        seen = xs[1, 12 - width // 2 : 13 + width // 2]
        spread = seen.std(axis=0)
        expected = [seen.mean(axis=0), seen.min(axis=0), seen.max(axis=0), spread]
        expected.append(np.log(spread + baselines.TINY))
        cell = found[1, 12, place : place + 15]
        np.testing.assert_allclose(cell, np.concatenate(expected), rtol=1e-4, atol=1e-6)


def test_the_ends_of_a_stream_are_repeated() -> None:
    xs = np.arange(6.0).reshape(1, 6, 1)
    found = baselines.around(xs, 3)[0, :, 0]
    assert found[[0, 1, 5]].tolist() == [[0, 0, 1], [0, 1, 2], [4, 5, 5]]


def test_the_linear_model_is_at_the_least_of_its_loss() -> None:
    """With two classes and one feature, the gradient of the loss is 0."""
    features = RNG.normal(size=(200, 1)).astype(np.float32)
    ys = (features[:, 0] + RNG.normal(size=200) > 0).astype(np.int32)
    found = baselines.minimum(features, ys, 1e-3)
    logits = features @ found["w"] + found["b"]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    off = (shares - np.eye(4)[ys]) / len(ys)
    assert np.abs(features.T @ off + 2e-3 * found["w"]).max() < 1e-4


def test_probabilities_are_averaged_over_the_steps_around() -> None:
    w = np.zeros((6, 4))
    w[0, :2] = -1, 1  # of the value itself: class 0 below 0, class 1 above
    weights = {"w": w, "b": np.array([0.0, 0, -9, -9])}
    made = baselines.Linear((1,), 1, weights, np.zeros(6), np.ones(6))
    xs = np.full((1, 9, 1), -1.0)
    xs[0, 4] = 1.0
    assert made.predict(xs)[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert made._replace(smoothed=3).predict(xs)[0].tolist() == [0] * 9
    moved = made._replace(centre=np.array([-2.0, 0, 0, 0, 0, 0]))
    assert moved.predict(xs)[0].tolist() == [1] * 9


def test_scores_are_shares_of_the_steps() -> None:
    ys = np.zeros((1, 40), int)
    ys[0, 20:] = 1
    found = train.scores(np.zeros((1, 40), int), ys)
    assert found == {"accuracy": 0.5, "near changes": 0.5, "elsewhere": 0.5}
    wrong = np.where(np.arange(40) == 15, 3, ys)
    found = train.scores(wrong, ys)
    assert found["accuracy"] == pytest.approx(39 / 40)
    assert found["near changes"] == pytest.approx(19 / 20)
    assert found["elsewhere"] == 1
