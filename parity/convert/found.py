"""The recurrent layers among tensors: LSTMs, whole or not, and what is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import lstm_jax
from lstm_jax.terminal import printable
from parity.names.keys import key_of, other_than_lstm, with_article
from parity.names.stored import Plain, refusal


@dataclass(frozen=True)
class Found:
    """An LSTM or LSTMCell in a file: where it is, and its parameters by short name.

    `notes` says how parameters that are stored in another form were read.
    """

    prefix: str
    kind: str
    params: dict[str, Any]
    spec: lstm_jax.LSTMSpec
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def lstm_params(self) -> dict[str, Any]:
        """The parameters as `lstm_jax.lstm` takes them: a cell is one layer."""
        end = "_l0" if self.kind == "LSTMCell" else ""
        return {f"{name}{end}": value for name, value in self.params.items()}

    @property
    def title(self) -> str:
        """Which it is, for a reader."""
        return f"{self.kind} at {printable(repr(self.prefix))}"

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


@dataclass(frozen=True)
class Broken:
    """An LSTM or LSTMCell that is not whole: where it is, and what is wrong."""

    prefix: str
    kind: str
    reason: str

    def sentence(self) -> str:
        """What is wrong, for a reader."""
        return f"{self.kind} at {self.prefix!r}: {self.reason}"


@dataclass(frozen=True)
class Other:
    """A GRU or a plain RNN, or a cell of them: where it is, and how many gates."""

    prefix: str
    kind: str
    gates: str

    def sentence(self) -> str:
        """What it is, for a reader."""
        where = printable(repr(self.prefix), 60)
        return f"{where} is {with_article(self.kind)} ({self.gates})"


Layer = Found | Broken | Other


def layers_in(whole: Plain) -> list[Layer]:
    """Every recurrent layer among tensors, sorted by prefix."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for name in whole.tensors:
        key = key_of(str(name))
        if key:
            there = groups.setdefault((key.prefix, key.kind), {})
            there[key.short] = whole.tensors[name]
    return [_one(whole, *key, groups[key]) for key in sorted(groups)]


def _one(whole: Plain, prefix: str, kind: str, params: dict[str, Any]) -> Layer:
    """An LSTM, if it is one, and if it is whole."""
    other, gates = other_than_lstm(kind, params)
    if other:
        return Other(prefix, other, gates)
    refused = _short(prefix, params, whole.refused)
    if refused:
        return Broken(prefix, kind, refusal(refused))
    notes = _short(prefix, params, whole.notes)
    one = Found(
        prefix, kind, params, lstm_jax.LSTMSpec(input_size=0, hidden_size=0), notes
    )
    try:
        return replace(one, spec=lstm_jax.spec_of(one.lstm_params))
    except ValueError as error:
        return Broken(prefix, kind, str(error).removeprefix("spec_of: "))


def _short(
    prefix: str, params: Mapping[str, Any], texts: Mapping[str, str]
) -> dict[str, str]:
    """The texts on these parameters, by their short names."""
    return {n: texts[f"{prefix}{n}"] for n in params if f"{prefix}{n}" in texts}
