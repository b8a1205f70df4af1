"""Alarms before low glucose: what is an event, and which alarms are right.

An event begins with three readings in a row, 15 minutes, below 70 mg/dL, and ends with
three at or above it, as the consensus on continuous monitoring counts them. A forecast
raises an alarm where it is below a threshold, outside of events and while the reading
itself is not low. After an alarm there is none for 30 minutes. It is right if an event
begins within 45 minutes, and false otherwise.

Danne et al., *International consensus on use of continuous glucose monitoring*, 2017,
doi:10.2337/dc17-1600.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import beta

LOW = 70.0  # mg/dL
RUN = 3  # readings that begin or end an event
SILENT = 30  # minutes
AHEAD = 9  # readings, 45 minutes: an event this soon makes an alarm right
READINGS_A_DAY = 288


class Watch(NamedTuple):
    """Consecutive readings of some days, and what is to be found in them.

    Attributes:
        minutes: Of each reading, since any time, `(N,)`.
        wait: Readings from each reading to the next beginning of an event, `(N,)`; a
            large number where there is none before the next hole.
        open: Where an alarm may ring, `(N,)`: there is a forecast, no event, no low
            reading, and it is known whether an event follows within 45 minutes.
        starts: The first reading of each event that has a forecast at each of the nine
            readings before it, `(E,)`.
    """

    minutes: np.ndarray
    wait: np.ndarray
    open: np.ndarray
    starts: np.ndarray

    @property
    def days(self) -> float:
        """Days in which an alarm may ring."""
        return float(self.open.sum() / READINGS_A_DAY)


class Found(NamedTuple):
    """What a threshold gives.

    Attributes:
        leads: Minutes from the first alarm to each event, `(E,)`; NaN for no alarm.
        false_a_day: False alarms a day.
    """

    leads: np.ndarray
    false_a_day: float

    @property
    def sensitivity(self) -> float:
        """The share of the events that had an alarm."""
        return self.events / len(self.leads)

    @property
    def events(self) -> int:
        """How many events had an alarm."""
        return int((~np.isnan(self.leads)).sum())

    @property
    def median_lead(self) -> float:
        """The median of the minutes over all events: 0 for one without an alarm."""
        return float(np.median(np.nan_to_num(self.leads)))


def event_states(readings: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Whether each reading is in an event, `(N,)`.

    Args:
        readings: mg/dL, `(N,)`.
        holes: Whether a hole lies before each reading, `(N,)`. Events end there.
    """
    states = np.zeros(len(readings), bool)
    inside, other = False, 0  # readings in a row that say otherwise
    for row, (reading, hole) in enumerate(zip(readings, holes, strict=True)):
        if hole:
            inside, other = False, 0
        other = other + 1 if (reading < LOW) != inside else 0
        if other == RUN:
            inside, other = not inside, 0
            states[row - RUN + 1 : row] = inside
        states[row] = inside
    return states


def watch(
    minutes: np.ndarray, readings: np.ndarray, holes: np.ndarray, forecast: np.ndarray
) -> Watch:
    """What alarms are judged by.

    Args:
        minutes: Of each reading, since any time, `(N,)`.
        readings: mg/dL, `(N,)`.
        holes: Whether a hole lies before each reading, `(N,)`.
        forecast: Whether there is a forecast at each reading, `(N,)`.
    """
    states, never = event_states(readings, holes), len(readings)
    begins = states & ~np.append(False, states[:-1] & ~holes[1:])
    wait, left = np.full(never, never), np.zeros(never, int)
    for row in range(never - 2, -1, -1):
        if not holes[row + 1]:
            wait[row] = 1 if begins[row + 1] else min(wait[row + 1] + 1, never)
            left[row] = left[row + 1] + 1
    known = (wait <= AHEAD) | (left >= AHEAD)
    able = forecast & ~states & (readings >= LOW) & known
    return Watch(minutes, wait, able, _seen(np.flatnonzero(begins), holes, forecast))


def _seen(begins: np.ndarray, holes: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """The events with nine readings and forecasts before them and no hole."""
    kept = [
        start
        for start in begins.tolist()
        if start >= AHEAD
        and not holes[start - AHEAD + 1 : start + 1].any()
        and forecast[start - AHEAD : start].all()
    ]
    return np.array(kept, int)


def raise_alarms(seen: Watch, predicted: np.ndarray, threshold: float) -> np.ndarray:
    """The readings at which an alarm rings, as `judge` has it."""
    alarms: list[int] = []
    for row in np.flatnonzero(seen.open & (predicted < threshold)).tolist():
        if not alarms or seen.minutes[row] - seen.minutes[alarms[-1]] >= SILENT:
            alarms.append(row)
    return np.array(alarms, int)


def judge(seen: Watch, predicted: np.ndarray, threshold: float) -> Found:
    """Raise the alarms of a threshold, and count.

    Args:
        seen: What there is to find.
        predicted: The forecast at each reading, `(N,)`; NaN where there is none.
        threshold: mg/dL.
    """
    raised = raise_alarms(seen, predicted, threshold)
    false = int((seen.wait[raised] > AHEAD).sum())
    leads = np.full(len(seen.starts), np.nan)
    for event, start in enumerate(seen.starts.tolist()):
        before = raised[(raised >= start - AHEAD) & (raised < start)]
        if len(before):
            leads[event] = seen.minutes[start] - seen.minutes[before[0]]
    return Found(leads, false / seen.days)


THRESHOLDS = np.arange(0.0, 121.0)  # mg/dL


def curve(seen: Watch, predicted: np.ndarray) -> list[Found]:
    """What each of `THRESHOLDS` gives."""
    return [judge(seen, predicted, threshold) for threshold in THRESHOLDS]


def highest(found: list[Found], most: float) -> int:
    """The highest threshold with at most so many false alarms a day, by its number."""
    fit = [k for k, one in enumerate(found) if one.false_a_day <= most]
    return max(fit, default=0)


def clopper_pearson(count: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share.

    References:
        Clopper and Pearson, *The use of confidence or fiducial limits*, 1934,
        doi:10.1093/biomet/26.4.404.
    """
    low = beta.ppf(0.025, count, trials - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, trials - count) if count < trials else 1.0
    return float(low), float(high)
