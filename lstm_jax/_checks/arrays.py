"""Arrays: types, shapes, states, lengths and resets."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from lstm_jax._types import AnyArray, LSTMSpec, LSTMState


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
    """`value` as a JAX array; an `nnx.Param` and most torch tensors are read too."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):  # an nnx.Param, around a tracer or an array
        return as_array(where, name, value.__jax_array__())
    if not isinstance(value, np.generic) and not hasattr(value, "__array__"):
        cure = "Give one." if value is None else "Use jax.numpy.asarray."
        if type(value).__name__ == "PackedSequence":
            cure = "Use torch.nn.utils.rnn.pad_packed_sequence, for xs and lengths."
        raise TypeError(
            f"{where}: {name} must be an array, not {type(value).__name__}: it enters "
            f"the equations. {cure}"
        )
    try:
        array = np.asarray(value)
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"{where}: {name} must be an array: {type(value).__name__} cannot be read "
            f"by NumPy ({_first_sentence(error)}). Use "
            f"jax.numpy.from_dlpack({name}.detach().cpu()), or parity.from_torch for a "
            "state dict."
        ) from error
    try:
        with jax.debug_nans(False):  # padding may be NaN, and is only handed over here
            return jnp.asarray(array)
    except TypeError:
        raise TypeError(
            f"{where}: {name}.dtype={array.dtype} must be a type of numbers: it enters "
            f"the equations. Use {name}.astype('float32')."
        ) from None


def refuse_rounding(where: str, name: str, value: Any) -> None:
    """Refuse an array of 64 bits that JAX would round without a word."""
    if not isinstance(value, jax.Array) and hasattr(value, "__jax_array__"):
        value = value.__jax_array__()
    found = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if isinstance(value, jax.Array) or found != "float64":
        return
    if not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"{where}: {name}.dtype=float64 must have at most 32 bits: jax_enable_x64 "
            "is off and JAX would round it. Use jax.config.update('jax_enable_x64', "
            "True), or .astype('float32') on each array."
        )


def _first_sentence(error: Exception) -> str:
    """What a library says, without its cure and its full stop."""
    return re.split(r"\.\s|\.$|\n", str(error))[0]


def shape(where: str, name: str, array: AnyArray, expected: tuple, why: str) -> None:
    """Refuse an array of another shape."""
    if array.shape != expected:
        raise ValueError(
            f"{where}: {name}.shape={array.shape} must be {expected}: {why}"
        )


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
    axes = "layers x directions, batch" if stacked else "batch"
    for part, array, size in (("output", pair.h, h), ("cell", pair.c, c)):
        cure = _cure_of_state(name, pair, (h, c), size)
        why = f"{axes}, {part} features. {cure}"
        shape(where, f"{name}.{'h' if part == 'output' else 'c'}", array, size, why)
    return pair


def _cure_of_state(name: str, pair: LSTMState, sizes: tuple, size: tuple) -> str:
    """What to do about a state whose arrays should have these sizes."""
    found = pair.h.shape, pair.c.shape
    if sizes[0] != sizes[1] and found == sizes[::-1]:
        return f"Is `{name}` in Flax's order (c, h)? Use LSTMState(h=h, c=c)."
    turned = tuple((s[1], s[0], *s[2:]) for s in found if len(s) > 2)
    if len(size) > 2 and turned == sizes:
        return (
            "The batch comes second, also in jax.vmap's in_axes=(0, 1) and "
            f"out_axes. Use jax.tree.map(lambda a: a.swapaxes(0, 1), {name})."
        )
    return f"Use jax.numpy.zeros({size}) to start anew."


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
    _check_features(where, "xs", xs, spec.input_size, "weight_ih_l0")
    return xs


def _check_features(where: str, name: str, xs: Array, size: int, weight: str) -> None:
    """Inputs whose last axis has the size that a weight multiplies."""
    if xs.ndim and xs.shape[-1] == size:
        return
    if size in xs.shape:
        cure = f"Use jax.numpy.moveaxis({name}, {xs.shape.index(size)}, -1)."
    elif size == 1:
        cure = f"Use {name}[..., None] for one feature."
    else:
        cure = "Use the inputs, or the weights, that belong together."
    raise ValueError(
        f"{where}: {name}.shape={xs.shape} must end in {size}, the input features of "
        f"`{weight}`. {cure}"
    )


def check_input(where: str, x: Any, spec: LSTMSpec) -> Array:
    """The input of one step with the right number of features."""
    x = floating(where, "x", x)
    _check_features(where, "x", x, spec.input_size, "weight_ih")
    return x


