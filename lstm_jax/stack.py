"""A stack of layers: dropout between them, and the layouts of the arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax import _checks, backends
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Input,
    Inputs,
    Key,
    Layers,
    Lengths,
    LSTMSpec,
    LSTMState,
    Outputs,
    Precision,
    Resets,
    StateLike,
    States,
    Steps,
)
from lstm_jax.call import Arrays, common_dtype, layers_of, prepare, read
from lstm_jax.scan.devices import summed_at_once
from lstm_jax.scan.layer import of_layer
from lstm_jax.scan.loop import Loop

_WHERE = "lstm"


def lstm(
    params: Mapping[str, AnyArray],
    xs: Inputs,
    state: StateLike | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reset_state: StateLike | None = None,
    batch_first: bool = False,
    dropout: float = 0.0,
    dropout_key: Key | None = None,
    variational: bool = False,
    dtype: DTypeLike | None = None,
    precision: Precision = None,
    remat: int | str | None = None,
    truncate: int | None = None,
    backend: str | backends.Backend = "auto",
) -> tuple[Outputs, LSTMState]:
    """A stack of LSTM layers over a sequence: `torch.nn.LSTM` as a function.

    Sizes, layers, directions, biases and projection are read off the keys and shapes of
    `params`, which may be a torch state dict. Laws: running two halves of a
    sequence, the state handed on, is running the whole; rows of a batch do not touch
    each other; `jit`, `vmap`, `grad` and `jvp` of any order apply (not with every
    backend that is asked for by name).

    Args:
        params: Torch's names to arrays: `weight_ih_l0` `(4H, I)`, `weight_hh_l0`
            `(4H, P)`, `bias_ih_l0`, `bias_hh_l0` `(4H,)`, `weight_hr_l0` `(P, H)`, then
            `..._l0_reverse`, `..._l1` and so on. Both biases or none.
        xs: Inputs, `(T, *B, I)`; with `batch_first`, `(*B, T, I)`. Two axes are always
            `(T, I)`.
        state: State before, `(L*D, *B, P)` and `(L*D, *B, H)`; None means zeros.
        lengths: Steps of each row, shape `*B`, 0 to T; None means T. What lies past
            them may be anything, NaN included: it changes nothing.
        resets: True where a row starts anew before the step: shape of `xs` without
            features. Not for bidirectional stacks.
        reset_state: The state after a reset, shaped as `state`; None means zeros.
        batch_first: Whether time is the second last axis of `xs` and the outputs. The
            state is never batch first.
        dropout: Probability of zeroing an element of any output but the last
            layer's.
        dropout_key: Key of the dropout, needed where dropout acts.
        variational: Whether the same elements are zeroed at every step of a row, in
            place of torch's draw for each step.
        dtype: Type of the products; None means that of `params` and `xs` together.
        precision: Of the products, as in `jax.numpy.matmul`: "highest" for all bits of
            the type where the device would use fewer.
        remat: Steps between the states that are kept for the backward pass ("sqrt": the
            root of T, or of `truncate`), which computes the rest again. None keeps all.
        truncate: Steps between cuts of the gradient through the state, at steps
            `truncate`, `2 * truncate` and so on; outputs stay as they are. None cuts
            nowhere. Not for bidirectional stacks.
        backend: "auto", the name of one, see `lstm_jax.backends.explain`, or a backend
            with its options, such as `lstm_jax.backends.XLA(...)`.

    Returns:
        Outputs of the last layer, `(T, *B, D*P)` or batch first as `xs`, zero past the
        lengths; and the state after each row's last step. The state has the types of
        the one given; with none given, `h` that of the products, `c` at least float32.

    Raises:
        ValueError: If keys, shapes, lengths, dropout, remat, truncate or backend do
            not fit.
        TypeError: If an argument is of the wrong kind.
        NotImplementedError: If the backend asked for by name cannot run this.

    Example:
        >>> params = init_params(jax.random.key(0), input_size=3, hidden_size=4)
        >>> ys, state = lstm(params, jnp.ones((7, 5, 3)))
        >>> ys.shape, state.c.shape, bool((ys[-1] == state.h[0]).all())
        ((7, 5, 4), (1, 5, 4), True)

    References:
        The semantics are `torch.nn.LSTM`'s. Beyond torch: any number of batch axes,
        lengths of 0, T = 0, resets, and derivatives of every order. Variational
        dropout: Gal and Ghahramani, arXiv:1512.05287, 2016, here only of the outputs.
        Truncated back-propagation: Williams and Peng, 1990.
    """
    given = Arrays(params, xs, (state, reset_state), lengths, resets)
    arrays, spec = read(_WHERE, given, batch_first)
    _checks.check_dropout(_WHERE, dropout, dropout_key, spec.num_layers)
    _checks.check_flag(_WHERE, "variational", variational)
    _checks.check_remat(_WHERE, remat)
    steps = arrays.xs.shape[-2 if batch_first else 0]
    _checks.check_truncate(_WHERE, truncate, spec, steps)
    products = _checks.dtype(_WHERE, "dtype", dtype) or common_dtype(_WHERE, arrays)
    spec = replace(
        spec,
        dtype=products.name,
        dropout=bool(dropout) and spec.num_layers > 1,
        remat=remat is not None,
        truncate=truncate is not None,
        platform=jax.default_backend(),
    )
    call = _Call(
        spec=spec,
        batch_first=batch_first,
        dropout=float(dropout),
        variational=variational,
        loop=Loop(
            precision=_checks.precision(_WHERE, precision),
            remat=_steps_of(remat, truncate or steps),
            truncate=truncate,
        ),
        backend=backends.choose(backend, spec),
    )
    return _lstm(call, arrays, dropout_key if spec.dropout else None)


@dataclass(frozen=True, kw_only=True)
class _Call:
    """The static half of a call."""

    spec: LSTMSpec
    batch_first: bool
    dropout: float
    variational: bool
    loop: Loop
    backend: backends.Backend


def _steps_of(remat: int | str | None, window: Any) -> int | None:
    """The steps that `remat` asks for; a symbolic T is one chunk whatever they are."""
    if remat == "sqrt":
        return max(1, isqrt(window)) if isinstance(window, int) else 1
    return remat  # type: ignore[return-value]


@partial(jax.jit, static_argnums=0)
def _lstm(
    call: _Call, arrays: Arrays, dropout_key: Array | None
) -> tuple[Array, LSTMState]:
    steps, states = prepare(arrays, call.spec, call.batch_first)
    layers = layers_of(summed_at_once(arrays.params, arrays.xs), call.spec)
    if dropout_key is None:
        ys, after = call.backend.run(call.loop, call.spec, layers, steps, states)
    else:
        ys, after = _with_dropout(call, layers, steps, states, dropout_key)
    after = jax.tree.map(lambda new, old: new.astype(old.dtype), after, states.before)
    return (jnp.moveaxis(ys, 0, -2) if call.batch_first else ys), after


def _with_dropout(
    call: _Call,
    layers: Layers,
    steps: Steps,
    states: States,
    key: Array,
) -> tuple[Array, LSTMState]:
    """One layer at a time, each output but the last with elements zeroed."""
    run, after = partial(call.backend.run, call.loop, call.spec), []
    for index, layer in enumerate(layers):
        if index:
            kept = _drop(call, steps.xs, jax.random.fold_in(key, index))
            steps = steps._replace(xs=kept)
        ys, state = run((layer,), steps, of_layer(states, index, layer))
        steps = steps._replace(xs=ys)
        after.append(state)
    return steps.xs, jax.tree.map(lambda *parts: jnp.concatenate(parts), *after)


def _drop(call: _Call, ys: Array, key: Array) -> Array:
    """Torch's dropout, a draw for each element, or one for all steps; scaled up."""
    rate = call.dropout
    if rate == 1:
        return jnp.zeros_like(ys)
    shape = (1, *ys.shape[1:]) if call.variational else ys.shape
    keep = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(keep, ys / (1 - rate), 0)


