"""Shrinking an LSTM while it fails in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lstm_jax
from parity.judge.cases import Case
from parity.judge.tensors import Run
from parity.report.report import Report
from parity.report.rows import FAIL
from parity.verify import given
from parity.verify.compare import compare
from parity.verify.conditions import Conditions
from parity.verify.mistakes import MISTAKES
from parity.verify.mistakes.lengths import PADDING
from parity.verify.prepared import prepared
from parity.verify.reduced.script import script_of
from parity.verify.reduced.trial import FLAGS, SIZES, Params, Trial

_KNOWN = {PADDING, *(mistake.says for mistake in MISTAKES)}


@dataclass(frozen=True)
class Reduced:
    """The smallest LSTM that was found to fail as the one that was given.

    Attributes:
        report: Of its check.
        case: Its sizes, type and seed.
        script: A script that makes this report again.
        tried: How many smaller LSTMs were checked.
    """

    report: Report
    case: Case
    script: str
    tried: int

    def __str__(self) -> str:
        return self.script


def reduce_failure(
    module: Any,
    params: Any = None,
    *,
    run: Run = lstm_jax.lstm,
    xs: Any = None,
    precision: str = "highest",
    device: Any = None,
    **options: Any,
) -> Reduced:
    """Make an LSTM that fails its check smaller, while it fails with the same advice.

    Layers, directions, steps, units, inputs, rows, masks; weights of one's own become
    drawn ones where these show it, too. The same advice is the same known mistake, or
    none.

    Args:
        module: Whose weights are right, as in `check`; not a whole `LSTMModel`.
        params: The weights that JAX is given, as in `check`.
        run: The function that is checked, as in `check`.
        xs: Inputs `(T, *B, I)`, as in `check`.
        precision: Of JAX's products.
        device: The JAX device, or its kind; None means the default one.
        **options: `batch`, `steps`, `lengths`, `resets`, `reset_state`, `dtype` and
            `seed` of `check`.

    Returns:
        The smallest that was found, and a script that shows it.

    Raises:
        ValueError: If the check does not fail, or an argument does not fit.
        TypeError: If `module` is none of these, or an option is unknown.

    Example:
        >>> def forgetful(params, xs, state):
        ...     return lstm_jax.lstm(params, xs)
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> found = reduce_failure(params, run=forgetful, steps=1, batch=())
        >>> found.case.hidden_size, found.case.steps, found.case.batch
        (1, 1, ())
    """
    conditions = Conditions(
        run=run, precision=precision, device=given.checked_device(device)
    )
    given.check_precision(precision)
    found = prepared(module, params, xs, run, options)
    return reduce(Trial(*found), conditions)


def reduce(trial: Trial, conditions: Conditions) -> Reduced:
    """The smallest that fails as this one, found by trying."""
    report = _checked(trial, conditions)
    if report.verdict != FAIL:
        raise ValueError(
            f"reduce_failure: the check must fail: it says {report.verdict!r}, and "
            "there is nothing to make smaller. Give what failed, with its seed."
        )
    search = _Search(conditions, _signature(report), trial, report)
    search.run()
    script = script_of(search.best, conditions, search.report)
    return Reduced(search.report, search.best.case, script, search.tried)


def _signature(report: Report) -> str:
    """The known mistake that explains the numbers; empty if there is none."""
    first = next(iter(report.advice), "")
    return first if first in _KNOWN else ""


def _checked(trial: Trial, conditions: Conditions) -> Report:
    dtype = trial.case.dtype
    right = given.checked_weights(trial.weights(), dtype)
    ours: Params = right if trial.ours is None else trial.ours
    return compare(trial.case, conditions, right, ours, trial.xs)


class _Search:
    """The best so far; a trial that fails in the same way replaces it."""

    def __init__(
        self, conditions: Conditions, signature: str, best: Trial, report: Report
    ) -> None:
        self.conditions, self.signature = conditions, signature
        self.best, self.report, self.tried = best, report, 0

    def run(self) -> None:
        """Try the smallest at once, then one respect after the other."""
        for make in (Trial.plainer, Trial.plainer, Trial.smallest):
            self._first(make(self.best))
        before = None
        while before is not self.best:
            before = self.best
            for name in (*FLAGS, *SIZES):
                self._first(self.best.smaller(name))

    def _first(self, trials: Iterator[Trial]) -> None:
        """Take the first that fails in the same way."""
        for trial in trials:
            self.tried += 1
            report = self._report(trial)
            if report is not None:
                self.best, self.report = trial, report
                return

    def _report(self, trial: Trial) -> Report | None:
        """The report, if it fails in the same way.

        A function of someone else may be unable to run at other sizes: any error that
        it raises means that this trial does not fail in the same way.
        """
        try:
            report = _checked(trial, self.conditions)
        except Exception:  # noqa: BLE001
            return None
        same = report.verdict == FAIL and _signature(report) == self.signature
        return report if same else None
