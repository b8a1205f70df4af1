"""Confirm that an LSTM is torch's: outputs, states and every gradient."""

from dataclasses import replace
from typing import Any

import lstm_jax
from parity.judge.tensors import Run
from parity.judge.watch import Tell, silent
from parity.report.report import Report
from parity.verify import given, models
from parity.verify.compare import compare
from parity.verify.conditions import Conditions
from parity.verify.prepared import prepared


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
    conditions = Conditions(run=run, precision=precision, device=device, tell=tell)
    sizes: dict[str, Any] = {"steps": steps, "batch": batch, "lengths": lengths}
    sizes |= {"resets": resets, "dtype": dtype, "seed": seed}
    whole = models.model_in(module)
    if whole is not None:
        return _check_model(whole, params, xs, conditions, sizes)
    sizes["reset_state"] = reset_state
    what = prepared(module, params, xs, run, sizes)
    return compare(what.case, conditions, what.right, what.ours, what.xs)


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
