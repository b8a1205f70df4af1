"""JAX on a problem, beside torch and the exact values: the report."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import lstm_jax
from parity.judge.cases import Case, Problem
from parity.judge.exact import of_oracle
from parity.judge.tensors import Array, Key, Run
from parity.judge.tolerance import Exact
from parity.judge.watch import Tell
from parity.report.report import Report
from parity.report.rows import FAIL
from parity.verify import diagnose, sides
from parity.verify.compared import Compared, Judged, Side, judged
from parity.verify.conditions import Conditions
from parity.verify.mismatch import mismatch


@dataclass(frozen=True, eq=False)
class Reference:
    """What JAX is judged by: the exact values, and what torch gave, if it ran."""

    exact: Mapping[Key, Exact]
    torch: Mapping[Key, Array]
    without_torch: str = ""


def check_case(case: Case, **conditions: Any) -> Report:
    """Compare JAX and torch on a case, with the weights it draws.

    Args:
        case: Sizes, type and seed.
        conditions: `run`, `precision`, `device` and `tell` of `check`.
    """
    return compare(case, Conditions(**conditions))


def compare(
    case: Case,
    conditions: Conditions,
    right: Mapping[str, Array] | None = None,
    ours: Mapping[str, Array] | None = None,
    xs: Array | None = None,
) -> Report:
    """Compare JAX on our weights with torch and the oracle on the right ones.

    Args:
        case: Sizes, type and seed.
        conditions: The function that is checked, and what it runs under.
        right: The right weights; None means those that the case draws.
        ours: The weights that JAX is given; None means the right ones.
        xs: The inputs; None means those that the case draws.
    """
    problem = case.draw(right, xs)
    params = problem.params if ours is None else dict(ours)
    reference = partial(_reference, problem, conditions.tell)
    return compare_with(reference, case, problem, params, conditions)


def _reference(problem: Problem, tell: Tell) -> Reference:
    exact = of_oracle(problem, tell)
    why = sides.torch_not_run(problem)
    tell("" if why else "torch", 1.0)
    return Reference(exact, sides.of_torch(problem), why)


def compare_with(
    reference: Callable[[], Reference],
    case: Case,
    problem: Problem,
    params: Mapping[str, Array],
    conditions: Conditions,
) -> Report:
    """Compare JAX on these weights with what `reference` gives, once JAX has run."""
    run, held = _fresh(conditions.run), conditions.held

    def values(other: Problem) -> dict[Key, Array]:
        return sides.of_jax(run, other._replace(params=dict(params)), held)

    conditions.tell("JAX", 0.0)
    outputs = sides.outputs_of_jax(run, problem._replace(params=dict(params)), held)
    found = values(problem)
    right = reference()
    side = partial(judged, case, right.exact)
    compared = Compared(
        case=case,
        problem=problem,
        given=params,
        exact=right.exact,
        actual=_worse_of(side(found), side(outputs)),
        torch=side(right.torch),
    )
    conditions.keep(compared)
    report = _report(compared, conditions, right.without_torch)
    if report.verdict != FAIL:
        return report
    conditions.tell("the known mistakes", 1.0)
    advice = diagnose.advice(compared, values)
    return replace(report, advice=advice, mismatch=mismatch(compared))


def _report(compared: Compared, conditions: Conditions, without_torch: str) -> Report:
    size = sum(array.size for array in compared.problem.params.values())
    return Report(
        compared.case.name,
        compared.rows(),
        facts=asdict(compared.case) | conditions.facts() | {"parameters": size},
        not_run={"torch": without_torch} if without_torch else {},
        untold=compared.untold(),
    )


def _worse_of(values: Side, outputs: Side) -> dict[Key, Judged]:
    """The values, but the outputs where these are farther from exact.

    XLA compiles another program when no gradient is asked for; both must pass.
    """
    worse = {
        key: output
        for key, output in outputs.items()
        if output.distance.error > values[key].distance.error
    }
    return {**values, **worse}


def _fresh(run: Run) -> Run:
    """The function as a new one, so that no program of an earlier check is reused.

    The function may have changed since, or something that it calls.
    """
    if run is lstm_jax.lstm:
        return run

    def fresh(*arrays: Any, **masks: Any) -> Any:
        return run(*arrays, **masks)

    return fresh
