"""How each framework stores the same LSTM: data, not code."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lstm_jax import LSTMSpec

# Torch's order and ours. `i` input, `f` forget, `g` cell (Keras and ONNX call it `c`),
# `o` output.
GATES = "ifgo"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The facts that a converter needs, and what a reader wants to know beside them.

    `gates` is their order on the stacked axis, or of the arrays where each gate has its
    own. `transposed` says whether kernels are `(features, 4H)`. `biases` counts the
    biases stored; `bias_optional` says whether there may be none. `forget_bias` is
    added to the forget gate at every step, and stored nowhere. `state` is the order of
    the pair. `kernels` and `note` are words for the table of docs/design.md.
    """

    name: str
    gates: str = GATES
    transposed: bool = False
    kernels: str = ""
    biases: int = 2
    bias_optional: bool = False
    forget_bias: float = 0.0
    projection: bool = False
    state: str = "(h, c)"
    lies: Literal["stacked", "apart", "joined", "flat"] = "stacked"
    note: str = ""

    def losses(self, spec: LSTMSpec) -> dict[str, str]:
        """What this layout cannot hold of an LSTM: a name and a sentence for each.

        Example:
            >>> spec = LSTMSpec(input_size=3, hidden_size=4, proj_size=2)
            >>> LAYOUTS["Keras"].losses(spec)["projection"]
            'Keras has no projection.'
        """
        return dict(self._losses(spec))

    def _losses(self, spec: LSTMSpec) -> Iterator[tuple[str, str]]:
        if spec.proj_size and not self.projection:
            yield "projection", f"{self.name} has no projection."
        if spec.resets:
            yield "resets", f"{self.name} has no resets."
        if not spec.bias and not self.bias_optional:
            yield "no bias", f"{self.name} always has a bias: it stores zeros."
        if spec.bias and self.biases == 1:
            yield "two biases", f"{self.name} has one bias: it stores their sum."
        if spec.bias and self.forget_bias:
            less = f"{self.forget_bias:g}"
            sentence = f"{self.name} adds {less} to the forget gate: it stores "
            yield "forget bias", f"{sentence}that gate's bias less {less}, rounded."


_ROWS = (
    Layout(
        name="torch",
        kernels="`(4H, I)`, `(4H, P)`",
        bias_optional=True,
        projection=True,
        note="`weight_hr` is `(P, H)`; names end in `_l{k}` or `_l{k}_reverse`",
    ),
    Layout(
        name="jax.experimental.rnn",
        kernels="torch's in one flat vector",
        lies="flat",
        note="all kernels, then all biases, of forward 0, reverse 0, forward 1, ...",
    ),
    Layout(name="Equinox", biases=1, bias_optional=True),
    Layout(name="MLX", biases=1, bias_optional=True, note="`Wx`, `Wh`, `bias`"),
    Layout(
        name="Flax",
        transposed=True,
        kernels="`(I, H)`, `(H, H)`, the gates apart",
        lies="apart",
        biases=1,
        state="(c, h)",
        note="`ii`, `if`, ... `ho`; nnx writes `if_`; biases on `h*`",
    ),
    Layout(
        name="Flax nnx OptimizedLSTMCell",
        transposed=True,
        biases=1,
        state="(c, h)",
        note="`dense_i`, `dense_h`; the bias on `dense_h`",
    ),
    Layout(
        name="Keras",
        transposed=True,
        biases=1,
        bias_optional=True,
        note="calls `g` c; its forget bias of 1 is in the stored bias; "
        "CuDNNLSTM has two biases, and torch's blocks in the shape `(I, H)`",
    ),
    Layout(
        name="Haiku",
        gates="igfo",
        transposed=True,
        kernels="one `(I+H, 4H)`",
        lies="joined",
        biases=1,
        forget_bias=1.0,
        note="adds 1 to `f` at every step, and stores it nowhere",
    ),
    Layout(name="Haste", gates="igfo", transposed=True, biases=1),
    Layout(
        name="ONNX",
        gates="iofg",
        kernels="`(D, 4H, I)`, `(D, 4H, H)`",
        bias_optional=True,
        note="calls `g` c; `(D, 8H)` is `Wb`, then `Rb`; peepholes are i o f",
    ),
)
LAYOUTS = {layout.name: layout for layout in _ROWS}


def readers_of(gates: str) -> str:
    """The frameworks that store the gates in that order, for a sentence."""
    return " or ".join(layout.name for layout in _ROWS if layout.gates == gates)


_HEADER = """| | gates | kernels | biases | state | also |
|---|---|---|---|---|---|"""


def markdown(layouts: Iterable[Layout]) -> str:
    """A table of layouts, a line for each."""
    lines = (f"| {' | '.join(_cells_of(layout))} |" for layout in layouts)
    return "\n".join([_HEADER, *(line.replace("  ", " ") for line in lines)])


def _cells_of(layout: Layout) -> tuple[str, ...]:
    shapes = "`(I, 4H)`, `(H, 4H)`" if layout.transposed else "`(4H, I)`, `(4H, H)`"
    count = {1: "one", 2: "two"}[layout.biases]
    return (
        layout.name,
        " ".join(layout.gates),
        layout.kernels or shapes,
        f"{count}, or none" if layout.bias_optional else count,
        layout.state,
        layout.note,
    )
