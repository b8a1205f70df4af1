"""The roles of columns: defaults, what is left out and said, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset, read_csv
from tests.given.tables import basins, one_series, refused, windows

TABLE = one_series()


def cut(table: Any, **options) -> Dataset:
    given = {"target": "flow", "time": "day", "window": 2, "calendar": "none"}
    return windows(table, **given | options)


def test_inputs_are_all_other_numbers() -> None:
    dry = (TABLE.rain < 0).to_numpy()
    table = TABLE.assign(sky=np.where(dry, "clear", "grey"), dry=dry, count=range(60))
    table["whole"] = pd.array([None, *range(59)], "Int64").fillna(7)
    table["text"] = [f" {k / 7} " for k in range(60)]
    table["kind"] = pd.Categorical(table.sky)
    made = cut(table)
    names = ("flow", "rain", "promo", "dry", "count", "whole", "text")
    assert made.recipe.feature_names == names
    assert made.said[0] == "Left out, for they hold no numbers: 'sky', 'kind'."
    first = made.recipe.standardizer
    np.testing.assert_array_equal(first.mean[2], dry[:42].mean())


def test_features_are_in_the_order_of_their_roles() -> None:
    made = windows(
        basins(),
        target="flow",
        inputs="rain",
        future="plan",
        static="area",
        time="time",
        group="basin",
        window=2,
        horizon=2,
        fill="last",
    )
    past = ("flow", "rain", "flow was missing", "rain was missing")
    assert made.recipe.feature_names[:7] == (*past, "plan[+1]", "plan[+2]", "area")
    assert made.recipe.output_names == ("flow[+1]", "flow[+2]")


def test_the_past_of_the_target_is_left_out_where_it_is_not_wanted() -> None:
    assert cut(TABLE, past=False).recipe.feature_names == ("rain", "promo")
    assert cut(TABLE, past=False).recipe.options.predict == "level"
    assert cut(TABLE, horizon=0, future="promo").recipe.feature_names == (
        "rain",
        "promo",
    )
    assert cut(TABLE, inputs=[]).recipe.feature_names == ("flow",)


def test_a_named_index_is_a_column() -> None:
    made = cut(TABLE.set_index("day"))
    np.testing.assert_array_equal(made.train.truth(), cut(TABLE).train.truth())


def test_the_table_is_left_as_it_is() -> None:
    table = basins()
    before = table.copy()
    _ = windows(table, target="flow", time="time", group="basin", fill="last")
    pd.testing.assert_frame_equal(table, before)


def test_the_order_of_rows_without_times_is_said() -> None:
    made = windows(TABLE, target="flow", window=2)
    assert "The rows are taken in their order: time='day' sorts them." in made.said


def test_a_constant_input_is_dropped_and_said_or_refused_by_name() -> None:
    table = TABLE.assign(same=4.5, none=np.nan)
    table.loc[50:, ["same", "none"]] = 9.0  # only training counts
    made = cut(table)
    assert made.recipe.feature_names == ("flow", "rain", "promo")
    assert "Left out, for all values are 4.5 in the training part: 'same'." in made.said
    known = "Left out, for no value is known in the training part: 'none'."
    assert known in made.said
    for role in ("inputs", "future"):
        with refused(
            f"windows: {role}='same' must change in the training part: all values are "
            f"4.5 there. Leave it out of {role}."
        ):
            _ = cut(table, **{role: ["rain", "same"]})
    with refused(
        "windows: target='same' must change in the training part: all values are 4.5 "
        "there. Choose another target, or a larger training part by split=."
    ):
        _ = cut(table, target="same")


def test_an_input_constant_within_groups_is_offered_as_static() -> None:
    options = {"time": "time", "group": "basin", "fill": "last", "target": "flow"}
    made = windows(basins(), **options, window=2)
    assert "Constant within each group: 'area'. Use static=['area']." in made.said
    followed = windows(basins(), **options, window=2, static=["area"])
    assert not any("static" in sentence for sentence in followed.said)


WRONG = {
    "target='flo' must be a column of the table: it has 'day', 'flow', 'rain', "
    "'promo'. Did you mean 'flow'?": {"target": "flo"},
    "inputs='Rain' must be a column of the table: it has 'day', 'flow', 'rain', "
    "'promo'. Did you mean 'rain'?": {"inputs": ["Rain"]},
    "split='parts' must be a column of the table: it has 'day', 'flow', 'rain', "
    "'promo'.": {"split": "parts"},
    "'flow' must have one role: it is named in target and in inputs. Leave it out of "
    "one.": {"inputs": ["flow"]},
    "'day' must have one role: it is named in time and in group. Leave it out of "
    "one.": {"group": "day"},
    "target must name 'flow' once: it does twice. Leave one out.": {
        "target": ["flow", "flow"]
    },
    "target=() must name a column: it is what the model predicts. The table has 'day', "
    "'flow', 'rain', 'promo'.": {"target": []},
    "inputs='day' must hold numbers: '2021-03-30 00:00:00' is none, as most values. "
    "Write numbers as 1234.5, without other signs, or leave it out.": {
        "inputs": ["day"],
        "time": None,
    },
    "inputs=[] must leave the model something to read: the table has no other column "
    "of numbers that changes, and the past of the target is not read. Name columns by "
    "inputs=, or use past=True with a horizon of 1 or more.": {
        "inputs": [],
        "horizon": 0,
    },
    "static='rain' must be constant within a group: it changes. Name it in inputs "
    "instead.": {"static": "rain"},
    "horizon=-1 must be 0 or more: it counts the steps ahead. Use 0 for the target at "
    "the row itself.": {"horizon": -1},
    "window=0 must be 1 or more: it counts the rows of a window. Leave it out for the "
    "longest season.": {"window": 0},
    "max_gap=0 must be 1 or more: it counts the steps from one row to the next. Use 1 "
    "to cross no hole.": {"max_gap": 0},
    "fill='mean' must be one of None, 'last': there are no others.": {"fill": "mean"},
    "calendar='moon' must be one of 'auto', 'none': there are no others.": {
        "calendar": "moon"
    },
    "predict='change' must not come with horizon=0: the model then does not see the "
    "value that changes. Use predict='level'.": {"predict": "change", "horizon": 0},
    "predict='change' must not come with past=False: the model then does not see the "
    "value that changes. Use predict='level'.": {"predict": "change", "past": False},
    "scale='group' must come with group=: a scale for each group needs groups. Name "
    "the column of groups, or leave scale out.": {"scale": "group"},
    "window=59 must be at most 41: no stretch without a hole has more rows before the "
    "predicted ones of the train part. Use a smaller window=, or max_gap= to cross "
    "holes.": {"window": 59},
    "horizon=60 must be at most 41: no stretch of the train part without a hole has "
    "more rows to predict. Use a smaller horizon=, another split=, or max_gap= to "
    "cross holes.": {"horizon": 60},
    "horizon=12 must be at most 9: no stretch of the valid part without a hole has "
    "more rows to predict. Use a smaller horizon=, another split=, or max_gap= to "
    "cross holes.": {"horizon": 12},
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_is_refused(text: str) -> None:
    with refused(f"windows: {text}"):
        _ = cut(TABLE, **WRONG[text])


def test_cures_of_lengths_work() -> None:
    assert len(cut(TABLE, window=41).train) == 1
    assert len(cut(TABLE, horizon=9).valid) == 1


@pytest.mark.parametrize("value", [2.0, True, "2"])
@pytest.mark.usefixtures("no_jaxtyping")
def test_a_count_is_an_integer(value: object) -> None:
    text = (
        f"windows: window={value!r} must be an integer: it counts the rows of a window."
    )
    with refused(text, TypeError):
        _ = cut(TABLE, window=value)


TABLES = {
    "rain='high' in row 8 must be a number: 59 of the 60 values of 'rain' are. Leave "
    "it empty where it means a missing value, or leave the column out: inputs=[] reads "
    "no other column, inputs=['a', 'b'] these.": TABLE.assign(
        rain=[*map(str, range(7)), "high", *["5"] * 52]
    ),
    "rain=inf in row 8 must be finite: no mean has room for it. Correct it, or leave "
    "it empty where it means a missing value.": TABLE.assign(
        rain=[*range(7), np.inf, *range(52)]
    ),
    "rain=1e+300 in row 8 must be at most 1e+30 in size: the model computes in "
    "float32. Correct it, or leave it empty where it means a missing value.": (
        TABLE.assign(rain=[*range(7), 1e300, *range(52)])
    ),
    "target='flow' must change in the training part: all values lie within 4e-299 "
    "there. Choose another target, or a larger training part by split=.": (
        TABLE.assign(flow=1e-300 * np.arange(60.0))
    ),
    "'rain' must name one column: the table has several. Rename all but one.": TABLE[
        ["day", "flow", "rain", "rain"]
    ],
    "the table must have rows: it has none. Give another.": TABLE[:0],
    "target='flow' must be known in the training part: it is missing in all its rows. "
    "Choose another target or another split=.": TABLE.assign(
        flow=TABLE.flow.where(TABLE.index > 45)
    ),
}


@pytest.mark.parametrize("text", TABLES)
def test_a_table_that_cannot_be_read_is_refused(text: str) -> None:
    with refused(f"windows: {text}"):
        _ = cut(TABLES[text])


AMONG = {
    50: "flow='1,000' in row 51 must be a number: 50 of the 60 values of 'flow' are. "
    "Leave it empty where it means a missing value.",
    7: "target='flow' must hold numbers: '1,000' is none, as most values. Write "
    "numbers as 1234.5, without other signs, or leave it out.",
}


@pytest.mark.parametrize("count", AMONG)
def test_text_among_the_numbers_of_the_target_is_shown(count: int) -> None:
    flow = [*map(str, range(count)), *["1,000"] * (60 - count)]
    with refused(f"windows: {AMONG[count]}"):
        _ = cut(TABLE.assign(flow=flow))


def test_a_long_name_is_cut_in_a_sentence() -> None:
    text = f"target='flaw' must be a column of the table: it has '{'x' * 77}...'."
    with refused(f"windows: {text}"):
        _ = windows(pd.DataFrame({"x" * 999: [1.0]}), target="flaw")


def test_cures_of_text_among_numbers_work() -> None:
    table = TABLE.assign(rain=[*map(str, range(7)), "high", *["5"] * 52])
    assert cut(table, inputs=["promo"]).recipe.feature_names == ("flow", "promo")
    table.loc[7, "rain"] = ""
    made = cut(table, fill="last")
    assert made.recipe.flagged == ("rain",)


def test_a_row_is_named_by_its_file(tmp_path: Path) -> None:
    for name, lines in {"b": "1\n2\n3\n", "a": "1\n2\nx\n4\n5\n"}.items():
        _ = (tmp_path / f"{name}.csv").write_text(f"flow\n{lines}")
    table = read_csv([tmp_path / "b.csv", tmp_path / "a.csv"])
    with pytest.raises(ValueError, match=r"^windows: flow='x' in row 3 of a.csv must"):
        _ = windows(table.frame, target="flow", group=table.group)
    with pytest.raises(ValueError, match=r"^windows: flow='x' in row 3 must"):
        _ = windows(table.frame[3:], target="flow", group=table.group)


def test_several_files_and_one_give_the_same_numbers(tmp_path: Path) -> None:
    table = basins().rename(columns={"basin": "group"})
    one = tmp_path / "all.csv"
    table.to_csv(one, index=False)
    paths = [tmp_path / f"{name}.csv" for name in ("rhine", "elbe", "oder")]
    for path in paths:
        rows = table[table.group == path.stem].drop(columns="group")
        rows.to_csv(path, index=False)
    made = []
    for held in (read_csv(one, group="group"), read_csv(paths)):
        options = {"target": "flow", "time": "time", "static": "area", "fill": "last"}
        made.append(windows(held.frame, group=held.group, window=3, **options))
    assert made[0].recipe.to_json() == made[1].recipe.to_json()
    rows = np.arange(len(made[0].train))
    np.testing.assert_array_equal(made[0].train.groups, made[1].train.groups)
    for a, b in zip(
        made[0].train.take(rows)[:3], made[1].train.take(rows)[:3], strict=True
    ):
        np.testing.assert_array_equal(a, b)


STATIC = pd.DataFrame(
    {
        "basin": ["oder", "rhine", "elbe", "seine"],
        "height": [3.0, 5.0, 4.0, 1.0],
        "soil": ["clay", "sand", "clay", "clay"],
    }
)
GROUPED = {"target": "flow", "inputs": ["rain"], "time": "time", "group": "basin"}
GROUPED |= {"window": 2, "fill": "last", "calendar": "none"}


@pytest.mark.parametrize("static", [STATIC, STATIC.set_index("basin")])
def test_static_columns_may_be_in_a_table_of_their_own(static: pd.DataFrame) -> None:
    made = windows(basins(), static=static, **GROUPED)
    assert made.recipe.feature_names[-1] == "height"
    assert "Left out of static, for they hold no numbers: 'soil'." in made.said
    heights = dict(zip(STATIC.basin, STATIC.height, strict=True))
    column = basins().basin.map(heights)
    other = windows(basins().assign(height=column), static="height", **GROUPED)
    rows = np.arange(len(made.train))
    np.testing.assert_array_equal(made.train.take(rows).xs, other.train.take(rows).xs)


def test_a_table_of_groups_that_lacks_something_is_refused() -> None:
    with refused(
        "windows: static='height' must be known for group 'rhine': every row of the "
        "group has it as an input. Add it to the table of static, or leave the group "
        "out."
    ):
        _ = windows(basins(), static=STATIC.drop(index=1), **GROUPED)
    with refused(
        "windows: static must have one row for each group: 'oder' has several. Drop "
        "all but one."
    ):
        _ = windows(basins(), static=pd.concat([STATIC, STATIC[:1]]), **GROUPED)
    with refused(
        "windows: static= must come with group=: a table has a row for each group. "
        "Name the column of groups by group=."
    ):
        _ = cut(TABLE, static=STATIC)


def test_static_columns_of_the_table_are_checked() -> None:
    with refused(
        "windows: static='rain' must be known in every row: it is missing in row 3. "
        "Fill it in, or leave it out of static."
    ):
        _ = cut(TABLE.assign(rain=[1.0, 1.0, np.nan, *[1.0] * 57]), static="rain")
    with refused(
        "windows: static='plan' must be constant within a group: it changes in 'elbe'. "
        "Name it in inputs instead."
    ):
        _ = windows(basins(), static="plan", **GROUPED)


def test_a_group_that_is_not_named_is_refused() -> None:
    table = basins()
    table.loc[4, "basin"] = None
    with refused(
        "windows: group='basin' must be known in every row: it is missing in row 5. "
        "Fill it in, or drop the row."
    ):
        _ = windows(table, **GROUPED)


def test_groups_may_be_numbers() -> None:
    table = basins()
    numbers = table.basin.map({"elbe": 2, "oder": 10, "rhine": 1})
    made = windows(table.assign(basin=numbers), **GROUPED)
    again = windows(table.assign(basin=numbers.astype(float)), **GROUPED)
    assert made.recipe.scales.groups == again.recipe.scales.groups == ("1", "10", "2")


@pytest.mark.parametrize("name", ["group", "time", "step"])
def test_a_target_named_like_a_column_of_predictions_is_refused(name: str) -> None:
    text = (
        f"windows: target={name!r} must have another name: predictions have columns "
        "'group', 'time', 'step' of their own. Rename it."
    )
    with refused(text):
        _ = windows(TABLE.rename(columns={"flow": name}), target=name, inputs=())
