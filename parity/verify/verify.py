"""Confirm that an LSTM is torch's: outputs, states and every gradient."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import jax

import lstm_jax
from parity.judge.cases import Case, Problem
from parity.judge.exact import of_oracle
from parity.judge.tensors import Array, Key, Run
from parity.judge.watch import Tell, silent
from parity.report.report import Report
from parity.report.rows import FAIL
from parity.verify import diagnose, given, models, sides
from parity.verify.compared import Compared, Judged, Side, judged
from parity.verify.given import DTYPES as DTYPES
from parity.verify.mismatch import mismatch


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The function that is checked, and what JAX runs it under; see `check`."""

    run: Run = lstm_jax.lstm
    precision: str = "highest"
    device: Any = None
    tell: Tell = silent

    @contextmanager
    def held(self) -> Iterator[None]:
        """Run a block at this precision and on this device."""
        with (
            jax.default_matmul_precision(self.precision),
            jax.default_device(self.device),
        ):
            yield

    def facts(self) -> dict[str, Any]:
        """What the numbers depend on."""
        return {
            "precision": self.precision,
            "device": (self.device or jax.devices()[0]).device_kind,
            "jax": jax.__version__,
        }


def check(
    module: Any,
    params: Any = None,
    *,
    xs: Any = None,
    run: Run = lstm_jax.lstm,
    batch: int | tuple[int, ...] = 3,
    steps: int = 7,
    lengths: bool = False,
    resets: bool = False,
    reset_state: bool = False,
    dtype: str = "float32",
    seed: int = 0,
    precision: str = "highest",
    device: Any = None,
    tell: Tell = silent,
) -> Report:
    """Compare an LSTM in JAX with torch's, on random inputs, by an exact oracle.

    Outputs, `h_n`, `c_n`, and the gradients with respect to `xs`, `h0`, `c0` and every
    parameter are compared, for random cotangents of all outputs together, and of each
    output by itself.

    Args:
        module: Whose weights are right: `torch.nn.LSTM` or `LSTMCell`, `lstm_jax.LSTM`
            or `LSTMCell`, or a mapping of torch's names to arrays. Of an `LSTMModel` or
            its torch twin, the predictions and the gradients of inputs and parameters
            are compared; it takes no `run` and no `resets`.
        params: The weights that JAX is given, such as converted ones; None means those
            of `module`.
        xs: Inputs `(T, *B, I)` in place of random ones; `steps` and `batch` are then
            theirs. Of an `LSTMModel`, `(B, T, I)`, or tokens `(B, T)`.
        run: The function that is checked, ours or yours: time first,
            `run(params, xs, state) -> (ys, (h, c))`. It is also given, by name, those
            of `lengths`, `resets` and `reset_state` that are asked for; see
            `lstm_jax.lstm`.
        batch: Size of the batch, or of several batch axes; `()` means unbatched.
        steps: Time steps.
        lengths: Whether rows have 0 to T steps, with NaN past them.
        resets: Whether rows start anew at random steps.
        reset_state: Whether they then start from a random state; else from zeros.
        dtype: "float32", "float64", "bfloat16" or "float16": weights and inputs are
            rounded to it first. The cell is at least float32.
        seed: Of inputs and cotangents.
        precision: Of JAX's products; anything below "highest" may round them.
        device: The JAX device, or its kind; None means the default one.
        tell: Called while it runs with what is being done and the share of it that is
            done, such as `("the oracle", 0.4)`.

    Returns:
        A report with a row for each tensor and set of cotangents. Its `sides` are what
        ran: where torch is not installed, JAX is compared with the oracle only. Its
        `verdict` is "ok", "FAIL", or "nothing to tell" where no weight changes a
        number: no row or no time step ran, or the gates are saturated; only the first
        is `ok`. Where a row fails,
        `advice` says what is wrong: first the known mistake that explains the numbers,
        if there is one; then which of the weights given differ from the right ones, if
        any do; last the first wrong place.

    Raises:
        TypeError: If `module` is none of these, or has a `forward` of its own.
        ValueError: If weights, `xs`, `dtype`, `device` or `precision` do not fit.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> check(params).ok
        True
        >>> def forgetful(params, xs, state):
        ...     return lstm_jax.lstm(params, xs)
        >>> print(check(params, run=forgetful).advice[0])
        The state before is ignored: hand it to the first step.
    """
    given.check_dtype(dtype)
    device = given.checked_device(device)
    given.check_precision(precision)
    whole = models.model_in(module)
    if whole is not None:
        conditions = Conditions(run=run, precision=precision, device=device)
        sizes: dict[str, Any] = {"steps": steps, "batch": batch, "lengths": lengths}
        sizes |= {"resets": resets, "dtype": dtype, "seed": seed}
        return _check_model(whole, params, xs, conditions, sizes)
    right = given.checked_weights(module, dtype)
    ours = right if params is None else given.checked_weights(params, dtype)
    spec = lstm_jax.spec_of(right)
    if run is lstm_jax.lstm:
        given.check_same_sizes(spec, ours)
    xs = given.checked_inputs(xs, spec, dtype)
    sizes = given.checked_sizes(xs, steps, batch)
    given.refuse_negative("seed", seed)
    masks = given.checked_masks(spec, lengths, resets, reset_state)
    case = Case.of(spec, name="check", dtype=dtype, seed=seed, **sizes, **masks)
    conditions = Conditions(run=run, precision=precision, device=device, tell=tell)
    return compare(case, conditions, right, ours, xs)


def _check_model(
    module: lstm_jax.LSTMModel,
    params: Any,
    xs: Any,
    conditions: Conditions,
    sizes: dict[str, Any],
) -> Report:
    """`check` of a whole model."""
    if sizes.pop("resets") or conditions.run is not lstm_jax.lstm:
        raise ValueError(
            "check: resets and run must be left out for an LSTMModel: its own call is "
            "checked, and that takes no resets. Use check(model.lstm, ...) for them."
        )
    case = models.ModelCase(**sizes)
    model = case.draw(module, given.checked_arrays(module.params(), case.dtype), xs)
    ours = model.params
    if params is not None:
        ours = given.checked_arrays(params, case.dtype)
        given.check_shapes(ours, module.shapes())
    found = models.compare_models(module, ours, model, case.dtype, conditions.held)
    size = sum(array.size for array in model.params.values())
    return replace(found, facts=sizes | conditions.facts() | {"parameters": size})


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
    run, held = _fresh(conditions.run), conditions.held

    def values(other: Problem) -> dict[Key, Array]:
        return sides.of_jax(run, other._replace(params=params), held)

    conditions.tell("JAX", 0.0)
    outputs = sides.outputs_of_jax(run, problem._replace(params=params), held)
    found = values(problem)
    exact = of_oracle(problem, conditions.tell)
    side = partial(judged, case, exact)
    conditions.tell("torch" if not sides.torch_not_run(problem) else "", 1.0)
    compared = Compared(
        case=case,
        problem=problem,
        given=params,
        exact=exact,
        actual=_worse_of(side(found), side(outputs)),
        torch=side(sides.of_torch(problem)),
    )
    size = sum(array.size for array in problem.params.values())
    facts = asdict(case) | conditions.facts() | {"parameters": size}
    why = sides.torch_not_run(problem)
    report = Report(
        case.name,
        compared.rows(),
        facts=facts,
        not_run={"torch": why} if why else {},
        untold=compared.untold(),
    )
    if report.verdict != FAIL:
        return report
    conditions.tell("the known mistakes", 1.0)
    advice = diagnose.advice(compared, values)
    return replace(report, advice=advice, mismatch=mismatch(compared))


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
