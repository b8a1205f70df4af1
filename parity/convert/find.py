"""LSTMs among the tensors of a larger model, found by torch's names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import lstm_jax
from parity.show import printable

_STARTS = re.compile("weight_|bias_")
_LONGEST = len("weight_ih_l9999_reverse")
# What DataParallel and torch.compile put into names; a prefix may leave them out.
_WRAPPERS = {"module", "_orig_mod"}
# Below one of these names are moments and copies for an optimizer, not weights.
_OPTIMIZERS = re.compile(r"(optim|optimizers?|opt)(_states?)?(_dict)?|exp_avg(_sq)?")


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


def find_lstms(tensors: Mapping[str, Any], prefix: str | None = None) -> list[Found]:
    """Every LSTM and LSTMCell among tensors, in the order of their prefixes.

    A GRU and a plain RNN are passed over: they have the same names, but three gates or
    one. What an optimizer keeps for an LSTM is passed over too.

    Args:
        tensors: Names to arrays of any framework.
        prefix: Look only at this prefix; None means everywhere. Its last dot, and the
            names that `DataParallel` and `torch.compile` add, may be left out.

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
    found, broken = survey(tensors, prefix)
    if broken:
        raise ValueError(broken[0].sentence())
    return found


def survey(
    tensors: Mapping[str, Any], prefix: str | None = None
) -> tuple[list[Found], list[Broken]]:
    """The LSTMs and LSTMCells that are whole, as in `find_lstms`, and the others."""
    groups = _at(_grouped(tensors), prefix)
    ones = [_whole_or_not(*key, groups[key]) for key in sorted(groups)]
    whole = [one for one in ones if isinstance(one, Found)]
    return whole, [one for one in ones if isinstance(one, Broken)]


def nothing_found(
    where: str, source: Any, tensors: Mapping[str, Any], prefix: str | None
) -> str:
    """The sentence for a file without an LSTM, or without one at a prefix."""
    at = "" if prefix is None else f" at prefix {prefix!r}"
    names = ", ".join(printable(name, 60) for name in sorted(tensors)[:6])
    return (
        f"{where}: {source} must hold an LSTM{at}: weights named as in torch, "
        f"weight_ih_l0 or weight_ih. It holds {names or 'nothing'}. Give another file "
        "or prefix."
    )


_Groups = dict[tuple[str, str], dict[str, Any]]


def _grouped(tensors: Mapping[str, Any]) -> _Groups:
    """Parameters by short name, under the prefix and kind of their LSTM."""
    groups: _Groups = {}
    for name in tensors:
        prefix, kind, short = _key_of(str(name))
        if kind and not any(map(_OPTIMIZERS.fullmatch, prefix.split("."))):
            groups.setdefault((prefix, kind), {})[short] = tensors[name]
    return {key: group for key, group in groups.items() if not _has_other_gates(group)}


def _key_of(name: str) -> tuple[str, str, str]:
    """Prefix, kind and short name of a parameter; no kind if it is of no LSTM."""
    for match in _STARTS.finditer(name, max(0, len(name) - _LONGEST)):
        prefix, short = name[: match.start()], name[match.start() :]
        if lstm_jax.LSTMSpec.parse_key(short):
            return prefix, "LSTM", short
        if lstm_jax.LSTMSpec.parse_key(f"{short}_l0"):
            return prefix, "LSTMCell", short
    return "", "", name


def _at(groups: _Groups, prefix: str | None) -> _Groups:
    """Those at exactly this prefix; if there are none, wrappers' names do not count."""
    if prefix is None:
        return groups
    prefix = f"{prefix}." if prefix and not prefix.endswith(".") else prefix
    exact = {key: group for key, group in groups.items() if key[0] == prefix}
    parts = _without_wrappers(prefix)
    bare = {key: groups[key] for key in groups if _without_wrappers(key[0]) == parts}
    return exact or bare


def _without_wrappers(prefix: str) -> list[str]:
    return [part for part in prefix.split(".") if part not in _WRAPPERS]


def _has_other_gates(params: Mapping[str, Any]) -> bool:
    """Whether it is a GRU, with three gates, or a plain RNN, with one."""
    for name, array in params.items():
        if name.startswith("weight_hh") and len(array.shape) == 2:
            rows, columns = array.shape
            return rows in (columns, 3 * columns)
    return False


def _whole_or_not(prefix: str, kind: str, params: dict[str, Any]) -> Found | Broken:
    one = Found(prefix, kind, params, lstm_jax.LSTMSpec(input_size=0, hidden_size=0))
    try:
        return replace(one, spec=lstm_jax.spec_of(one.lstm_params))
    except ValueError as error:
        return Broken(prefix, kind, str(error).removeprefix("spec_of: "))
