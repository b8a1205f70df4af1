"""Confirm that an LSTM is torch's: outputs, states and every gradient."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax
from parity.arrays import numpy_of
from parity.judge import tolerance
from parity.judge.cases import SETS, Case, Problem
from parity.machine import memory
from parity.report.report import Report, Row
from parity.verify import diagnose, sides
from parity.verify.mismatch import mismatch

_KEPT = 12  # arrays of the cell's size that the oracle keeps of a step
DTYPES = ("float32", "float64", "bfloat16", "float16")


def check(
    module: Any,
    params: Any = None,
    *,
    xs: Any = None,
    run: sides.Run = lstm_jax.lstm,
    batch: int | tuple[int, ...] = 3,
    steps: int = 7,
    lengths: bool = False,
    resets: bool = False,
    reset_state: bool = False,
    dtype: str = "float32",
    seed: int = 0,
    precision: str = "highest",
    device: Any = None,
) -> Report:
    """Compare an LSTM in JAX with torch's, on random inputs, by an exact oracle.

    Outputs, `h_n`, `c_n`, and the gradients with respect to `xs`, `h0`, `c0` and every
    parameter, for random cotangents on all outputs together and on each alone.

    Args:
        module: Whose weights are right: `torch.nn.LSTM` or `LSTMCell`, `lstm_jax.LSTM`
            or `LSTMCell`, or a mapping of torch's names to arrays.
        params: The weights that JAX is given, such as converted ones; None means those
            of `module`.
        xs: Inputs `(T, *B, I)` in place of random ones; `steps` and `batch` are theirs.
        run: The function that is checked, anyone's: time first,
            `run(params, xs, state) -> (ys, (h, c))`, and by name what is asked for of
            `lengths`, `resets` and `reset_state`, see `lstm_jax.lstm`.
        batch: Size of the batch, or of several batch axes; `()` means unbatched.
        steps: Time steps.
        lengths: Whether rows have 0 to T steps; NaN past them.
        resets: Whether rows start anew at random steps.
        reset_state: Whether they do so from a random state in place of zeros.
        dtype: "float32", "float64", "bfloat16" or "float16": weights and inputs are
            rounded to it first. The cell is at least float32.
        seed: Of inputs and cotangents.
        precision: Of JAX's products; anything below "highest" may round them.
        device: The JAX device; None means the default one.

    Returns:
        A report with a row for each tensor and set of cotangents. Where a row fails,
        its `advice` names the mistake that explains the numbers, if one is known.

    Raises:
        TypeError: If `module` is none of these.
        ValueError: If weights, `xs` or `dtype` do not fit.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> check(params).ok
        True
        >>> def forgetful(params, xs, state):
        ...     return lstm_jax.lstm(params, xs)
        >>> print(check(params, run=forgetful).advice[0])
        The state before is ignored: hand it to the first step.
    """
    right = _params_of(module, dtype)
    given = right if params is None else _params_of(params, dtype)
    spec = lstm_jax.spec_of(right)
    if xs is not None:
        xs = _inputs(xs, spec, dtype)
        steps, batch = xs.shape[0], xs.shape[1:-1]
    batch = (batch,) if isinstance(batch, int) else tuple(batch)
    sizes = {"batch": min(batch, default=0), "steps": steps, "seed": seed}
    for name, value in sizes.items():
        _refuse_negative(name, value)
    _check_masks(spec, resets, reset_state)
    case = Case.of(
        spec,
        name="check",
        batch=batch,
        steps=steps,
        lengths=lengths,
        resets=resets,
        reset_state=reset_state,
        dtype=dtype,
        seed=seed,
    )
    options = {"run": run, "precision": precision, "device": device}
    return compare(case, right, given, xs, **options)


def check_case(case: Case, **options: Any) -> Report:
    """Compare JAX and torch on a case, with the weights it draws."""
    return compare(case, None, None, **options)


def compare(
    case: Case,
    right: Mapping[str, np.ndarray] | None,
    given: Mapping[str, np.ndarray] | None,
    xs: np.ndarray | None = None,
    *,
    run: sides.Run = lstm_jax.lstm,
    precision: str = "highest",
    device: Any = None,
) -> Report:
    """Compare `run` on given weights with torch and the oracle on the right ones."""
    problem = case.draw(right, xs)
    theirs = problem if given is None else problem._replace(params=dict(given))
    exact = sides.of_oracle(problem)
    torch = sides.of_torch(problem) or {}
    run = _fresh(run)

    def values(problem: Problem) -> dict[sides.Key, np.ndarray]:
        return sides.of_jax(run, problem, precision=precision, device=device)

    settings = {"precision": precision, "device": device}
    alone = sides.outputs_of_jax(run, theirs, **settings)
    actual = _farther(case, exact, values(theirs), alone)
    rows = [_row(case, key, exact[key], actual, torch) for key in exact]
    report = Report(case.name, rows, facts=_facts(case, precision, device))
    if report.ok:
        return report
    sentences = diagnose.advice(
        case,
        problem,
        theirs.params,
        actual,
        exact,
        lambda other: values(other._replace(params=theirs.params)),
    )
    drawn = mismatch(case, problem, theirs.params, actual, exact)
    return replace(report, advice=sentences, mismatch=drawn)


def _farther(
    case: Case,
    exact: Mapping[sides.Key, tolerance.Exact],
    values: Mapping[sides.Key, np.ndarray],
    alone: Mapping[sides.Key, np.ndarray],
) -> dict[sides.Key, np.ndarray]:
    """Of the outputs with gradients and without, each time those farther from exact.

    Nobody is to get a program that was not compared: XLA is given another for outputs
    alone.
    """

    def error(found: Mapping[sides.Key, np.ndarray], key: sides.Key) -> float:
        return case.distance(key[0], found[key], exact[key]).error

    worse = {key for key in alone if error(alone, key) > error(values, key)}
    return {**values, **{key: alone[key] for key in worse}}


def _fresh(run: sides.Run) -> sides.Run:
    """The function as a new one, so that no program of an earlier check is reused.

    It may have changed since, or something it calls.
    """
    if run is lstm_jax.lstm:
        return run

    def fresh(*arrays: Any, **masks: Any) -> Any:
        return run(*arrays, **masks)

    return fresh


def _row(
    case: Case,
    key: sides.Key,
    exact: tolerance.Exact,
    actual: Mapping[sides.Key, np.ndarray],
    torch: Mapping[sides.Key, np.ndarray],
) -> Row:
    found = tolerance.Distance(np.inf, reason="is missing")
    if key in actual:
        found = case.distance(key[0], actual[key], exact)
    known = key in torch
    theirs = case.distance(key[0], torch[key], exact).error if known else None
    profiles = [_profile(case, key, exact, values) for values in (actual, torch)]
    return Row(*key, found, theirs, case.budget, *profiles)


def _profile(
    case: Case,
    key: sides.Key,
    exact: tolerance.Exact,
    values: Mapping[sides.Key, np.ndarray],
) -> tuple[float, ...]:
    """The error over time, or over layers and directions, of what has such an axis."""
    if key[0] not in ("ys", "h_n", "c_n", "d_xs") or key not in values:
        return ()
    return tolerance.profile(values[key], exact, case.dtype)


def _facts(case: Case, precision: str, device: Any) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        **asdict(case),
        "precision": precision,
        "device": (device or jax.devices()[0]).device_kind,
        "jax": jax.__version__,
    }


def _params_of(module: Any, dtype: str) -> dict[str, np.ndarray]:
    """The weights of a module, of either framework, or a mapping, as one LSTM's."""
    source = module
    if not isinstance(module, Mapping):
        if hasattr(module, "state_dict"):
            source = module.state_dict()
        elif callable(getattr(module, "params", None)):
            source = module.params()
        else:
            raise TypeError(
                f"check: module must be an LSTM, an LSTMCell or a mapping, not "
                f"{type(module).__name__}: its weights are compared. "
                "Use a state dict of torch's names."
            )
    return _cast(source, dtype)


