"""A check as it is kept in a golden file, and the names of its parts there.

A golden file is an `.npz` archive. Every array has a name such as `0/exact/d_xs`: the
number of the check, what it is, and the tensor; the first axis of a gradient is for
the sets of cotangents. `golden` is JSON, as bytes: the version of the format, and
the case and the makers of each check. Arrays of bfloat16 are kept as float32, which
holds them, and exact values wider than float64 as two numbers, `exact` and `rest`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from parity.judge.cases import Case, Problem
from parity.judge.tensors import Array, Key
from parity.judge.tolerance import Exact

FORMAT = 1
ABOUT = "golden"
SIDES = ("jax", "torch")


@dataclass(frozen=True, eq=False, kw_only=True)
class Golden:
    """A check as it is kept.

    Attributes:
        case: What was checked, by its name; sizes, type and seed.
        problem: The arrays, with the right weights.
        given: The weights that JAX was given.
        exact: The right values.
        sides: What `jax` gave, and `torch` where it ran.
        facts: What it was made by: versions and device.
    """

    case: Case
    problem: Problem
    given: Mapping[str, Array]
    exact: Mapping[Key, Exact]
    sides: Mapping[str, Mapping[Key, Array]]
    facts: Mapping[str, str]
