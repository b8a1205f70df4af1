"""How each framework stores the same LSTM: data, not code."""

from dataclasses import dataclass

# Torch's order and ours. `i` input, `f` forget, `g` cell (Keras and ONNX call it `c`),
# `o` output.
GATES = "ifgo"


@dataclass(frozen=True)
class Layout:
    """The facts that a converter needs.

    `gates` is the order on the stacked axis; `biases` how many are stored; `transposed`
    whether kernels are `(features, 4H)`; `state` the order of the pair; `forget_bias`
    what the cell adds to the forget gate at every step without storing it.
    """

    name: str
    gates: str = GATES
    biases: int = 2
    transposed: bool = False
    state: str = "hc"
    forget_bias: float = 0.0


LAYOUTS = (
    Layout("lstm_jax"),
    Layout("torch"),
    Layout("Equinox", biases=1),
    Layout("MLX", biases=1),
    Layout("Flax", biases=1, transposed=True, state="ch"),
    Layout("Keras", biases=1, transposed=True),
    Layout("Haiku", gates="igfo", biases=1, transposed=True, forget_bias=1.0),
    Layout("Haste", gates="igfo", biases=1, transposed=True),
    Layout("ONNX", gates="iofg"),
)


def readers_of(gates: str) -> str:
    """The frameworks that store the gates in that order, for a sentence."""
    return " or ".join(layout.name for layout in LAYOUTS if layout.gates == gates)
