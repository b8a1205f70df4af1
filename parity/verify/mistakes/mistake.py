"""What a known mistake is: a wrong LSTM, and the sentence that names it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lstm_jax
from parity.judge.cases import Case
from parity.verify.mistakes.changes import Change, Params

Run = Callable[..., tuple[Any, Any]]


def everywhere(case: Case) -> bool:
    """It can happen to any LSTM."""
    del case
    return True


@dataclass(frozen=True)
class Mistake:
    """A wrong LSTM: `run` on parameters changed by `change`.

    `gradients` says whether its outputs are right and its gradients alone are wrong;
    `applies`, whether a case can have it.
    """

    name: str
    says: str
    change: Change = lambda params, spec: params  # noqa: ARG005
    run: Run = lstm_jax.lstm
    gradients: bool = False
    applies: Callable[[Case], bool] = everywhere

    def __call__(
        self, params: Params, xs: Any, state: Any, **masks: Any
    ) -> tuple[Any, Any]:
        """Run it as one would run `lstm_jax.lstm`."""
        changed = self.change(params, lstm_jax.spec_of(params))
        return self.run(changed, xs, state, **masks)
