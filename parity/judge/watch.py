"""What is told while numbers are computed: by a bar, by lines, or by nobody."""

from collections.abc import Callable

# What is being done, and which share of it is done, from 0 to 1.
Tell = Callable[[str, float], None]


def silent(what: str, share: float) -> None:
    """Tell nobody."""
    del what, share
