"""What a peer makes of a work: a program that is verified, then timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parity.judge.cases import Problem
from parity.judge.tensors import Array


class Unsupported(Exception):  # noqa: N818
    """A runner cannot do a work; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A work made ready: arrays placed, code compiled.

    `call` does the work once and returns when it is done, or, on a GPU, when it is
    queued; `finish` waits for what `call` returned. `values` runs it on a given problem
    of the same shapes and names the results as torch does. `facts` are seconds of
    compiling, bytes, the backend. `peak`, asked for after the first call, gives the
    bytes of a device that a call takes; without it, the process's growth is taken.
    """

    call: Callable[[], Any]
    finish: Callable[[Any], Any]
    values: Callable[[Problem], Mapping[str, Array]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    peak: Callable[[], int] | None = None
