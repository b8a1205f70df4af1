"""An LSTM between two frameworks: torch's arrays, and how its module is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import lstm_jax
from lstm_jax import LSTMSpec
from parity.arrays import array_of
from parity.frameworks.layers import Layers, layers_of

Kind = Literal["LSTM", "LSTMCell", "LSTMModel", "mapping"]
_CLASSES: dict[Kind, Any] = {
    "LSTM": lstm_jax.LSTM,
    "LSTMCell": lstm_jax.LSTMCell,
    "LSTMModel": lstm_jax.LSTMModel,
}
# What the arrays do not tell.
_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "LSTM": ("batch_first", "dropout"),
    "LSTMCell": (),
    "LSTMModel": ("dropout", "outputs", "activation"),
}


@dataclass(frozen=True, kw_only=True)
class Portable:
    """An LSTM without a framework.

    Attributes:
        kind: The class of `lstm_jax` that it is; "mapping" for arrays alone.
        params: Torch's names to arrays, as the class has them.
        options: What the arrays do not tell, as `from_params` of the class takes it:
            `batch_first`, `dropout`, `outputs`, `activation`.
    """

    kind: Kind
    params: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lstm(self) -> dict[str, Any]:
        """The parameters of the LSTM alone; a cell is a stack of one layer.

        Example:
            >>> cell = lstm_jax.LSTMCell(3, 4, rngs=nnx.Rngs(0))
            >>> list(portable_of("to_x", cell).lstm)[0]
            'weight_ih_l0'
        """
        inside = {n: a for n, a in self.params.items() if n.startswith("lstm.")}
        named = {n.removeprefix("lstm."): a for n, a in (inside or self.params).items()}
        first = {n: f"{n}_l0" for n in named if LSTMSpec.parse_key(f"{n}_l0")}
        return {first.get(n, n): array for n, array in named.items()}

    @property
    def spec(self) -> LSTMSpec:
        """The sizes of the LSTM."""
        return lstm_jax.spec_of(self.lstm)

    @property
    def layers(self) -> Layers:
        """The LSTM as every framework can be given it."""
        return layers_of(self.lstm)

    def given(self, where: str) -> Any:
        """The module that it is, or the mapping: copies, as JAX arrays.

        Args:
            where: The function that is called, for its errors.

        Raises:
            ValueError: If JAX would round a value.
        """
        params = {n: array_of(n, a, where) for n, a in self.params.items()}
        if self.kind == "mapping":
            return params
        return _CLASSES[self.kind].from_params(params, **self.options)


def portable_of(where: str, source: Any) -> Portable:
    """What a module of `lstm_jax` holds, or a flat mapping of torch's names.

    Args:
        where: The function that is called, for its errors.
        source: The module or the mapping.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(source, Mapping):
        return Portable(kind="mapping", params=dict(source))
    for kind, cls in _CLASSES.items():
        if isinstance(source, cls):
            own: Any = source
            options = {n: getattr(own, n) for n in _OPTIONS[kind]}
            return Portable(kind=kind, params=own.params(), options=options)
    raise _no_source(where, source)


def _no_source(where: str, source: Any) -> TypeError:
    why = "it must have torch's names"
    cure = "Give a dict of torch's names to arrays."
    if hasattr(source, "state_dict"):
        why, cure = "it is torch's", "Use parity.from_torch(module) first."
        if where == "to_torch":
            why, cure = "it is torch's already", "Use it as it is."
    elif type(source).__module__.startswith("lstm_jax.linen"):
        why, cure = "its weights are variables", f"Use {where}(variables['params'])."
    return TypeError(
        f"{where}: source must be an LSTM, LSTMCell or LSTMModel of lstm_jax, or a "
        f"mapping, not {type(source).__name__}: {why}. {cure}"
    )
