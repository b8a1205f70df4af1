"""One person's glucose, every five minutes: readings without repeats, in parts."""

from typing import Any

import numpy as np
import pandas as pd

from examples.packages import imported

STEP = np.timedelta64(5, "m")
VALID, TEST = pd.Timestamp("2010-08-01"), pd.Timestamp("2010-09-01")
GAP = pd.Timedelta(days=1)  # at the start of validation and test, in no part


def readings() -> pd.DataFrame:
    """The columns `time` and `glucose` in mg/dL, in the order of time.

    Raises:
        SystemExit: If bokeh-sampledata is not installed.
    """
    held = imported("bokeh_sampledata.glucose").data["glucose"]
    return pd.DataFrame({"time": held.index, "glucose": held.to_numpy(np.float64)})


def without_repeats(table: pd.DataFrame) -> pd.DataFrame:
    """The table without readings that come less than half a step after the last one.

    Three readings repeat a minute, and for some hours two receivers wrote in turn.
    """
    times = table["time"].to_numpy()
    kept = [0]
    for row in range(1, len(times)):
        if times[row] - times[kept[-1]] >= STEP / 2:
            kept.append(row)
    return table.iloc[kept].reset_index(drop=True)


def with_parts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `part`, and without the days between the parts."""
    times = table["time"]
    part = np.select([times < VALID, times < TEST], ["train", "valid"], "test")
    between = [(times >= start) & (times < start + GAP) for start in (VALID, TEST)]
    kept: Any = table.assign(part=part)[~(between[0] | between[1])]
    return kept.reset_index(drop=True)


def read() -> pd.DataFrame:
    """Columns `time`, `glucose` and `part`."""
    return with_parts(without_repeats(readings()))
