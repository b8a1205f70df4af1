"""A stack of layers: dropout between them, and the layouts of the arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import checkify
from jaxtyping import Array

from lstm_jax import _checks, backends
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Input,
    Inputs,
    Key,
    LayerParams,
    Lengths,
    LSTMSpec,
    LSTMState,
    Outputs,
    Precision,
    Resets,
    StateLike,
)
from lstm_jax.recurrence import Masks, accumulator

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
    dtype: DTypeLike | None = None,
    precision: Precision = None,
    remat: int | str | None = None,
    backend: str = "auto",
) -> tuple[Outputs, LSTMState]:
    """A stack of LSTM layers over a sequence: `torch.nn.LSTM` as a function.

    Sizes, layers, directions, biases and projection are read off the keys and shapes of
    `params`, which may be a torch state dict as it is. Laws: running two halves of a
    sequence, the state handed on, is running the whole; rows of a batch do not touch
    each other; `jit`, `vmap`, `grad` and `jvp` of any order apply.

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
        dropout: Probability of zeroing an element of a layer's output, but the last's.
        dropout_key: Key of the dropout, needed where dropout acts.
        dtype: Type of the products; None means that of `params` and `xs` together.
        precision: Of the products, as in `jax.numpy.matmul`: "highest" for all bits of
            the type where the device would use fewer.
        remat: Steps between the states that are kept for the backward pass ("sqrt": the
            root of T), which computes the rest again. None keeps everything.
        backend: "auto", or the name of one, see `lstm_jax.backends.explain`.

    Returns:
        Outputs of the last layer, `(T, *B, D*P)` or batch first as `xs`, zero past the
        lengths; and the state after each row's last step. The state has the types of
        the one given; with none given, `h` that of the products, `c` at least float32.

    Raises:
        ValueError: If keys, shapes, lengths, dropout, remat or backend do not fit.
        TypeError: If an argument is not an array of the right kind.
        NotImplementedError: If the backend asked for by name cannot run this.

    Example:
        >>> params = init_params(jax.random.key(0), input_size=3, hidden_size=4)
        >>> ys, state = lstm(params, jnp.ones((7, 5, 3)))
        >>> ys.shape, state.c.shape, bool((ys[-1] == state.h[0]).all())
        ((7, 5, 4), (1, 5, 4), True)

    References:
        The semantics are `torch.nn.LSTM`'s. Beyond torch: any number of batch axes,
        lengths of 0, T = 0, resets, and derivatives of every order.
    """
    _checks.check_flag(_WHERE, "batch_first", batch_first)
    arrays, spec = _read(params, xs, state, lengths, resets, reset_state, batch_first)
    _checks.check_dropout(_WHERE, dropout, dropout_key, spec.num_layers)
    _checks.check_remat(_WHERE, remat)
    spec = replace(
        spec,
        dtype=(_checks.dtype(_WHERE, "dtype", dtype) or _common_dtype(arrays)).name,
        dropout=bool(dropout) and spec.num_layers > 1,
        platform=jax.default_backend(),
    )
    options = _Options(
        spec=spec,
        batch_first=batch_first,
        dropout=float(dropout),
        precision=_checks.precision(_WHERE, precision),
        remat=remat,
        backend=backends.choose(backend, spec),
    )
    return _lstm(options, arrays, dropout_key if spec.dropout else None)


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The static half of a call."""

    spec: LSTMSpec
    batch_first: bool
    dropout: float
    precision: Precision
    remat: int | str | None
    backend: str


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


class _Arrays(NamedTuple):
    """The arrays of a call, checked."""

    params: dict[str, Array]
    xs: Array
    state: LSTMState | None
    lengths: Array | None
    resets: Array | None
    reset_state: LSTMState | None


def _read(
    params: Any,
    xs: Any,
    state: Any,
    lengths: Any,
    resets: Any,
    reset_state: Any,
    batch_first: bool,
) -> tuple[_Arrays, LSTMSpec]:
    params = _checks.read_params(_WHERE, params)
    spec = _checks.read_spec(_WHERE, params)
    xs = _checks.check_inputs(_WHERE, xs, spec)
    time = xs.ndim - 2 if batch_first else 0
    batch = (*xs.shape[:time], *xs.shape[time + 1 : -1])
    if state is not None:
        state = _checks.check_state(_WHERE, "state", state, spec, batch)
    if lengths is not None:
        lengths = _checks.check_lengths(_WHERE, lengths, batch, xs.shape[time])
    if resets is not None:
        resets = _checks.check_resets(_WHERE, "resets", resets, spec, xs.shape[:-1])
    if reset_state is not None:
        _checks.check_reset_state(_WHERE, resets)
        reset_state = _checks.check_state(
            _WHERE, "reset_state", reset_state, spec, batch
        )
    spec = replace(spec, lengths=lengths is not None, resets=resets is not None)
    return _Arrays(params, xs, state, lengths, resets, reset_state), spec


