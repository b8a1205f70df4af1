"""Initial parameters."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import _checks
from lstm_jax._types import DTypeLike, Key, LSTMSpec
from lstm_jax.scan.gates import accumulator

_WHERE = "init_params"


def init_params(
    key: Key,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    bias: bool = True,
    bidirectional: bool = False,
    proj_size: int = 0,
    recurrent: Literal["uniform", "orthogonal"] = "uniform",
    forget_bias: float | None = None,
    dtype: DTypeLike = jnp.float32,
) -> dict[str, Float[Array, "..."]]:
    r"""Parameters of a stack of LSTM layers, under torch's names.

    Every weight and bias is drawn from $U(-1/\sqrt{H}, 1/\sqrt{H})$, as torch does. The
    numbers are not torch's own: the generators differ.

    Args:
        key: Key of the draw.
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        num_layers: `L`.
        bias: Whether the layers have torch's two biases.
        bidirectional: Whether there is a reverse direction, too.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        recurrent: "uniform", or "orthogonal" for `weight_hh`: each gate's square block
            is then orthogonal (orthonormal columns where `P < H`).
        forget_bias: None, or the *sum* of the two forget-gate biases: it goes into
            `bias_ih`, and the forget gate's part of `bias_hh` is zero.
        dtype: Type of the parameters.

    Returns:
        Torch's names to arrays, in torch's order.

    Raises:
        ValueError: If a size is out of range, or a forget bias has no bias to go into.
        TypeError: If `dtype` is not a floating type, or a flag is not True or False.

    Example:
        >>> params = init_params(jax.random.key(0), 3, 4, forget_bias=1.0)
        >>> {name: array.shape for name, array in params.items()}
        {'weight_ih_l0': (16, 3), 'weight_hh_l0': (16, 4),
         'bias_ih_l0': (16,), 'bias_hh_l0': (16,)}
        >>> float(params["bias_ih_l0"][4])  # the first of the forget gate's
        1.0

    References:
        `torch.nn.LSTM.reset_parameters` (the uniform draw); Saxe et al.,
        arXiv:1312.6120, 2013 (orthogonal); Gers et al., 2000, and Jozefowicz et al.,
        2015 (forget bias). Keras stores a forget bias of 1 in its one bias, Haiku adds
        1 at every step and stores nothing.
    """
    sizes = Sizes(input_size, hidden_size, num_layers, proj_size)
    spec = make_spec(_WHERE, sizes, bias=bias, bidirectional=bidirectional)
    found = _checks.dtype(_WHERE, "dtype", dtype)
    draws = make_draws(_WHERE, spec, Draws(found, recurrent, forget_bias))
    _checks.check_key(_WHERE, "key", key)
    return draw_params(key, spec, draws)


def spec_of(params: Mapping[str, Any]) -> LSTMSpec:
    """Layers, directions, sizes, biases and projection, read off keys and shapes.

    Args:
        params: Torch's names to arrays of any framework; only their shapes are read.

    Returns:
        The spec, with the default `dtype` and flags of a call.

    Raises:
        ValueError: If the keys and shapes are not those of one LSTM.
        TypeError: If `params` is no mapping, or a value has no shape.

    Example:
        >>> spec_of(init_params(jax.random.key(0), 3, 4, bidirectional=True)).shapes()
        {'weight_ih_l0': (16, 3), 'weight_hh_l0': (16, 4),
         'bias_ih_l0': (16,), 'bias_hh_l0': (16,),
         'weight_ih_l0_reverse': (16, 3), 'weight_hh_l0_reverse': (16, 4),
         'bias_ih_l0_reverse': (16,), 'bias_hh_l0_reverse': (16,)}
    """
    return _checks.read_spec("spec_of", _checks.read_shaped("spec_of", params))


class Sizes(NamedTuple):
    """The sizes of torch's constructor."""

    input_size: int
    hidden_size: int
    num_layers: int = 1
    proj_size: int = 0


def make_spec(
    where: str, sizes: Sizes, *, bias: bool = True, bidirectional: bool = False
) -> LSTMSpec:
    """The spec of torch's constructor arguments, checked."""
    _checks.check_sizes(where, *sizes)
    _checks.check_flag(where, "bias", bias)
    _checks.check_flag(where, "bidirectional", bidirectional)
    whole: Any = {name: int(size) for name, size in sizes._asdict().items()}
    return LSTMSpec(**whole, bias=bool(bias), bidirectional=bool(bidirectional))


class Draws(NamedTuple):
    """How parameters are drawn, see `init_params`; a type of None is float32."""

    dtype: DTypeLike | None = None
    recurrent: str = "uniform"
    forget_bias: float | None = None


def make_draws(where: str, spec: LSTMSpec, draws: Draws) -> Draws:
    """The draws of a constructor's arguments, checked."""
    recurrent, forget_bias = draws.recurrent, draws.forget_bias
    if recurrent not in ("uniform", "orthogonal"):
        raise ValueError(
            f"{where}: {recurrent=} must be 'uniform' or 'orthogonal': no other draw "
            "is known. Use 'uniform' for torch's."
        )
    if forget_bias is not None and not spec.bias:
        raise ValueError(
            f"{where}: forget_bias must be None where bias is False: there is no bias "
            "to hold it. Use bias=True."
        )
    if forget_bias is not None:
        _checks.check_real(where, "forget_bias", forget_bias)
    found = _checks.dtype(where, "param_dtype", draws.dtype)
    return draws._replace(dtype=found or jnp.dtype("float32"))


def draw_params(key: Key, spec: LSTMSpec, draws: Draws) -> dict[str, Array]:
    """Every parameter of a spec, under torch's names."""
    keys = jax.random.split(key, len(spec.shapes()))
    pairs = zip(spec.shapes(), keys, strict=True)
    return {name: draw(name, subkey, spec, draws) for name, subkey in pairs}


def draw(name: str, key: Array, spec: LSTMSpec, draws: Draws) -> Array:
    """One parameter, drawn in float32 at least: half precision has no QR."""
    dtype, recurrent, forget_bias = draws
    found = jnp.dtype(dtype)
    wide, place = accumulator(found), LSTMSpec.parse_key(name)
    shape, size = spec.shapes()[name], spec.hidden_size
    field = place.field if place else ""
    if recurrent == "orthogonal" and field == "weight_hh":
        square = jax.nn.initializers.orthogonal()
        blocks = [square(k, (size, shape[1]), wide) for k in jax.random.split(key, 4)]
        return jnp.concatenate(blocks).astype(found)
    bound = size**-0.5
    array = jax.random.uniform(key, shape, wide, minval=-bound, maxval=bound)
    if forget_bias is not None and field.startswith("bias"):
        value = forget_bias if field == "bias_ih" else 0.0
        array = array.at[size : 2 * size].set(value)
    return array.astype(found)
