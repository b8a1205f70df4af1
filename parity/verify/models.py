"""A whole `LSTMModel` against its torch twin and the oracle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax
from parity.judge import tolerance
from parity.judge.exact import of_model
from parity.judge.tensors import Array, Key
from parity.judge.tolerance import Distance, Exact
from parity.judge.whole import PREDICTIONS, Model
from parity.report.report import Report, Row
from parity.report.rows import NOT_INSTALLED
from parity.verify import sides
from parity.verify.sides.jax import Held

_MISSING = Distance(np.inf, reason="is missing")
_ALL = "all"


def model_in(module: Any) -> lstm_jax.LSTMModel | None:
    """The `LSTMModel` that a module is, or is the torch twin of; None for others."""
    if isinstance(module, lstm_jax.LSTMModel):
        return module
    if type(module).__module__ != "parity.frameworks.twin":
        return None
    from parity.frameworks.kinds.torch import from_torch

    return from_torch(module)


@dataclass(frozen=True, kw_only=True)
class ModelCase:
    """What a model is run on: sizes, type and seed; see `parity.check`."""

    batch: int
    steps: int
    dtype: str
    seed: int
    lengths: bool

    def draw(
        self, module: lstm_jax.LSTMModel, params: Mapping[str, Array], xs: Any
    ) -> Model:
        """The arrays of a case; `xs` `(B, T, I)`, or tokens, replaces random ones."""
        rng, dtype = np.random.default_rng(self.seed), jnp.dtype(self.dtype)
        shape: Any = (self.batch, self.steps)
        features = (*shape, module.input_size)
        if xs is not None:
            xs, shape = np.asarray(xs), np.shape(xs)[:2]
        elif module.num_embeddings:
            xs = rng.integers(0, module.num_embeddings, shape)
        else:
            xs = rng.standard_normal(features)
        xs = xs if module.num_embeddings else xs.astype(dtype)
        lengths = rng.integers(1, shape[1] + 1, shape[0]) if self.lengths else None
        times = shape if module.outputs == "all" else shape[:1]
        cotangent = rng.standard_normal((*times, module.output_size)).astype(dtype)
        options = module.outputs, module.activation
        return Model(params, xs, lengths, cotangent, *options)


def compare_models(
    module: lstm_jax.LSTMModel,
    ours: Mapping[str, Array],
    model: Model,
    dtype: str,
    held: Held,
) -> Report:
    """The report of a model: predictions, and the gradients of inputs and parameters.

    Args:
        module: The model, for its options.
        ours: The parameters that JAX is given.
        model: The arrays, with the right parameters.
        dtype: Of all arrays.
        held: What JAX runs under.
    """
    exact = of_model(model, dtype)
    found = _of_jax(module, model._replace(params=ours), held)
    theirs = _of_torch(module, model) if sides.has_torch() else {}
    row = partial(_row, dtype=dtype)
    rows = [row(key, e, found.get(key), theirs.get(key)) for key, e in exact.items()]
    not_run = {} if theirs else {"torch": NOT_INSTALLED}
    report = Report("check", rows, not_run=not_run, untold=_untold(exact, dtype))
    return replace(report, advice=_advice(report, model.params, ours))


def _untold(exact: Mapping[Key, Exact], dtype: str) -> str:
    """Why numbers within the budget would say nothing, with the cure; else empty."""
    for (name, _), one in exact.items():
        zeros = np.zeros(one.value.shape, jnp.dtype(dtype))
        wrong = tolerance.distance(zeros, one, dtype).error > tolerance.BUDGETS[dtype]
        if "lstm.weight" in name and wrong:
            return ""
    return (
        "no weight of the LSTM has a gradient larger than its rounding. Give weights "
        "or inputs at which its gates and the head's activation still move."
    )


def _row(
    key: Key, exact: Exact, ours: Array | None, torch: Array | None, dtype: str
) -> Row:
    far = _MISSING if ours is None else tolerance.distance(ours, exact, dtype)
    theirs = None if torch is None else tolerance.distance(torch, exact, dtype).error
    difference = None
    if ours is not None and torch is not None and ours.shape == torch.shape:
        wide = ours.astype(np.float64) - torch.astype(np.float64)
        difference = float(np.abs(wide).max(initial=0))
    largest = float(np.abs(exact.value).max(initial=0))
    budget = tolerance.BUDGETS[dtype]
    return Row(*key, far, theirs, budget, difference=difference, largest=largest)


def _of_jax(module: Any, model: Model, held: Held) -> dict[Key, Array]:
    """Predictions and gradients by `jax.vjp` of the compiled model."""
    options = {name: getattr(module, name) for name in ("outputs", "activation")}

    @jax.jit
    def run(params: Any, xs: Any, lengths: Any, cotangent: Any) -> Any:
        def predict(params: Any, xs: Any) -> Any:
            made = lstm_jax.LSTMModel.from_params(params, **options)
            return made(xs, lengths=lengths)

        if module.num_embeddings:
            predictions, pullback = jax.vjp(lambda params: predict(params, xs), params)
            return predictions, *pullback(cotangent), None
        predictions, pullback = jax.vjp(predict, params, xs)
        return predictions, *pullback(cotangent)

    wide = model.cotangent.dtype == np.float64 or jax.config.read("jax_enable_x64")
    with held(), jax.enable_x64(wide):
        lengths = None if model.lengths is None else jnp.asarray(model.lengths)
        return _by_key(*run(dict(model.params), model.xs, lengths, model.cotangent))


def _of_torch(module: Any, model: Model) -> dict[Key, Array]:
    """Predictions and gradients of the torch twin."""
    from parity.arrays import numpy_of, tensor_of
    from parity.frameworks.kinds.torch import to_torch

    options = {name: getattr(module, name) for name in ("outputs", "activation")}
    wide = model.cotangent.dtype == np.float64 or jax.config.read("jax_enable_x64")
    with jax.enable_x64(wide):
        twin = to_torch(lstm_jax.LSTMModel.from_params(model.params, **options))
    xs = tensor_of(model.xs)
    xs = xs if module.num_embeddings else xs.requires_grad_()
    lengths = None if model.lengths is None else tensor_of(model.lengths)
    predictions = twin(xs, lengths)
    predictions.backward(tensor_of(model.cotangent))
    named = {name: numpy_of(name, p.grad) for name, p in twin.named_parameters()}
    d_xs = None if module.num_embeddings else numpy_of("xs", xs.grad)
    return _by_key(numpy_of("predictions", predictions.detach()), named, d_xs)


def _by_key(predictions: Any, d_params: Any, d_xs: Any) -> dict[Key, Array]:
    named = {f"d_{name}": a for name, a in d_params.items()}
    if d_xs is not None:
        named["d_xs"] = d_xs
    values = {(PREDICTIONS, ""): np.asarray(predictions)}
    return values | {(name, _ALL): np.asarray(a) for name, a in named.items()}


def _advice(
    report: Report, right: Mapping[str, Array], ours: Mapping[str, Array]
) -> list[str]:
    """What to do about a failure: the weights that differ, then the LSTM alone."""
    if report.ok:
        return []
    differ = [n for n in right if not np.array_equal(right[n], ours[n])]
    said = [f"The weights given differ in {', '.join(differ)}."] if differ else []
    return [*said, "Use check(model.lstm) for the LSTM alone."]
