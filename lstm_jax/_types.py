"""Axes, state, parameters and spec: the words every other module uses.

Axes: `L` layers, `D` directions, `T` time, `B` batch (any number of axes, none
included), `I` input, `H` cell, `P` output (`H`, or the projection size). Gates are
`i, f, g, o`, always in that order, stacked on the first axis of a weight (`4H`).
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export
from jaxtyping import Array, Bool, Float, Integer, Shaped

AnyArray = Array | np.ndarray

Input = Float[AnyArray, "*B I"]
Inputs = Float[AnyArray, "... I"]
Outputs = Float[Array, "... P"]
Lengths = Integer[AnyArray, "*B"]
Resets = Bool[AnyArray, "..."]
Key = Shaped[AnyArray, "..."]
Precision = jax.lax.PrecisionLike
DTypeLike = jax.typing.DTypeLike


class LSTMState(NamedTuple):
    """State of an LSTM between two time steps, in torch's order.

    `h` is the output of the last step, `(*B, P)` for a step and `(L*D, *B, P)` for a
    stack; `c` is the cell, `(*B, H)` and `(L*D, *B, H)`. Flax writes the same two
    arrays in the other order, `(c, h)`.
    """

    h: Float[Array, "..."]
    c: Float[Array, "..."]

    __array_ufunc__ = None  # an array of NumPy times a state comes to `__rmul__`

    def __mul__(self, factor: Any) -> Any:
        """Refuse: a tuple's `*` repeats its fields."""
        raise TypeError(
            f"LSTMState: the factor must not be {type(factor).__name__}: a tuple's "
            "product repeats its fields. Use jax.tree.map(lambda a: a * factor, state)."
        )

    __rmul__ = __mul__

    def __hash__(self) -> int:
        """The hash of the pair, for a state of names or axes."""
        try:
            return hash(tuple(self))
        except TypeError:
            raise TypeError(
                "LSTMState: a state must hold what can be hashed, no arrays: somebody "
                "takes it for an option, as a layer does after an LSTM in "
                "nnx.Sequential. Put lambda ys, state: ys between the two."
            ) from None


class _Field(jax.tree_util.SequenceKey):
    """The place of a field in `LSTMState`: `.h` in JAX's words, 0 for Flax's tables."""

    def __str__(self) -> str:
        return f".{LSTMState._fields[self.idx]}"


_FIELDS = _Field(0), _Field(1)

# `nnx.tabulate` takes a named tuple within a tuple for a list, and JAX's names of its
# fields for places in it.
jax.tree_util.register_pytree_with_keys(
    LSTMState,
    lambda state: (tuple(zip(_FIELDS, state, strict=True)), None),
    lambda _, fields: LSTMState(*fields),
    lambda state: (state, None),
)


# The names are part of every exported program that is stored: they stay.
_ = export.register_namedtuple_serialization(
    LSTMState, serialized_name="lstm_jax.LSTMState"
)

StateLike = LSTMState | tuple[AnyArray, AnyArray]


class Steps(NamedTuple):
    """What a loop over time reads at each step.

    Where `valid` is false, the row has ended and keeps its state. Where `reset` is
    true, the row's state is replaced before the step. None means nowhere.
    """

    xs: Float[Array, "T ... I"]
    valid: Bool[Array, "T ..."] | None = None
    reset: Bool[Array, "T ..."] | None = None


class States(NamedTuple):
    """The state before the first step, and the state after a reset; None is zeros."""

    before: LSTMState
    fresh: LSTMState | None = None


class LayerParams(NamedTuple):
    """Weights of one layer in one direction, in torch's shapes and gate order.

    Within `lstm` the gates may have an axis of their own, see `LSTMSpec.gate_axis`.
    """

    weight_ih: Float[Array, "*gates I"]
    weight_hh: Float[Array, "*gates P"]
    bias_ih: Float[Array, "*gates"] | None = None
    bias_hh: Float[Array, "*gates"] | None = None
    weight_hr: Float[Array, "P H"] | None = None

    @property
    def bias(self) -> Float[Array, "*gates"] | float:
        """The sum of the two biases; 0 where the layer has none."""
        if self.bias_ih is None or self.bias_hh is None:
            return 0.0
        return self.bias_ih + self.bias_hh


_ = export.register_namedtuple_serialization(
    LayerParams, serialized_name="lstm_jax.LayerParams"
)


class ParamKey(NamedTuple):
    """The place of a parameter in a stack; printed, it is torch's name.

    `field` is one of `LayerParams`; `direction` is 0 for forward, 1 for reverse.

    Example:
        >>> str(ParamKey("weight_ih", layer=1, direction=1))
        'weight_ih_l1_reverse'
    """

    field: str
    layer: int = 0
    direction: int = 0

    def __str__(self) -> str:
        return f"{self.field}_l{self.layer}{'_reverse' if self.direction else ''}"


_KEY = re.compile(
    rf"({'|'.join(LayerParams._fields)})_l(0|[1-9][0-9]{{0,3}})(_reverse)?"
)


Layers = tuple[tuple[LayerParams, ...], ...]  # the directions of each layer


@dataclass(frozen=True, kw_only=True)
class LSTMSpec:
    """What is fixed about a call of `lstm`: sizes, types, flags and platform.

    `dtype` is the type of the products; `lengths`, `resets`, `dropout`, `remat` and
    `truncate` say whether the call uses them; `gate_axis`, whether the weights are
    `(4, H, K)`, see `lstm_jax.shard_units`; `platform` is jax's name of the device
    kind, None that of the default device.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    proj_size: int = 0
    bias: bool = True
    dtype: str = "float32"
    lengths: bool = False
    resets: bool = False
    dropout: bool = False
    remat: bool = False
    truncate: bool = False
    gate_axis: bool = False
    platform: str = "cpu"

    @property
    def output_size(self) -> int:
        """`P`: the features of one direction's output."""
        return self.proj_size or self.hidden_size

    @property
    def num_directions(self) -> int:
        """`D`: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def constructor_arguments(self) -> dict[str, Any]:
        """Sizes and flags as torch's constructor names them."""
        names = "input_size hidden_size num_layers bias bidirectional proj_size"
        return {name: getattr(self, name) for name in names.split()}

    def layer_keys(self, layer: int, direction: int) -> list[str]:
        """Torch's names for the fields of `LayerParams`, of a layer in a direction."""
        return [str(ParamKey(name, layer, direction)) for name in LayerParams._fields]

    @staticmethod
    def parse_key(name: str) -> ParamKey | None:
        """The place that torch's name of a parameter tells; None if it is no such name.

        Example:
            >>> LSTMSpec.parse_key("bias_hh_l2_reverse")
            ParamKey(field='bias_hh', layer=2, direction=1)
        """
        match = _KEY.fullmatch(name)
        return match and ParamKey(match[1], int(match[2]), int(match[3] is not None))

    def layer_shapes(self, layer: int) -> list[tuple[int, ...] | None]:
        """Shapes of the same fields, None for those the spec has not."""
        gates, output = 4 * self.hidden_size, self.output_size
        inputs = output * self.num_directions if layer else self.input_size
        bias = (gates,) if self.bias else None
        weight_hr = (output, self.hidden_size) if self.proj_size else None
        return [(gates, inputs), (gates, output), bias, bias, weight_hr]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every key of the flat mapping of parameters with its shape, torch's order."""
        return {
            key: shape
            for layer in range(self.num_layers)
            for direction in range(self.num_directions)
            for key, shape in zip(
                self.layer_keys(layer, direction), self.layer_shapes(layer), strict=True
            )
            if shape is not None
        }
