"""How windows are cut: the choices that are no columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm_jax.train.table.notes import Notes

CHANGE, LEVEL = "change", "level"
CHOICES: dict[str, tuple[str | None, ...]] = {
    "calendar": ("auto", "none"),
    "fill": (None, "last"),
    "predict": (None, CHANGE, LEVEL),
    "scale": (None, "group", "all"),
    "duplicates": (None, "first"),
}
COUNTS = {  # the least, what it counts, what to use instead
    "window": (1, "the rows of a window", "Leave it out for the longest season."),
    "horizon": (0, "the steps ahead", "Use 0 for the target at the row itself."),
    "max_gap": (1, "the steps from one row to the next", "Use 1 to cross no hole."),
}


@dataclass(frozen=True)
class Options:
    """How windows are cut.

    Attributes:
        horizon: Steps ahead; 0 for the target at the window's last row.
        past: Whether the target's own past is an input.
        predict: "change" from the last known value, or "level".
        fill: "last" for the last known value in place of a missing one, or None.
        max_gap: The most steps between two rows that a window crosses.
        duplicates: "first" to keep the first of several rows of one time, or None.
        window: Rows of a window; None until it is chosen.
    """

    horizon: int = 1
    past: bool = True
    predict: str = CHANGE
    fill: str | None = None
    max_gap: int = 1
    duplicates: str | None = None
    window: int | None = None


def check_options(notes: Notes, given: Mapping[str, Any]) -> Options:
    """The options of `windows`, by name, with what follows from one another.

    Raises:
        TypeError: If a count is no integer.
        ValueError: If a count is too small, a word unknown, or two contradict.
    """
    for name, words in CHOICES.items():
        if given[name] not in words:
            listed = ", ".join(map(repr, words))
            raise notes.wrong(
                f"{name}={given[name]!r} must be one of {listed}: there are no others."
            )
    for name in COUNTS:
        if name != "window" or given[name] is not None:
            _check_count(notes, name, given[name])
    past = given["past"] and given["horizon"] > 0
    if given["predict"] == CHANGE and not past:
        why = "horizon=0" if not given["horizon"] else "past=False"
        raise notes.wrong(
            f"predict='change' must not come with {why}: the model then does not see "
            "the value that changes. Use predict='level'."
        )
    predict = given["predict"] or (CHANGE if past else LEVEL)
    same = ("horizon", "fill", "max_gap", "duplicates", "window")
    kept = {name: given[name] for name in same}
    return Options(past=past, predict=predict, **kept)


def _check_count(notes: Notes, name: str, value: Any) -> None:
    least, what, cure = COUNTS[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(
            f"{notes.where}: {name}={value!r} must be an integer: it counts {what}."
        )
    if value < least:
        raise notes.wrong(
            f"{name}={value} must be {least} or more: it counts {what}. {cure}"
        )
