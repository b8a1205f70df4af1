"""The public boundary's errors, one sentence each.

Each reads `where: {value=} must be {expected}: {who says so}. {cure}`. Everything
wrong with a set of parameters is listed at once, sorted.
"""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lstm_jax._types import AnyArray, LayerParams, LSTMSpec, LSTMState, Precision

_KEY = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(\d+)(_reverse)?")
_REQUIRED = ("weight_ih", "weight_hh")


def floating(where: str, name: str, value: Any) -> Array:
    """`value` as a JAX array of a floating type."""
    array = as_array(where, name, value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{where}: {name}.dtype={array.dtype} must be a floating type: "
            f"the equations are real. Use {name}.astype('float32')."
        )
    return array


def as_array(where: str, name: str, value: Any) -> Array:
    """`value` as a JAX array; torch tensors of the common types are read too."""
    if isinstance(value, jax.Array):
        return value
    try:
        if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__array__"):
            return jnp.asarray(np.asarray(value))
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"{where}: {name} must be an array: {type(value).__name__} cannot be read "
            f"by NumPy ({error}). Use parity.from_torch."
        ) from error
    raise TypeError(
        f"{where}: {name} must be an array, not {type(value).__name__}: "
        "it enters the equations. Use jax.numpy.asarray."
    )


def shape(where: str, name: str, array: AnyArray, expected: tuple, why: str) -> None:
    """Refuse an array of another shape."""
    if array.shape != expected:
        raise ValueError(
            f"{where}: {name}.shape={array.shape} must be {expected}: {why}"
        )


def dtype(where: str, value: Any) -> jnp.dtype | None:
    """The type of the products, None for the one the arguments give."""
    if value is None:
        return None
    try:
        found = jnp.dtype(value)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise TypeError(
            f"{where}: dtype={value!r} must be a floating type: the products are "
            "computed in it. Use None for the type of the arguments."
        )
    return found


def check_step(
    where: str, params: LayerParams, x: Any, state: Any
) -> tuple[LayerParams, Array, LSTMState]:
    """Arguments of one step as arrays that fit together."""
    if not isinstance(params, LayerParams):
        raise TypeError(
            f"{where}: params must be LayerParams, not {type(params).__name__}: a step "
            "is one layer in one direction. Use LayerParams(weight_ih, weight_hh, ...)."
        )
    params = LayerParams(
        *(
            None if value is None else floating(where, f"params.{name}", value)
            for name, value in zip(LayerParams._fields, params, strict=True)
        )
    )
    if (params.bias_ih is None) != (params.bias_hh is None):
        raise ValueError(
            f"{where}: params must have both biases or none: torch's LSTM adds "
            "bias_ih and bias_hh. Use zeros for the one that is missing."
        )
    spec = _layer_spec(where, params)
    x = floating(where, "x", x)
    if x.ndim == 0 or x.shape[-1] != spec.input_size:
        raise ValueError(
            f"{where}: {x.shape=} must end in {spec.input_size}, "
            "the input features of `weight_ih`."
        )
    state = check_state(where, "state", state, spec, x.shape[:-1], stacked=False)
    return params, x, state


def _layer_spec(where: str, params: LayerParams) -> LSTMSpec:
    named = {
        key: value
        for key, value in zip(
            LSTMSpec(input_size=0, hidden_size=0).layer_keys(0, 0), params, strict=True
        )
        if value is not None
    }
    return read_spec(where, named)


def read_params(where: str, params: Any) -> dict[str, Array]:
    """A flat mapping of torch's names to arrays."""
    if not isinstance(params, Mapping):
        raise TypeError(
            f"{where}: params must be a mapping from torch's names to arrays, not "
            f"{type(params).__name__}: a state dict is the parameter tree. "
            "Use module.params() or a state dict."
        )
    return {str(key): floating(where, str(key), params[key]) for key in params}


def read_spec(where: str, params: Mapping[str, Any]) -> LSTMSpec:
    """Layers, directions, sizes, bias and projection, read off keys and shapes."""
    matches = [match for key in params if (match := _KEY.fullmatch(key))]
    spec = _spec_of_keys(where, params, matches)
    expected = spec.shapes()
    refuse_keys(where, params, expected)
    _refuse_shapes(
        where, params, expected, "the sizes are read off weight_ih_l0 and weight_hh_l0."
    )
    return spec


def read_cell_spec(where: str, params: Mapping[str, AnyArray]) -> LSTMSpec:
    """The spec of one cell, whose keys have no `_l0`."""
    if any(key.endswith("_l0") for key in params):
        refuse_keys(where, params, _REQUIRED)
    spec = read_spec(where, {f"{key}_l0": value for key, value in params.items()})
    return spec


