"""Why an LSTM is wrong: the known mistake that explains the numbers, and where."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from parity.frameworks.layouts import GATES
from parity.judge import tolerance
from parity.judge.cases import Case, Problem
from parity.judge.tolerance import Exact
from parity.verify import sides
from parity.verify.mistakes import Mistake, mistakes
from parity.verify.mistakes.masks import PADDING

Array = np.ndarray
Values = Mapping[sides.Key, Array]
Truth = Mapping[sides.Key, Exact]


def advice(
    case: Case,
    problem: Problem,
    given: Mapping[str, Array],
    actual: Values,
    exact: Truth,
    again: Callable[[Problem], Values],
) -> list[str]:
    """Sentences for a check that failed: the mistake, then the first wrong place.

    Args:
        case: Sizes and type.
        problem: The arrays, with the right weights.
        given: The weights that JAX had.
        actual: What JAX gave.
        exact: What is right.
        again: What JAX gives for another problem of the same sizes.

    Returns:
        The mistake's name and cure if one explains the numbers, which weights differ
        from the right ones if some do, and the first wrong place.
    """
    wrong = _wrong(case, actual, exact)
    if case.lengths and any(np.isnan(value).any() for value in actual.values()):
        problem = problem.filled()
        filled = again(problem)
        if not _wrong(case, filled, exact):
            return [PADDING, *_place(case, actual, exact, wrong)]
        actual, wrong = filled, _wrong(case, filled, exact)
    found = _explanation(case, problem, actual, exact, wrong)
    sentences = [found.says] if found else []
    sentences += _different_weights(problem.params, given)
    return sentences + _place(case, actual, exact, wrong)


def _wrong(case: Case, actual: Values, exact: Truth) -> dict[sides.Key, float]:
    """The errors that are out of the budget."""
    errors = {key: _error(case, actual, exact, key) for key in exact}
    return {key: e for key, e in errors.items() if not e <= case.budget}


def _error(case: Case, actual: Values, exact: Truth, key: sides.Key) -> float:
    if key not in actual:
        return np.inf
    return case.distance(key[0], actual[key], exact[key]).error


def _explanation(
    case: Case, problem: Problem, actual: Values, exact: Truth, wrong: Mapping
) -> Mistake | None:
    """The mistake nearest to what JAX gave, if it is near enough."""
    gradients = all(cotangents for _, cotangents in wrong)
    nearest, best = None, min(tolerance.MATCH, max(wrong.values()) / tolerance.CLEARER)
    for mistake in mistakes():
        if mistake.gradients == gradients and mistake.applies(case):
            values = _values(mistake, problem, gradients)
            far = max(
                _error(case, actual, _as_exact(values, exact), key) for key in values
            )
            if far < best:
                nearest, best = mistake, far
    return nearest


def _values(mistake: Mistake, problem: Problem, gradients: bool) -> Values:
    """What the mistake would give: outputs alone, or gradients alone."""
    if gradients:
        values = sides.of_jax(mistake, problem)
        return {key: value for key, value in values.items() if key[1]}
    return sides.outputs_of_jax(mistake.run, problem, mistake.change)


def _as_exact(values: Values, exact: Truth) -> Truth:
    """The mistake's values in place of the exact ones, with the same noise."""
    return {
        key: replace(exact[key], value=value.astype(exact[key].value.dtype))
        for key, value in values.items()
    }


def _different_weights(
    right: Mapping[str, Array], given: Mapping[str, Array]
) -> list[str]:
    """The sentence that says which weights differ, and in which gates."""
    places = []
    for name, array in right.items():
        other = given.get(name)
        if other is None or other.shape != array.shape:
            places.append(name)
        elif not np.array_equal(array, other):
            gates = _different_gates(array, other) if "weight_hr" not in name else ""
            places.append(f"{name} (gates {', '.join(gates)})" if gates else name)
    return [f"The weights given differ in {'; '.join(places)}."] if places else []


def _different_gates(right: Array, given: Array) -> str:
    blocks = zip(GATES, np.split(right, 4), np.split(given, 4), strict=True)
    return "".join(gate for gate, a, b in blocks if not np.array_equal(a, b))


def _place(case: Case, actual: Values, exact: Truth, wrong: Mapping) -> list[str]:
    """The first wrong layer, direction, gate and time step, as far as they show."""
    parts = []
    for key in (("h_n", ""), ("c_n", ""), ("ys", "")):
        if key in wrong and np.isfinite(wrong[key]) and actual[key].size:
            far = tolerance.elementwise(actual[key], exact[key], case.dtype)
            row = int(np.argmax((far > case.budget).reshape(len(far), -1).any(1)))
            timed = key[0] == "ys"
            place = f"time step {row}" if timed else layer_of_row(case, row)
            parts.append(f"{key[0]} at {place}")
    if not parts:
        tensor = max(wrong, key=lambda key: wrong[key])
        parts = [_place_of_gradient(case, actual, exact, tensor)]
    return [f"First wrong: {'; '.join(parts)}."]


def layer_of_row(case: Case, row: int) -> str:
    """The layer and direction of a row of the state."""
    layer, direction = divmod(row, case.spec.num_directions)
    return f"layer {layer}, {'reverse' if direction else 'forward'}"


def _place_of_gradient(case: Case, actual: Values, exact: Truth, key: sides.Key) -> str:
    """Layer, direction and gate of a parameter, layer of a state, time step of xs."""
    name = key[0].removeprefix("d_")
    known = key in actual and actual[key].shape == exact[key].value.shape
    if not known or not key[1]:
        return key[0]
    index = case.distance(key[0], actual[key], exact[key]).index
    if not index:
        return key[0]
    if name == "xs":
        return f"{key[0]} at time step {index[0]}"
    if name in ("h0", "c0", "reset_h", "reset_c"):
        return f"{key[0]} at {layer_of_row(case, index[0])}"
    layer = name.removesuffix("_reverse").rpartition("_l")[2]
    direction = "reverse" if name.endswith("_reverse") else "forward"
    gate = GATES[index[0] // case.hidden_size] if "weight_hr" not in name else ""
    place = f"{key[0]} at layer {layer}, {direction}"
    return f"{place}, gate {gate}" if gate else place