def _check_masks(spec: lstm_jax.LSTMSpec, resets: bool, reset_state: bool) -> None:
    if resets and spec.bidirectional:
        raise ValueError(
            "check: resets=True must not be asked of a bidirectional LSTM: its reverse "
            "direction would see the next sequence. Use lengths."
        )
    if reset_state and not resets:
        raise ValueError(
            "check: reset_state=True must come with resets: it is the state after one. "
            "Use resets=True."
        )


def _refuse_negative(name: str, value: int) -> None:
    if not isinstance(value, int) or value < 0:
        raise ValueError(
            f"check: {name}={value!r} must be a whole number of 0 or more: arrays of "
            "that size are drawn. Use the default."
        )


def _inputs(xs: Any, spec: lstm_jax.LSTMSpec, dtype: str) -> np.ndarray:
    """The inputs as a finite array of the type that is checked."""
    shape = np.shape(xs)
    if len(shape) < 2 or shape[-1] != spec.input_size:
        raise ValueError(
            f"check: xs.shape={shape} must be (T, *B, {spec.input_size}): the LSTM "
            f"takes {spec.input_size} features. Put time first and features last."
        )
    needed, held = _bytes_needed(shape, spec, dtype), memory()
    if needed > held:
        raise ValueError(
            f"check: xs.shape={shape} must need less than {held / 2**30:.1f} GiB of "
            f"memory, all there is: every step is kept, and the check needs "
            f"{needed / 2**30:.1f} GiB. Give fewer steps or rows."
        )
    return _number("xs", xs, dtype, "Give numbers in the range of the type.")


def _bytes_needed(shape: tuple[int, ...], spec: lstm_jax.LSTMSpec, dtype: str) -> float:
    """About what the oracle keeps of all steps, within twice: states, gradients."""
    wide = 16 if dtype == "float64" else 8
    layers, directions = spec.num_layers, spec.num_directions
    kept = layers * directions * _KEPT * spec.hidden_size
    sets = len(SETS) * (5 * spec.input_size + 3 * directions * spec.output_size)
    return (
        float(np.prod(shape[:-1])) * (1 + tolerance.NOISE_RUNS) * wide * (kept + sets)
    )


def _number(
    name: str, value: Any, dtype: str, cure: str = "Repair the weights first."
) -> np.ndarray:
    """A weight, or the inputs, as a finite array of the type that is checked."""
    array = numpy_of(name, value, "check")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"check: {name}.dtype={array.dtype} must be a floating type: the equations "
            "are real. Convert a quantised model back first."
        )
    with np.errstate(over="ignore"):  # what overflows is refused below
        array = array.astype(jnp.dtype(dtype))
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        raise ValueError(
            f"check: {name} must be finite: it holds {len(wrong)} values that are not, "
            f"the first at {wrong[0].tolist()}. {cure}"
        )
    return array


def _cast(params: Mapping[str, Any], dtype: str) -> dict[str, np.ndarray]:
    """The weights as arrays of the type that is checked, a cell's as one layer's."""
    if dtype not in DTYPES:
        raise ValueError(
            f"check: {dtype=} must be one of {', '.join(DTYPES)}: the tolerance is "
            "known for these. Use 'float32'."
        )
    arrays = {str(name): _number(str(name), params[name], dtype) for name in params}
    if "weight_ih" in arrays:
        arrays = {f"{name}_l0": array for name, array in arrays.items()}
    return arrays
