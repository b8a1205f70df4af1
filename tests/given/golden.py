"""Makes tests/given/golden.npz: run it only when the format changes."""

from importlib.metadata import version
from pathlib import Path

import jax

from parity.judge.cases import Case
from parity.verify.compare import compare
from parity.verify.compared import Compared
from parity.verify.conditions import Conditions
from parity.verify.saved import golden_of, write

SMALL = {"input_size": 2, "hidden_size": 2, "steps": 3, "batch": (2,)}
CASES = (
    Case(name="lengths", num_layers=2, bidirectional=True, lengths=True, **SMALL),
    Case(name="resets", resets=True, reset_state=True, **SMALL),
    Case(name="float64", proj_size=1, dtype="float64", **SMALL),
    Case(name="bfloat16", bias=False, dtype="bfloat16", **SMALL),
)

if __name__ == "__main__":
    kept: list[Compared] = []
    for case in CASES:
        assert compare(case, Conditions(keep=kept.append)).ok
    facts = {"jax": jax.__version__, "torch": version("torch"), "device": "cpu"}
    checks = [golden_of(compared, facts) for compared in kept]
    write(Path(__file__).with_name("golden.npz"), checks)
