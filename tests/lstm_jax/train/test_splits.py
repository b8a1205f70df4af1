"""Parts of a table: by time, by whole groups, by a column."""

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset
from tests.given.tables import basins, one_series, refused, windows

GROUPED = {"target": "flow", "inputs": ["plan"], "time": "time", "group": "basin"}
GROUPED |= {"window": 2, "fill": "last"}


def many(count: int = 20) -> pd.DataFrame:
    """So many groups of 40 rows."""
    table = basins()
    rows = table[table.basin == "elbe"]
    rng = np.random.default_rng(0)
    held = [
        rows.assign(basin=f"b{k:02}", flow=rng.normal(size=len(rows)))
        for k in range(count)
    ]
    return pd.concat(held, ignore_index=True)


def parts(made: Dataset) -> list[set]:
    return [set(part.groups) for part in made[:3]]


def test_cuts_in_time_are_common_to_all_groups() -> None:
    table = basins()
    late = table.time + pd.to_timedelta(15 * (table.basin == "oder"), unit="h")
    table = table.assign(time=late)
    made = windows(table, **GROUPED, horizon=0)
    times = table.time.sort_values(ignore_index=True)
    valid, test = times[len(times) * 70 // 100], times[len(times) * 85 // 100]
    said = f"The validation part begins at {valid} and the test part at {test}."
    assert said in made.said
    assert made.train.times.max() < valid <= made.valid.times.min()
    assert made.valid.times.max() < test <= made.test.times.min()
    counts = [int((part.groups == "oder").sum()) for part in made[:3]]
    assert counts != [int((part.groups == "elbe").sum()) for part in made[:3]]


def test_without_times_rows_are_counted_in_each_group() -> None:
    table = basins().drop(columns="time")
    table = pd.concat([table, table[table.basin == "oder"]], ignore_index=True)
    made = windows(table, **GROUPED | {"time": None, "horizon": 0, "past": False})
    assert "Of each 100 rows the first 70 train, the next 15 validate, 15 test." in (
        made.said
    )
    for name, rows in (("elbe", 40), ("oder", 80)):
        place = [part.times[part.groups == name] for part in made[:3]]
        assert place[0].max() < rows * 0.7 <= place[1].min()
        assert place[1].max() < rows * 0.85 <= place[2].min()


def test_whole_groups_are_held_out() -> None:
    made = windows(many(), **GROUPED, split="group")
    train, valid, test = parts(made)
    assert (len(train), len(valid), len(test)) == (14, 3, 3)
    assert len(train | valid | test) == 20
    names = ", ".join(map(repr, sorted(test)))
    assert f"Groups of the test part: {names}." in made.said
    assert made.recipe.scales.groups == ()
    assert any("one scale over all groups" in sentence for sentence in made.said)


def test_which_groups_are_held_out_depends_on_their_names_only() -> None:
    table = many()
    changed = table.assign(flow=table.flow**2).sample(frac=1, random_state=1)
    made = (windows(held, **GROUPED, split="group") for held in (table, changed))
    one, other = map(parts, made)
    assert one == other
    renamed = table.assign(basin="x" + table.basin)
    again = parts(windows(renamed, **GROUPED, split="group"))
    assert [{name[1:] for name in part} for part in again] != one


def test_three_groups_are_the_fewest() -> None:
    assert list(map(len, parts(windows(many(3), **GROUPED, split="group")))) == [
        1,
        1,
        1,
    ]
    with refused(
        "windows: split='group' must find 3 groups: there are 2. Name the column of "
        "groups by group=, or use split='time'."
    ):
        _ = windows(many(2), **GROUPED, split="group")


def test_a_column_says_the_part() -> None:
    table = one_series()
    words = np.repeat(["train", "valid", "test", "train"], 15)
    made = windows(table.assign(part=words), target="flow", split="part", window=2)
    assert "part" not in made.recipe.feature_names
    assert made.train.ends.tolist() == [*range(1, 14), *range(46, 59)]
    assert made.valid.ends.tolist() == [*range(14, 29)]
    assert made.test.ends.tolist() == [*range(29, 44)]
    with refused(
        "windows: part='Test' in row 31 must be 'train', 'valid' or 'test': split= "
        "names this column. Use one of these words."
    ):
        words[30] = "Test"
        _ = windows(table.assign(part=words), target="flow", split="part", window=2)


def test_a_part_without_rows_is_refused() -> None:
    table = one_series().assign(part=np.repeat(["train", "test"], 30))
    with refused(
        "windows: split must leave rows in the valid part: it has none. Use more rows, "
        "or a column of 'train', 'valid' and 'test' by split=."
    ):
        _ = windows(table, target="flow", split="part", window=2)
    table.loc[20:30, "part"] = "valid"
    assert len(windows(table, target="flow", split="part", window=2).valid)


def test_a_part_without_a_known_target_is_refused() -> None:
    table = one_series()
    table.loc[42:50, "flow"] = np.nan
    with refused(
        "windows: target must be known in the valid part: it is at no predicted row of "
        "a window of 2 rows. Use a smaller window=, or another split=."
    ):
        _ = windows(table, target="flow", time="day", window=2, past=False)


def test_a_group_that_is_not_in_training_shares_a_scale() -> None:
    table = basins()
    late = table[table.basin == "oder"].head(20)
    late = late.assign(time=late.time + pd.Timedelta("60h"))
    table = pd.concat([table[table.basin != "oder"], late], ignore_index=True)
    made = windows(table, **GROUPED)
    assert made.recipe.scales.groups == ()
    said = "The target has one scale over all groups, since there are no training rows "
    said += "in 'oder'."
    assert said in made.said
    with refused(
        "windows: scale='group' must find training rows in every group: there are "
        "none in 'oder'. Use scale='all'."
    ):
        _ = windows(table, **GROUPED, scale="group")
    assert windows(table, **GROUPED, scale="all").recipe.scales.groups == ()


def test_a_group_that_does_not_change_takes_the_scale_of_all() -> None:
    table = basins(share=0.0)
    table.loc[table.basin == "oder", "flow"] = 3.0
    scales = windows(table, **GROUPED).recipe.scales
    shared = windows(table, **GROUPED, scale="all").recipe.scales
    np.testing.assert_array_equal(scales.mean[1], 3.0)
    np.testing.assert_array_equal(scales.std[1], shared.std[0])
    np.testing.assert_array_equal(scales.spread[1], shared.spread[0])


def test_groups_without_a_window_are_named() -> None:
    table = basins()
    short = table[table.basin == "oder"].head(3).assign(basin="bode", flow=[1, 2, 1])
    made = windows(pd.concat([table, short]), **GROUPED | {"window": 5})
    said = "Groups without a window, for they are too short: 'bode'."
    assert said in made.said


@pytest.mark.parametrize("rows", [4, 7])
def test_few_rows_are_enough_for_a_sentence(rows: int) -> None:
    with pytest.raises(ValueError, match=r"^windows: (horizon|split|window)"):
        _ = windows(one_series(rows), target="flow", time="day", horizon=2)
