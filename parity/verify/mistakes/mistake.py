"""What a known mistake is: a wrong LSTM, and the sentence that names it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

import lstm_jax
from parity.judge.cases import Case, Problem
from parity.judge.tensors import Run
from parity.verify.mistakes.changes import Change, Params, unchanged

_SMALLEST = Case(
    name="smallest",
    input_size=4,
    hidden_size=4,
    batch=(8,),
    reset_state=True,  # where there are resets
    seed=4,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mistake:
    """A wrong LSTM: `run` on parameters changed by `change`.

    Attributes:
        name: For tests and tables.
        says: The sentence for the user: what is wrong, then the cure.
        change: What the mistake does to the weights.
        run: What it does in place of `lstm_jax.lstm`.
        gradients: Whether its outputs are right and only its gradients are wrong.
        needs: What a case must have for the mistake to make a difference: options of
            `Case` and their least values; 0 stands for none.
    """

    name: str
    says: str
    change: Change = unchanged
    run: Run = lstm_jax.lstm
    gradients: bool = False
    needs: Mapping[str, int | bool] = field(default_factory=dict)

    def applies(self, case: Case) -> bool:
        """Whether the mistake can make a difference in the case."""
        has = {name: getattr(case, name) for name in self.needs}
        return all(
            has[name] >= needed if needed else not has[name]
            for name, needed in self.needs.items()
        )

    def smallest_case(self, **options: Any) -> Case:
        """A small case in which the mistake makes a difference, with these options.

        Its weights are square, so that a transposed one fits.
        """
        return replace(_SMALLEST, **{**self.needs, **options})

    def spoilt(self, problem: Problem) -> Problem:
        """The problem with the weights of the mistake."""
        spec = lstm_jax.spec_of(problem.params)
        with jax.enable_x64(True):
            changed = self.change(problem.params, spec)
            params = {name: np.asarray(array) for name, array in changed.items()}
        return problem._replace(params=params)

    def __call__(self, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
        """Run it as one would run `lstm_jax.lstm`."""
        changed = self.change(params, lstm_jax.spec_of(params))
        return self.run(changed, xs, state, **masks)
