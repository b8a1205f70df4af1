"""All that turns a table into windows: what a prediction needs of the training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_jax.train.table.columns.groups import (
    check_static,
    read_groups,
    read_static,
    static_columns,
)
from lstm_jax.train.table.columns.numbers import need_numbers
from lstm_jax.train.table.columns.roles import Roles, check_columns, check_frame
from lstm_jax.train.table.features import Columns, Plan, feature_names
from lstm_jax.train.table.notes import Notes, notes_on
from lstm_jax.train.table.options import Options
from lstm_jax.train.table.scales import Scales
from lstm_jax.train.table.source import count_known, find_ends, source_of
from lstm_jax.train.table.standardizer import Standardizer
from lstm_jax.train.table.times.dates import Instants, read_instants
from lstm_jax.train.table.times.steps import (
    Step,
    find_segments,
    in_series,
    say_holes,
)
from lstm_jax.train.table.windows import Windows

FORMAT = 1
StaticTable = dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class Recipe(Plan):
    """All that turns a table into windows, found on the training part only.

    It has the attributes of `Plan`, too.

    Attributes:
        kind: "dates", "numbers", or "rows" for a table without a column of times.
        step: The time between two rows: microseconds for dates.
        form: How dates in text are written; None where they are no text.
        static: Static numbers by column and group, where they came in a table of
            their own; None where they are columns of the table.
    """

    kind: str
    step: Step
    form: str | None
    static: StaticTable | None = None

    @property
    def window(self) -> int:
        """Rows of a window."""
        return self.options.window or 1

    @property
    def horizon(self) -> int:
        """Steps ahead; 0 for the target at the window's last row."""
        return self.options.horizon

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, `(I,)`, such as `flow`, `promo[+2]`."""
        return feature_names(self)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, `(O,)`, step by step, such as `flow[+1]`."""
        steps = [f"[+{k}]" for k in range(1, self.horizon + 1)] or [""]
        return tuple(f"{name}{step}" for step in steps for name in self.roles.target)

    def windows(
        self,
        df: pd.DataFrame,
        *,
        every: bool = True,
        static: pd.DataFrame | None = None,
    ) -> Windows:
        """The windows of another table, made as those of training were.

        Args:
            df: A table with the same columns. The target may be left out where the
                model does not read its past.
            every: Whether a window stands at every row that has enough rows before it
                (and, with future columns, the predicted rows after it); if not, only
                where a target is known.
            static: A table with a row for each group, where training had one: for
                groups that it did not have. Those of training are remembered.

        Returns:
            The windows; no part counts here, so their rows may be of any.

        Raises:
            ValueError: If a column is missing, is no number, or misses a value that
                training would have refused; or a group has no scale.

        Example:
            >>> import pandas as pd
            >>> from lstm_jax import train
            >>> flow = np.sin(np.arange(60.0))
            >>> made = train.windows(
            ...     pd.DataFrame({"flow": flow}), target="flow", window=3
            ... )
            >>> new = made.recipe.windows(pd.DataFrame({"flow": flow[:5]}))
            >>> len(new), new.times  # rows 2, 3 and 4 have two rows before them
            (3, array([2, 3, 4]))
        """
        notes = notes_on("recipe.windows", df)
        columns = self._columns(notes, df, static)
        source, ahead = source_of(notes, self, self.step, columns)
        ends = find_ends(source, ahead, reach=not every or bool(self.roles.future))
        if not every:
            ends = ends[count_known(source, ends) > 0]
        return Windows(source, ends, tuple(notes.said))

    def _columns(
        self, notes: Notes, df: pd.DataFrame, static: pd.DataFrame | None
    ) -> Columns:
        roles, options = self.roles, self.options
        frame = check_frame(notes, df, [n for n in (roles.time, roles.group) if n])
        check_columns(notes, frame, self._needed())
        groups = read_groups(notes, frame, roles.group)
        instants = read_instants(notes, frame, roles.time, self.form)
        self._check_kind(notes, instants)
        numbers = self._numbers(notes, frame)
        series = in_series(notes, groups, instants, options.duplicates)
        segments = find_segments(series, self.step, options.max_gap)
        say_holes(notes, series, segments, self.step, options.max_gap)
        values = {name: held[series.rows] for name, held in numbers.items()}
        if self.static is None:
            held = check_static(notes, frame, groups, roles.static)
            values |= {name: held[name][series.rows] for name in held}
        else:
            more = {} if static is None else read_static(notes, static, roles.group)
            table = {n: held | more.get(n, {}) for n, held in self.static.items()}
            values |= static_columns(notes, table, (series.names, series.group))
        return Columns(series, segments, values, self.scales.rows_of(notes, series))

    def _needed(self) -> dict[str, tuple[str, ...]]:
        roles = self.roles
        needed = {
            "inputs": roles.inputs,
            "future": roles.future,
            "static": roles.static if self.static is None else (),
            "time": (roles.time,) if roles.time else (),
            "group": (roles.group,) if roles.group else (),
        }
        return ({"target": roles.target} if self.options.past else {}) | needed

    def _numbers(self, notes: Notes, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        roles, nothing = self.roles, np.full(len(frame), np.nan)
        return {
            name: need_numbers(notes, frame, name, role) if name in frame else nothing
            for role in ("target", "inputs", "future")
            for name in getattr(roles, role)
        }

    def _check_kind(self, notes: Notes, instants: Instants) -> None:
        if instants.kind != self.kind:
            raise notes.wrong(
                f"time={self.roles.time!r} must hold {self.kind}: training had them, "
                f"and here are {instants.kind}. Write the times as there."
            )

    def to_json(self) -> dict[str, Any]:
        """What `json.dump` writes; `from_json` reads it to the last bit."""
        return {
            "format": FORMAT,
            "roles": self.roles.to_json(),
            "options": asdict(self.options),
            "flagged": list(self.flagged),
            "calendar": list(self.calendar),
            "standardizer": self.standardizer.to_json(),
            "scales": self.scales.to_json(),
            "kind": self.kind,
            "step": self.step,
            "form": self.form,
            "static": self.static,
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Recipe":
        """The recipe that `to_json` wrote.

        Raises:
            ValueError: If it has another format or other parts.
        """
        names = ("roles", "options", "flagged", "calendar", "standardizer", "scales")
        names = {"format", *names, "kind", "step", "form", "static"}
        if held.get("format") != FORMAT or set(held) != names:
            raise ValueError(
                f"Recipe.from_json: format={held.get('format')!r} must be {FORMAT} "
                f"with {', '.join(sorted(names))}: Recipe.to_json writes these. Use "
                "the version of lstm_jax that wrote it."
            )
        return cls(
            Roles.from_json(held["roles"]),
            Options(**held["options"]),
            tuple(held["flagged"]),
            tuple(held["calendar"]),
            Standardizer.from_json(held["standardizer"]),
            Scales.from_json(held["scales"]),
            held["kind"],
            held["step"],
            held["form"],
            held["static"],
        )