def time_step(
    where: str,
    spec: LSTMSpec,
    params: Mapping[str, AnyArray],
    x: Input,
    states: States,
    reset: Any,
    **options: Any,
) -> tuple[Array, LSTMState]:
    """One time step of a stack without reverse directions, without dropout.

    Args:
        where: Who asks, for errors.
        spec: Sizes and flags of the stack.
        params: Its parameters, see `lstm`.
        x: Input, `(*B, I)`.
        states: State before, and after a reset.
        reset: True for rows that start anew before the step, shape `*B`, or None.
        **options: Those of `lstm` that the modules have.
    """
    _checks.check_steppable(where, spec)
    x = _checks.check_input(where, x, spec)
    if states.fresh is not None:
        _checks.check_reset_state(where, "reset", reset)
    if reset is not None:
        batch = x.shape[:-1]
        reset = _checks.check_resets(where, "reset", reset, spec, batch)[None]
    run = partial(lstm, params, x[None], states.before, reset_state=states.fresh)
    ys, state = run(resets=reset, **options)
    return ys[0], state


def cell_step(
    where: str,
    params: Mapping[str, AnyArray],
    x: Input,
    state: StateLike | None,
    *,
    dtype: DTypeLike | None = None,
    precision: Precision = None,
) -> LSTMState:
    """One step of one layer under the names of `torch.nn.LSTMCell`."""
    spec = _checks.read_cell_spec(where, params)
    x = _checks.check_input(where, x, spec)
    if state is not None:
        batch = x.shape[:-1]
        h, c = _checks.check_state(where, "state", state, spec, batch, stacked=False)
        state = LSTMState(h[None], c[None])
    params = {f"{name}_l0": array for name, array in params.items()}
    _, (h, c) = lstm(params, x[None], state, dtype=dtype, precision=precision)
    return LSTMState(h[0], c[0])