def _common_dtype(arrays: _Arrays) -> jnp.dtype:
    types = {array.dtype for array in (arrays.xs, *arrays.params.values())}
    return _checks.common_dtype(_WHERE, types)


@partial(jax.jit, static_argnums=0)
def _lstm(
    options: _Options, arrays: _Arrays, dropout_key: Array | None
) -> tuple[Array, LSTMState]:
    spec, dtype = options.spec, jnp.dtype(options.spec.dtype)
    xs = _time_first(arrays.xs, options.batch_first).astype(dtype)
    masks = _masks(arrays, xs.shape, options.batch_first)
    if masks.valid is not None:
        xs = jnp.where(masks.valid[..., None], xs, 0)
    state = arrays.state or zero_state(spec, xs.shape[1:-1], dtype)
    run = partial(
        backends.run,
        options.backend,
        spec=spec,
        masks=masks,
        precision=options.precision,
        chunk=_chunk(options.remat, xs.shape[0]),
    )
    layers = _layers(arrays.params, spec)
    if dropout_key is None:
        ys, after = run(layers, xs, state, arrays.reset_state)
    else:
        ys, after = _with_dropout(run, layers, xs, state, arrays, options, dropout_key)
    after = jax.tree.map(lambda new, old: new.astype(old.dtype), after, state)
    return _batch_first(ys, options.batch_first), after


def _with_dropout(
    run: Callable[..., tuple[Array, LSTMState]],
    layers: tuple[tuple[LayerParams, ...], ...],
    xs: Array,
    state: LSTMState,
    arrays: _Arrays,
    options: _Options,
    key: Array,
) -> tuple[Array, LSTMState]:
    """One layer at a time, each output but the last with elements zeroed."""
    directions, after = options.spec.num_directions, []
    for index, layer in enumerate(layers):
        rows = slice(index * directions, (index + 1) * directions)
        before, reset_state = jax.tree.map(
            lambda a, rows=rows: a[rows], (state, arrays.reset_state)
        )
        if index:
            xs = _drop(xs, options.dropout, jax.random.fold_in(key, index))
        xs, new = run((layer,), xs, before, reset_state)
        after.append(new)
    return xs, jax.tree.map(lambda *parts: jnp.concatenate(parts), *after)


def _drop(ys: Array, rate: float, key: Array) -> Array:
    """Torch's dropout: a fresh draw for each element, what is kept scaled up."""
    if rate == 1:
        return jnp.zeros_like(ys)
    keep = jax.random.bernoulli(key, 1 - rate, ys.shape)
    return jnp.where(keep, ys / (1 - rate), 0)


def _time_first(array: Array, batch_first: bool) -> Array:
    return jnp.moveaxis(array, -2, 0) if batch_first else array


def _batch_first(array: Array, batch_first: bool) -> Array:
    return jnp.moveaxis(array, 0, -2) if batch_first else array


def _masks(arrays: _Arrays, shape: tuple, batch_first: bool) -> Masks:
    """Masks `(T, *B)` of lengths and resets, for inputs of `shape`."""
    valid, reset, steps = None, arrays.resets, shape[0]
    if arrays.lengths is not None:
        lengths = arrays.lengths.astype(jnp.int32)
        checkify.debug_check(
            jnp.all((lengths >= 0) & (lengths <= steps)),
            "lstm: lengths must be within 0 and T, they are clamped",
        )
        times = jnp.arange(steps, dtype=jnp.int32)
        times = times.reshape(steps, *(1,) * lengths.ndim)
        valid = times < lengths
    if reset is not None and batch_first:
        reset = jnp.moveaxis(reset, -1, 0)
    return Masks(valid, reset)


def zero_state(spec: LSTMSpec, batch: tuple, dtype: DTypeLike) -> LSTMState:
    """The state of zeros for products of type `dtype`."""
    rows = spec.num_layers * spec.num_directions
    return LSTMState(
        jnp.zeros((rows, *batch, spec.output_size), dtype),
        jnp.zeros((rows, *batch, spec.hidden_size), accumulator(dtype)),
    )


def _chunk(remat: int | str | None, steps: Any) -> int | None:
    """Steps between kept states; a symbolic T is one chunk whatever is asked."""
    if remat is None or not isinstance(steps, int):
        return None if remat is None else 1
    return remat if isinstance(remat, int) else max(1, isqrt(steps))


def _layers(
    params: dict[str, Array], spec: LSTMSpec
) -> tuple[tuple[LayerParams, ...], ...]:
    def weights(layer: int, direction: int) -> LayerParams:
        weight_ih, weight_hh, *others = spec.layer_keys(layer, direction)
        return LayerParams(
            params[weight_ih], params[weight_hh], *map(params.get, others)
        )

    return tuple(
        tuple(weights(layer, direction) for direction in range(spec.num_directions))
        for layer in range(spec.num_layers)
    )
