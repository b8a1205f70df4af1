"""Programs that run where `lstm_jax` is not: `jax.export` of a stream."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
from flax import nnx
from jax import export

from lstm_jax import _checks
from lstm_jax._types import AnyArray
from lstm_jax.model import LSTMModel
from lstm_jax.nnx import LSTM

__all__ = ["streaming"]

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_WHERE = "export.streaming"


def streaming(
    source: nnx.Module | Mapping[str, AnyArray],
    *,
    weights: str = "inside",
    platforms: tuple[str, ...] = PLATFORMS,
) -> export.Exported:
    """A program that takes a sequence part by part, for any batch and any length.

    It maps `(xs, (h, c))` to `(ys, (h, c))`: arrays and plain tuples alone, so that a
    process needs `jax` to load and to run it, and not `lstm_jax`. The first state is
    zeros. Dropout is left out.

    Args:
        source: The stack, without reverse directions, or a flat mapping of its
            parameters under torch's names. `xs` is `(T, B, I)`, `(B, T, I)` of a module
            with `batch_first` and of an `LSTMModel`, tokens `(B, T)` of one with an
            embedding; states are `(L, B, P)` and `(L, B, H)`. An `LSTMModel` with
            "last" or "final" predicts once for each part.
        weights: "inside" the program, or an "argument" before the others, a dict under
            torch's names: `(weights, xs, (h, c))`.
        platforms: Those that the program is lowered for, of `jax.export`.

    Returns:
        What `jax.export.export` does: `call(xs, (h, c))` runs it, `serialize()` gives
        its bytes (and needs `flatbuffers`), `in_avals` the shapes and types.

    Raises:
        ValueError: If the stack is bidirectional, the head takes a mean, or `weights`
            is neither.
        TypeError: If `source` is another kind.

    Example:
        >>> model = LSTM(3, 4, rngs=nnx.Rngs(0))
        >>> program = streaming(model)
        >>> xs, (h, c) = jax.numpy.ones((7, 2, 3)), model.initial_state((2,))
        >>> ys, (h, c) = program.call(xs, (h, c))
        >>> ys.shape, [str(aval.shape) for aval in program.in_avals]
        ((7, 2, 4), ['(t, b, 3)', '(1, b, 4)', '(1, b, 4)'])
    """
    _checks.check_choice(_WHERE, "weights", weights, ("inside", "argument"))
    module = _module(source)
    _checks.check_steppable(_WHERE, module.spec)
    if isinstance(module, LSTMModel):
        _checks.check_no_mean(_WHERE, module.outputs)
    inputs: tuple[Any, ...] = _inputs(module)
    run = _with_weights(module)
    if weights == "inside":
        run = partial(run, module.params())
    else:
        inputs = (jax.eval_shape(module.params), *inputs)
    return export.export(jax.jit(run), platforms=platforms)(*inputs)


def _module(source: Any) -> LSTM | LSTMModel:
    if isinstance(source, LSTM | LSTMModel):
        return source
    if isinstance(source, Mapping):
        return LSTM.from_params(source)
    raise TypeError(
        f"{_WHERE}: source must be an LSTM, an LSTMModel or a mapping of torch's names "
        f"to arrays, not {type(source).__name__}: its batch and time are left free. "
        "Give its parameters under the names of a stack, such as weight_ih_l0."
    )


def _inputs(module: LSTM | LSTMModel) -> tuple[Any, tuple[Any, Any]]:
    """Inputs and state of any batch and any number of steps."""
    steps, batch = export.symbolic_shape("t, b")
    h, c = jax.eval_shape(lambda: module.initial_state((1,)))
    axes = (steps, batch) if _time_first(module) else (batch, steps)
    xs = jax.ShapeDtypeStruct((*axes, module.spec.input_size), h.dtype)
    if isinstance(module, LSTMModel) and module.num_embeddings:
        xs = jax.ShapeDtypeStruct(axes, "int32")
    shaped = [(len(a), batch, a.shape[-1]) for a in (h, c)]
    h, c = map(jax.ShapeDtypeStruct, shaped, (h.dtype, c.dtype))
    return xs, (h, c)


def _time_first(module: LSTM | LSTMModel) -> bool:
    return isinstance(module, LSTM) and not module.batch_first


def _with_weights(module: LSTM | LSTMModel) -> Callable[..., Any]:
    """The module as a function of its parameters, too."""

    def run(weights: Any, xs: Any, state: Any) -> Any:
        given = nnx.clone(module)
        given.load_params(weights)
        call = given if isinstance(given, LSTM) else given.with_state
        ys, (h, c) = call(xs, state, deterministic=True)
        return ys, (h, c)

    return run
