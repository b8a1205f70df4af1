"""What is drawn of a mismatch: values as they are, and as they should be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trajectory:
    """One quantity along time or another axis: as it is, and as it should be."""

    name: str
    given: tuple[float, ...]
    right: tuple[float, ...]


@dataclass(frozen=True)
class Mismatch:
    """Curves over the same places of an axis; the first place is number `start`."""

    title: str
    axis: str
    start: int
    curves: tuple[Trajectory, ...]
