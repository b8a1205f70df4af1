"""Why an LSTM is wrong: the known mistake that explains the numbers, and where."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from lstm_jax import LSTMSpec
from parity.frameworks.layouts import GATES
from parity.judge import tolerance
from parity.judge.cases import Problem
from parity.judge.tensors import Array, Key
from parity.verify import sides
from parity.verify.compared import Compared, judged, named_place
from parity.verify.mistakes import MISTAKES, Mistake
from parity.verify.mistakes.lengths import PADDING

Again = Callable[[Problem], Mapping[Key, Array]]
_GRADIENTS_OF_STATES = ("d_h0", "d_c0", "d_reset_h", "d_reset_c")


def advice(compared: Compared, again: Again) -> list[str]:
    """Sentences for a check that failed: why it is wrong, and where.

    Args:
        compared: What was compared; something in it is wrong.
        again: What JAX gives, with the weights it had, for another problem of the same
            sizes.

    Returns:
        The sentence of the known mistake that explains the numbers, if there is one;
        then which weights differ from the right ones, if any do; last the first wrong
        place.
    """
    filled = _without_nan(compared, again)
    if filled.wrong:
        mistake = _explanation(filled)
        why = [mistake.says] if mistake else []
        compared = filled
    else:
        why = [PADDING]
    return [*why, *_different_weights(compared), _first_wrong(compared)]


def _without_nan(compared: Compared, again: Again) -> Compared:
    """Where NaN came out past given lengths: the same with ones past the lengths.

    It tells what reads the padding from what multiplies it by 0.
    """
    values = (one.value for one in compared.actual.values())
    if not compared.case.lengths or not any(np.isnan(value).any() for value in values):
        return compared
    problem = compared.problem.filled()
    actual = judged(compared.case, compared.exact, again(problem))
    return replace(compared, problem=problem, actual=actual)


def _explanation(compared: Compared) -> Mistake | None:
    """The mistake whose numbers are nearest to JAX's, if they are near enough."""
    wrong = compared.wrong
    gradients = all(cotangents for _, cotangents in wrong)
    worst = max(distance.error for distance in wrong.values())
    nearest, best = None, min(tolerance.MATCH, worst / tolerance.CLEARER)
    for mistake in MISTAKES:
        if mistake.gradients == gradients and mistake.applies(compared.case):
            values = _values_of(mistake, compared.problem)
            far = _error_from(compared, values)
            if far < best and _is_wrong(compared, values):
                nearest, best = mistake, far
    return nearest


def _is_wrong(compared: Compared, values: Mapping[Key, Array]) -> bool:
    """Whether a mistake makes a difference here: its own numbers are out of budget."""
    case, exact = compared.case, compared.exact
    errors = (case.distance(k[0], a, exact[k]).error for k, a in values.items())
    return not all(error <= case.budget for error in errors)


def _values_of(mistake: Mistake, problem: Problem) -> Mapping[Key, Array]:
    """What the mistake gets wrong: the gradients, or the outputs."""
    if not mistake.gradients:
        return sides.eager_outputs_of_jax(mistake.run, mistake.spoilt(problem))
    values = sides.of_jax(mistake, problem)
    return {key: value for key, value in values.items() if key[1]}


def _error_from(compared: Compared, values: Mapping[Key, Array]) -> float:
    """How far JAX's values are from these, with the noise of the exact ones."""
    return max(_error_of(compared, key, value) for key, value in values.items())


def _error_of(compared: Compared, key: Key, value: Array) -> float:
    if key not in compared.actual:
        return np.inf
    exact = compared.exact[key]
    taken = replace(exact, value=value.astype(exact.value.dtype))
    return compared.case.distance(key[0], compared.actual[key].value, taken).error


def _different_weights(compared: Compared) -> list[str]:
    """The sentence that says which weights differ, and in which gates."""
    places = []
    for name, right in compared.problem.params.items():
        other = compared.given.get(name)
        if other is None or other.shape != right.shape:
            places.append(name)
        elif not np.array_equal(right, other):
            gates = _different_gates(name, right, other)
            places.append(f"{name} (gates {', '.join(gates)})" if gates else name)
    return [f"The weights given differ in {'; '.join(places)}."] if places else []


def _different_gates(name: str, right: Array, given: Array) -> str:
    key = LSTMSpec.parse_key(name)
    if key is None or key.field == "weight_hr":
        return ""
    blocks = zip(GATES, np.split(right, 4), np.split(given, 4), strict=True)
    return "".join(gate for gate, a, b in blocks if not np.array_equal(a, b))


def _first_wrong(compared: Compared) -> str:
    """The first wrong layer, direction, gate and time step, as far as they show."""
    outputs = [("h_n", ""), ("c_n", ""), ("ys", "")]
    parts = [p for key in outputs if (p := _place_of_output(compared, key))]
    if not parts:
        errors = {key: distance.error for key, distance in compared.wrong.items()}
        parts = [_place_of_gradient(compared, max(errors, key=errors.__getitem__))]
    return f"First wrong: {'; '.join(parts)}."


def _place_of_output(compared: Compared, key: Key) -> str:
    """The first wrong layer and direction of a state, or time step of the outputs."""
    if key not in compared.wrong or not compared.wrong[key].index:
        return ""
    value, exact = compared.actual[key].value, compared.exact[key]
    wrong = tolerance.by_row(value, exact, compared.case.dtype) > compared.case.budget
    row = int(np.argmax(wrong))
    place = f"time step {row}" if exact.steps else compared.place_of_row(row)
    return f"{key[0]} at {place}"


def _place_of_gradient(compared: Compared, key: Key) -> str:
    """Layer, direction and gate of a parameter; layer of a state; time step of `xs`."""
    tensor, index = key[0], compared.wrong[key].index
    if not index:
        return tensor
    if tensor == "d_xs":
        return f"{tensor} at time step {index[0]}"
    if tensor in _GRADIENTS_OF_STATES:
        return f"{tensor} at {compared.place_of_row(index[0])}"
    place = LSTMSpec.parse_key(tensor.removeprefix("d_"))
    if place is None:
        return tensor
    where = f"{tensor} at {named_place(place.layer, place.direction)}"
    if place.field == "weight_hr":
        return where
    return f"{where}, gate {GATES[index[0] // compared.case.hidden_size]}"