def check_lengths(where: str, lengths: Any, batch: tuple, steps: Any) -> Array:
    """Integer lengths of the batch's shape, within 0 and T where they are known."""
    if isinstance(lengths, int) and batch:
        raise TypeError(
            f"{where}: lengths must be an array {batch}, not {type(lengths).__name__}: "
            f"each sequence has its own. Use jax.numpy.full({batch}, {lengths})."
        )
    lengths = as_array(where, "lengths", lengths)
    if lengths.dtype == jnp.bool_:
        raise TypeError(
            f"{where}: lengths.dtype=bool must be an integer type: it counts steps. "
            "Use lengths_from_mask(lengths) for a mask (T, *B), batch_first=True for "
            "(*B, T)."
        )
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(
            f"{where}: lengths.dtype={lengths.dtype} must be an integer type: it "
            "counts steps. Use lengths.astype('int32')."
        )
    shape(
        where,
        "lengths",
        lengths,
        batch,
        "one length for each sequence of the batch. Use None where all have T steps.",
    )
    if not isinstance(lengths, Tracer) and isinstance(steps, int):
        values = np.asarray(lengths)
        outside = values[(values < 0) | (values > steps)]
        if outside.size:
            raise ValueError(
                f"{where}: lengths={outside[0]} must be within 0 and {steps}: "
                "xs has that many steps. Cut xs or the length."
            )
    return lengths


def check_resets(
    where: str, name: str, resets: Any, spec: LSTMSpec, layout: tuple
) -> Array:
    """Boolean resets of the layout of the inputs without features."""
    if spec.bidirectional:
        raise ValueError(
            f"{where}: {name} must be None for a bidirectional LSTM: the reverse "
            "direction comes to a reset from the other side. Cut the sequences instead."
        )
    resets = as_array(where, name, resets)
    if resets.dtype != jnp.bool_:
        raise TypeError(
            f"{where}: {name}.dtype={resets.dtype} must be bool: a step resets or does "
            f"not. Use {name}.astype(bool)."
        )
    other = {"resets": "reset, of `step`", "reset": "resets, of a whole sequence"}
    why = "the layout of the inputs without features."
    cure = f"Use one flag for each step of each row; {other[name]}, has another layout."
    shape(where, name, resets, layout, f"{why} {cure}")
    return resets


def check_reset_state(where: str, name: str, resets: Any) -> None:
    """A reset state is of no use without resets."""
    if resets is None:
        raise ValueError(
            f"{where}: reset_state must be None where {name} is None: nothing is "
            "reset. Use state= for the state before the first step."
        )


def check_mask(where: str, mask: Any) -> Array:
    """A boolean mask with time at least."""
    mask = as_array(where, "mask", mask)
    if mask.dtype != jnp.bool_:
        raise TypeError(
            f"{where}: mask.dtype={mask.dtype} must be bool: a step belongs to its row "
            "or does not. Use mask.astype(bool)."
        )
    if not mask.ndim:
        raise ValueError(
            f"{where}: {mask.shape=} must have time at least: lengths count its steps. "
            "Use (T, *B)."
        )
    return mask


def check_holes(where: str, holes: np.ndarray) -> None:
    """Refuse a mask `(T, *B)` in which a row goes on after it has ended.

    `holes` marks the steps after which one does.
    """
    found = np.argwhere(holes)
    if len(found):
        step, *row = found[0].tolist()
        raise ValueError(
            f"{where}: mask must be True up to each row's length: row {row} is False "
            f"at step {step} and True after it. Move the padding to the row's end."
        )


def check_carry(where: str, carry: Any) -> None:
    """A carry whose order cannot be mistaken."""
    if not isinstance(carry, LSTMState):
        raise TypeError(
            f"{where}: carry must be an LSTMState, not {type(carry).__name__}: Flax "
            "orders a bare tuple (c, h), torch (h, c). Use LSTMState(h=h, c=c)."
        )


def no_cell(where: str, rnn: str) -> str:
    """Why a stack is not what Flax's RNN runs, in one sentence."""
    return (
        f"{where}: the cell of {rnn} must be a cell: {where} runs over time itself. "
        "Call it on the whole sequence, or use LSTMCell there."
    )


def check_last_step(where: str, shape_of_ys: tuple) -> None:
    """The last step, and the mean of the steps, need a step."""
    if shape_of_ys[-2] == 0:
        raise ValueError(
            f"{where}: xs must have a step at least: the prediction is made from "
            "outputs of steps. Use a longer sequence."
        )


def check_token_rows(where: str, xs: Any) -> Array:
    """Whole numbers with time."""
    tokens = as_array(where, "xs", xs)
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise TypeError(
            f"{where}: xs.dtype={tokens.dtype} must be an integer type: each is a row "
            "of the embedding. Use tokens, or num_embeddings=0 for features."
        )
    if not tokens.ndim:
        raise ValueError(
            f"{where}: {xs.shape=} must be (*B, T): a sequence has time. Use xs[None] "
            "for one token."
        )
    return tokens


def check_tokens(where: str, name: str, tokens: Any, rows: int) -> Array:
    """Whole numbers that have a row in the embedding, where they are known."""
    tokens = as_array(where, name, tokens)
    if not isinstance(tokens, Tracer):
        values = np.asarray(tokens)
        outside = values[(values < 0) | (values >= rows)]
        if outside.size:
            raise ValueError(
                f"{where}: {name}={outside[0]} must be within 0 and {rows - 1}: the "
                f"embedding has {rows} rows. Use tokens of its vocabulary."
            )
    return tokens.astype(jnp.int32)