def check_params(
    where: str, params: Any, expected: Mapping[str, tuple]
) -> dict[str, Array]:
    """Parameters of exactly these keys and shapes."""
    params = read_params(where, params)
    refuse_keys(where, params, expected)
    _refuse_shapes(where, params, expected, "the module has this size.")
    return params


def _refuse_shapes(
    where: str, params: Mapping[str, Any], expected: Mapping[str, tuple], why: str
) -> None:
    wrong = [
        f"{key}.shape={params[key].shape} must be {expected[key]}"
        for key in sorted(expected)
        if params[key].shape != expected[key]
    ]
    if wrong:
        raise ValueError(
            f"{where}: {'; '.join(wrong)}: {why} Check that the weights are one LSTM's, "
            "in torch's layout."
        )


def _spec_of_keys(
    where: str, params: Mapping[str, Any], matches: list[re.Match]
) -> LSTMSpec:
    kinds = {match[1] for match in matches}
    first = {key: params.get(f"{key}_l0") for key in (*_REQUIRED, "weight_hr")}
    if first["weight_ih"] is None or first["weight_hh"] is None:
        refuse_keys(where, params, [f"{key}_l0" for key in _REQUIRED])
    for name, value in first.items():
        if value is not None and (value.ndim != 2 or 0 in value.shape):
            raise ValueError(
                f"{where}: {name}_l0.shape={value.shape} must be two sizes above 0: "
                "torch's LSTM stores matrices. Check what the weights are."
            )
    projection = first["weight_hr"]
    output = first["weight_hh"].shape[1]
    return LSTMSpec(
        input_size=first["weight_ih"].shape[1],
        hidden_size=output if projection is None else projection.shape[1],
        num_layers=1 + max(int(match[2]) for match in matches),
        bidirectional=any(match[3] for match in matches),
        proj_size=0 if projection is None else output,
        bias=bool(kinds & {"bias_ih", "bias_hh"}),
    )


