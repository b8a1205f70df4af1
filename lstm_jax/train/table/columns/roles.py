"""What each column is to the model: its role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from lstm_jax.train.table.columns.groups import constant_within
from lstm_jax.train.table.columns.numbers import need_numbers, read_numbers
from lstm_jax.train.table.notes import Notes, listed, nearest

PREDICTED = ("group", "time", "step")  # columns of predictions
MANY = ("target", "inputs", "future", "static")


@dataclass(frozen=True)
class Roles:
    """The columns of a table by what they are to the model.

    Attributes:
        target: What is predicted, one or more.
        inputs: Known up to now.
        future: Known for the predicted steps, too.
        static: Constant within a group.
        time: When a row was; None means that rows are in the order of time.
        group: Whose row it is; None means that there is one series.
    """

    target: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None

    def read(self, past: bool) -> tuple[str, ...]:
        """The columns that a model reads up to now, the target's past among them."""
        return (*(self.target if past else ()), *self.inputs)

    def to_json(self) -> dict[str, Any]:
        """The roles as `json.dump` writes them."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Roles":
        """The roles that `to_json` wrote."""
        read: Any = {k: tuple(v) if k in MANY else v for k, v in held.items()}
        return cls(**read)

    def without(self, names: Sequence[str]) -> "Roles":
        """The same without some of the columns."""
        kept = {
            role: tuple(n for n in getattr(self, role) if n not in names)
            for role in ("inputs", "future", "static")
        }
        return replace(self, **kept)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def as_tuple(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names as they were given: one, several or none."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def check_frame(
    notes: Notes, frame: pd.DataFrame, named: Sequence[str]
) -> pd.DataFrame:
    """The table with the named levels of its index as columns, and unique names."""
    levels = [n for n in frame.index.names if n in named and n not in frame.columns]
    if levels:
        frame = frame.reset_index(level=levels)
    names = [str(name) for name in frame.columns]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise notes.wrong(
            f"{listed(doubled)} must name one column: the table has several. Rename "
            "all but one."
        )
    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.set_axis(names, axis=1)
    if not len(frame):
        raise notes.wrong("the table must have rows: it has none. Give another.")
    return frame


def choose_roles(
    notes: Notes,
    frame: pd.DataFrame,
    asked: Mapping[str, tuple[str, ...]],
    default_inputs: bool,
    elsewhere: Sequence[str] = (),
) -> tuple[Roles, dict[str, np.ndarray]]:
    """Check the columns asked for; the default inputs are all other numeric ones.

    Args:
        notes: Where sentences go.
        frame: The table.
        asked: Columns by role, those of `Roles` and "split".
        default_inputs: Whether no inputs were asked for.
        elsewhere: Static columns that are in a table of their own.

    Returns:
        The roles, and the numbers of the targets, inputs and future columns.

    Raises:
        ValueError: If a column is not there, has two roles, or holds no numbers.
    """
    there = {r: tuple(n for n in asked[r] if n not in elsewhere) for r in asked}
    check_columns(notes, frame, there)
    _check_apart(notes, asked)
    if not asked["target"]:
        raise notes.wrong(
            "target=() must name a column: it is what the model predicts. The table "
            f"has {listed(frame.columns)}."
        )
    if held := [name for name in asked["target"] if name in PREDICTED]:
        raise notes.wrong(
            f"target={held[0]!r} must have another name: predictions have columns "
            f"{listed(PREDICTED)} of their own. Rename it."
        )
    numbers = {
        name: need_numbers(notes, frame, name, role)
        for role in ("target", "inputs", "future")
        for name in asked[role]
    }
    inputs = asked["inputs"]
    if default_inputs:
        taken = {name for names in asked.values() for name in names}
        others = _other_numbers(notes, frame, taken, bool(asked["time"]))
        inputs, numbers = tuple(others), numbers | others
    single: Any = {role: next(iter(asked[role]), None) for role in ("time", "group")}
    many: Any = {role: asked[role] for role in ("target", "future", "static")}
    return Roles(inputs=inputs, **many, **single), numbers


def check_columns(
    notes: Notes, frame: pd.DataFrame, asked: Mapping[str, tuple[str, ...]]
) -> None:
    """Refuse a name that is no column of the table, with the nearest one."""
    for role, names in asked.items():
        for name in names:
            if name not in frame.columns:
                raise notes.wrong(
                    f"{role}={name!r} must be a column of the table: it has "
                    f"{listed(frame.columns)}.{nearest(name, frame.columns)}"
                )


def _check_apart(notes: Notes, asked: Mapping[str, tuple[str, ...]]) -> None:
    held = [(name, role) for role, names in asked.items() for name in names]
    seen: dict[str, str] = {}
    for name, role in held:
        if name in seen:
            raise notes.wrong(
                f"{name!r} must have one role: it is named in {seen[name]} and in "
                f"{role}. Leave it out of one."
                if seen[name] != role
                else f"{role} must name {name!r} once: it does twice. Leave one out."
            )
        seen[name] = role


def _other_numbers(
    notes: Notes, frame: pd.DataFrame, taken: set[str], timed: bool
) -> dict[str, np.ndarray]:
    """The columns of numbers that have no role yet; the others are named."""
    rest = [name for name in frame.columns if name not in taken]
    held = {name: read_numbers(notes, frame, name) for name in rest}
    if texts := [name for name, values in held.items() if values is None]:
        notes.say(f"Left out, for they hold no numbers: {listed(texts)}.")
    dated = [n for n in texts if types.is_datetime64_any_dtype(frame[n])]
    dated += [n for n in texts if str(n).lower() in ("date", "time", "datetime")]
    if dated and not timed:
        notes.say(f"The rows are taken in their order: time={dated[0]!r} sorts them.")
    return {name: values for name, values in held.items() if values is not None}


def drop_constant(
    notes: Notes,
    roles: Roles,
    columns: Mapping[str, np.ndarray],
    by_name: Sequence[str],
) -> Roles:
    """Leave out default inputs that tell nothing; refuse what was asked for by name.

    Args:
        notes: Where sentences go.
        roles: The roles.
        columns: The values of the training rows.
        by_name: The roles whose columns were asked for by name.
    """
    names = (*roles.target, *roles.inputs, *roles.future, *roles.static)
    reasons = {name: _why_still(columns[name]) for name in names}
    still = {name: why for name, why in reasons.items() if why}
    for role in by_name:
        for name in [n for n in getattr(roles, role) if n in still]:
            raise notes.wrong(
                f"{role}={name!r} must change in the training part: {still[name]} "
                f"there. {_CURES.get(role, f'Leave it out of {role}.')}"
            )
    for name, why in still.items():
        notes.say(f"Left out, for {why} in the training part: {name!r}.")
    return roles.without(list(still))


_CURES = {"target": "Choose another target, or a larger training part by split=."}


_LEAST = 1e-30  # of what a column spreads over: less has no scale in float32


def _why_still(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    if not known.size:
        return "no value is known"
    spread = known.max() - known.min()
    if spread == 0:
        return f"all values are {known[0]:g}"
    return "" if spread >= _LEAST else f"all values lie within {spread:.0e}"


def offer_static(
    notes: Notes, roles: Roles, columns: Mapping[str, np.ndarray], group: np.ndarray
) -> None:
    """Name the inputs that are constant within each group."""
    if roles.group is None:
        return
    constant = {n: constant_within(columns[n], group) for n in roles.inputs}
    still = [name for name in roles.inputs if constant[name].all()]
    if still:
        notes.say(f"Constant within each group: {listed(still)}. Use static={still}.")
