"""LSTMs among the tensors of a larger model, found by torch's names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import lstm_jax

_KEY = re.compile(
    r"(?P<prefix>.*?)(?P<kind>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)"
    r"(?P<layer>_l\d+(_reverse)?)?"
)


@dataclass(frozen=True)
class Found:
    """An LSTM or LSTMCell in a file: where it is, and its parameters by short name."""

    prefix: str
    kind: str
    params: dict[str, Any]
    spec: lstm_jax.LSTMSpec

    @property
    def lstm_params(self) -> dict[str, Any]:
        """The parameters as `lstm_jax.lstm` takes them: a cell is one layer."""
        end = "_l0" if self.kind == "LSTMCell" else ""
        return {f"{name}{end}": value for name, value in self.params.items()}

    def sizes(self) -> str:
        """Sizes and flags, for a reader."""
        spec = self.spec
        parts = [f"{spec.input_size} -> {spec.hidden_size}"]
        if spec.proj_size:
            parts.append(f"projected to {spec.proj_size}")
        if spec.num_layers > 1:
            parts.append(f"{spec.num_layers} layers")
        parts += ["bidirectional"] * spec.bidirectional + ["no bias"] * (not spec.bias)
        return ", ".join(parts)


def find_lstms(tensors: Mapping[str, Any], prefix: str | None = None) -> list[Found]:
    """Every LSTM and LSTMCell among tensors, in the order of their prefixes.

    A GRU or a plain RNN has the same names, with three gates or one: it is passed over.

    Args:
        tensors: Names to arrays of any framework.
        prefix: Look at this prefix alone; None means everywhere.

    Returns:
        The LSTMs.

    Raises:
        ValueError: If one is not whole, or its shapes do not fit together.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> tensors = {f"encoder.{name}": array for name, array in params.items()}
        >>> [(found.prefix, found.kind) for found in find_lstms(tensors)]
        [('encoder.', 'LSTM')]
    """
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for name in tensors:
        match = _KEY.fullmatch(str(name))
        if match and prefix in (None, match["prefix"]):
            kind = "LSTM" if match["layer"] else "LSTMCell"
            short = match["kind"] + (match["layer"] or "")
            groups.setdefault((match["prefix"], kind), {})[short] = tensors[name]
    return [
        _found(*key, params)
        for key, params in sorted(groups.items())
        if not _has_other_gates(params)
    ]


def _has_other_gates(params: Mapping[str, Any]) -> bool:
    """Whether it is a GRU, with three gates, or a plain RNN, with one."""
    for name, array in params.items():
        if name.startswith("weight_hh") and len(array.shape) == 2:
            rows, columns = array.shape
            return rows in (columns, 3 * columns)
    return False


def _found(prefix: str, kind: str, params: dict[str, Any]) -> Found:
    one = Found(prefix, kind, params, lstm_jax.LSTMSpec(input_size=0, hidden_size=0))
    try:
        return replace(one, spec=lstm_jax.spec_of(one.lstm_params))
    except ValueError as error:
        sentence = str(error).removeprefix("spec_of: ")
        raise ValueError(f"{kind} at {prefix!r}: {sentence}") from None