def refuse_keys(where: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Refuse keys that are missing or not used, all of them in one sentence."""
    found, expected = set(found), set(expected)
    missing, unused = sorted(expected - found), sorted(found - expected)
    if not missing and not unused:
        return
    parts = [
        f"{title} {', '.join(map(repr, keys))}"
        for title, keys in (("missing", missing), ("not used:", unused))
        if keys
    ]
    prefixes = sorted(
        key.removesuffix(required)
        for key in unused
        for required in ("weight_ih_l0", "weight_ih")
        if key.endswith(required) and key != required
    )
    cure = (
        f"Use prefix={prefixes[0]!r} if the LSTM is part of a larger model."
        if prefixes
        else "Give the keys of one torch.nn.LSTM, no more and no less."
    )
    raise ValueError(f"{where}: {'; '.join(parts)}. {cure}")


def check_state(
    where: str,
    name: str,
    state: Any,
    spec: LSTMSpec,
    batch: tuple,
    stacked: bool = True,
) -> LSTMState:
    """A state `(h, c)` of the right shapes; a plain pair is accepted."""
    pair = _pair(where, name, state)
    rows = (spec.num_layers * spec.num_directions,) if stacked else ()
    sizes = (spec.output_size, spec.hidden_size)
    h, c = ((*rows, *batch, size) for size in sizes)
    swapped = h != c and (pair.h.shape, pair.c.shape) == (c, h)
    cure = f"Is `{name}` in Flax's order (c, h)?" if swapped else "Use None for zeros."
    axes = "layers x directions, batch" if stacked else "batch"
    shape(where, f"{name}.h", pair.h, h, f"{axes}, output features. {cure}")
    shape(where, f"{name}.c", pair.c, c, f"{axes}, cell features. {cure}")
    return pair


def _pair(where: str, name: str, state: Any) -> LSTMState:
    found = None
    if not isinstance(state, (tuple, list)):
        found = type(state).__name__
    elif len(state) != 2:
        found = f"{len(state)} values"
    elif any(value is None for value in state):
        found = "half of one"
    if found:
        raise TypeError(
            f"{where}: {name} must be a pair (h, c), not {found}: an LSTM carries its "
            "output and its cell. Use LSTMState(h, c)."
        )
    h, c = (floating(where, f"{name}.{n}", a) for n, a in zip("hc", state, strict=True))
    return LSTMState(h, c)


def check_inputs(where: str, xs: Any, spec: LSTMSpec) -> Array:
    """A sequence with time and the right number of features."""
    xs = floating(where, "xs", xs)
    if xs.ndim < 2:
        raise ValueError(
            f"{where}: {xs.shape=} must be (T, *B, {spec.input_size}): a sequence has "
            "time and features. Use xs[:, None] for one feature, xs[None] for one step."
        )
    if xs.shape[-1] != spec.input_size:
        raise ValueError(
            f"{where}: {xs.shape=} must end in {spec.input_size}, "
            "the input features of `weight_ih_l0`."
        )
    return xs


def check_lengths(where: str, lengths: Any, batch: tuple, steps: Any) -> Array:
    """Integer lengths of the batch's shape, within 0 and T where they are known."""
    lengths = as_array(where, "lengths", lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(
            f"{where}: lengths.dtype={lengths.dtype} must be an integer type: it counts "
            "steps. Use lengths.astype('int32')."
        )
    shape(
        where, "lengths", lengths, batch, "one length for each sequence of the batch."
    )
    if not isinstance(lengths, jax.core.Tracer) and isinstance(steps, int):
        values = np.asarray(lengths)
        outside = values[(values < 0) | (values > steps)]
        if outside.size:
            raise ValueError(
                f"{where}: lengths={outside[0]} must be within 0 and {steps}: "
                "xs has that many steps. Cut xs or the length."
            )
    return lengths


def check_resets(where: str, resets: Any, spec: LSTMSpec, layout: tuple) -> Array:
    """Boolean resets of the layout of `xs` without features."""
    if spec.bidirectional:
        raise ValueError(
            f"{where}: resets must be None for a bidirectional LSTM: the reverse "
            "direction comes to a reset from the other side. Cut the sequences instead."
        )
    resets = as_array(where, "resets", resets)
    if resets.dtype != jnp.bool_:
        raise TypeError(
            f"{where}: resets.dtype={resets.dtype} must be bool: a step resets or does "
            "not. Use resets.astype(bool)."
        )
    shape(where, "resets", resets, layout, "the layout of `xs` without features.")
    return resets


def check_reset_state(where: str, resets: Any) -> None:
    """A reset state is of no use without resets."""
    if resets is None:
        raise ValueError(
            f"{where}: reset_state must be None where resets is None: nothing is reset. "
            "Use state= for the state before the first step."
        )


def check_dropout(where: str, dropout: Any, key: Any, num_layers: int) -> None:
    """A probability, and a key wherever dropout acts."""
    if not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(
            f"{where}: {dropout=} must be a number within 0 and 1: it is the "
            "probability that an element is zeroed. Use 0.0 for none."
        )
    if dropout and num_layers > 1 and key is None:
        raise ValueError(
            f"{where}: dropout_key must be a key: {dropout=} acts between the "
            f"{num_layers} layers. Use jax.random.key(seed), or dropout=0.0 to evaluate."
        )


def check_remat(where: str, remat: Any) -> None:
    """None, a number of steps, or "sqrt"."""
    steps = isinstance(remat, int) and not isinstance(remat, bool) and remat > 0
    if not (remat is None or steps or remat == "sqrt"):
        raise ValueError(
            f"{where}: {remat=} must be None, a number of steps above 0 or 'sqrt': the "
            "backward pass keeps one state for so many steps. Use None to keep all."
        )


def precision(where: str, value: Any) -> Precision:
    """A precision of products that jax knows."""
    try:
        jax.eval_shape(partial(jnp.dot, precision=value), 0.0, 0.0)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{where}: precision={value!r} must be one that jax.numpy.matmul takes: it "
            "is handed on to the products. Use 'highest', 'high', 'default' or None."
        ) from error
    return value


def check_sizes(
    where: str, input_size: Any, hidden_size: Any, num_layers: Any, proj_size: Any
) -> None:
    """Sizes that an LSTM can have."""
    sizes = {
        "input_size": input_size,
        "hidden_size": hidden_size,
        "num_layers": num_layers,
    }
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"{where}: {name}={value!r} must be a whole number above 0: it is a "
                "size of the weights. Use 1 or more."
            )
    if not isinstance(proj_size, int) or not 0 <= proj_size < hidden_size:
        raise ValueError(
            f"{where}: {proj_size=} must be from 0 to {hidden_size - 1}: a projection "
            "makes the output smaller than the cell. Use 0 for none."
        )


def check_steppable(where: str, spec: LSTMSpec) -> None:
    """One step at a time needs a stack without reverse directions."""
    if spec.bidirectional:
        raise ValueError(
            f"{where}: bidirectional must be False: the reverse direction starts from "
            "the end of the sequence. Run the whole sequence instead."
        )


def check_carry(where: str, carry: Any) -> None:
    """A carry whose order cannot be mistaken."""
    if not isinstance(carry, LSTMState):
        raise TypeError(
            f"{where}: carry must be an LSTMState, not {type(carry).__name__}: Flax "
            "orders a bare tuple (c, h), torch (h, c). Use LSTMState(h=h, c=c)."
        )


def check_last_step(where: str, shape_of_ys: tuple) -> None:
    """A prediction from the last step needs a step."""
    if shape_of_ys[-2] == 0:
        raise ValueError(
            f"{where}: xs must have a step at least: the prediction is made from the "
            "last one. Use a longer sequence."
        )
