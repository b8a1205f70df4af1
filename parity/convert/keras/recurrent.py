"""What a recurrent layer of Keras does: its cells, and what no weight tells."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lstm_jax import LayerParams
from parity.convert.keras.config import kind_of
from parity.convert.keras.stored import KerasLayer
from parity.convert.keras.weights import is_of_cudnn, parts_of
from parity.frameworks.layers import Layers

LSTMS = ("LSTM", "CuDNNLSTM", "LSTMCell")
# The functions that ours has. Keras 1 calls the one of the gates `inner_activation`.
_FUNCTIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}
_OLD_NAMES = {"recurrent_activation": "inner_activation"}
_OLD_NAMES |= {"dropout": "dropout_W", "recurrent_dropout": "dropout_U"}
_HARD_SIGMOID = {2: "clip(0.2 x + 0.5, 0, 1)", 3: "clip(x / 6 + 0.5, 0, 1)"}
# Since then a gate's own function is sigmoid, where a file does not say.
_SIGMOID_SINCE = (2, 3)
_Options = Mapping[str, Any]


@dataclass(frozen=True)
class Recurrent:
    """A layer of LSTMs.

    `cells` has the options of each cell, in the order of the weights: of a stack of
    cells, or of both directions. None stands for what a file does not say. `outer` has
    the options of the layer itself.
    """

    layer: KerasLayer
    cells: list[_Options | None]
    outer: _Options
    bidirectional: bool = False

    @property
    def parts(self) -> list[LayerParams]:
        """Torch's arrays of each cell."""
        return parts_of(self.layer.arrays)

    @property
    def layers(self) -> Layers:
        """The same as layers with their directions."""
        return [tuple(self.parts)] if self.bidirectional else [(p,) for p in self.parts]


def recurrent_of(layer: KerasLayer) -> Recurrent | None:
    """The LSTMs of a layer; None where it has others, or none."""
    if layer.options is None:
        return _by_arrays(layer)
    options = layer.options
    if layer.kind in LSTMS:
        return Recurrent(layer, [options], options)
    if layer.kind == "Bidirectional":
        return _bidirectional(layer, options)
    if layer.kind == "RNN":
        kind, cell = kind_of(options.get("cell"))
        stacked = kind == "StackedRNNCells"
        return _stacked(layer, cell.get("cells") if stacked else [options["cell"]])
    return None


def _bidirectional(layer: KerasLayer, options: _Options) -> Recurrent | None:
    """Both directions; the one that is backward reads the other way around."""
    kind, forward = kind_of(options.get("layer"))
    other, backward = kind_of(options.get("backward_layer") or options.get("layer"))
    if kind not in LSTMS or other not in LSTMS:
        return None
    return Recurrent(layer, [forward, backward], {**forward, **options}, True)


def _stacked(layer: KerasLayer, cells: Any) -> Recurrent | None:
    """A stack of cells in one layer."""
    found = [kind_of(cell) for cell in cells] if isinstance(cells, list) else []
    if not found or any(kind not in LSTMS for kind, _ in found):
        return None
    return Recurrent(layer, [held for _, held in found], layer.options or {})


def _by_arrays(layer: KerasLayer) -> Recurrent | None:
    """By names and shapes, of a file that does not say what its layers are."""
    count = len(parts_of(layer.arrays))
    sizes = sum(array.size for array in layer.arrays)
    held = sum(a.size for p in parts_of(layer.arrays) for a in p[:2])
    biases = sum(array.size for array in layer.arrays if len(array.shape) == 1)
    if not count or held + biases != sizes:
        return None
    last = layer.names[-1] if layer.names else ""
    both = count == 2 and any(p.startswith("backward_") for p in last.split("."))
    return Recurrent(layer, [None] * count, {}, both)


def unlike(one: Recurrent) -> list[str]:
    """What makes it another function than torch's LSTM, in words."""
    found = (
        text for options in one.cells for text in _unlike(one.layer, options or {})
    )
    return list(dict.fromkeys(found))


def _unlike(layer: KerasLayer, options: _Options) -> Iterator[str]:
    if layer.kind == "CuDNNLSTM":
        return
    for name, ours in _FUNCTIONS.items():
        theirs = _get(options, name, ours)
        if theirs != ours:
            shown = repr(theirs) if isinstance(theirs, str) else "a function of its own"
            if theirs == "hard_sigmoid":
                shown += f", which is {_hard_sigmoid(layer.version)}"
            yield f"its {name} is {shown}, not {ours!r}"


def _hard_sigmoid(version: str) -> str:
    """Which function it is in this version; in either, where that is not known."""
    known = [3 - _is_before(version, (3, 0))] if version else [2, 3]
    return " and ".join(f"{_HARD_SIGMOID[k]} in Keras {k}" for k in known)


def _get(options: _Options, name: str, default: Any) -> Any:
    """An option, under its new name or its old one."""
    value = options.get(name, options.get(_OLD_NAMES.get(name, name)))
    return default if value is None else value


def unsaid(one: Recurrent) -> str:
    """What a file does not say of it, in words; empty if it says all."""
    if all(_says_all(one.layer, cell) for cell in one.cells):
        return ""
    if is_of_cudnn(one.layer.arrays):
        return "the file does not say go_backwards"
    text = "the file does not say its activations, nor go_backwards"
    version = one.layer.version
    if _is_before(version, _SIGMOID_SINCE):
        text += (
            f"; where a program did not say either, Keras {version} took "
            f"{_HARD_SIGMOID[2]} in place of the sigmoid"
        )
    return text


def _says_all(layer: KerasLayer, cell: _Options | None) -> bool:
    """Whether nothing of a cell is left to the version of Keras."""
    if cell is None or layer.kind == "CuDNNLSTM":
        return cell is not None
    return all({name, _OLD_NAMES.get(name, name)} & cell.keys() for name in _FUNCTIONS)


def _is_before(version: str, other: tuple[int, int]) -> bool:
    """Whether a version is known, and before another."""
    digits = version.split(".")[:2]
    if len(digits) < 2 or not all(part.isdecimal() for part in digits):
        return False
    return tuple(map(int, digits)) < other


def lost(one: Recurrent) -> dict[str, str]:
    """What a module of ours would not do by itself: a name and a sentence for each."""
    return dict(_lost(one, f"the layer {one.layer.name!r}"))


def _lost(one: Recurrent, which: str) -> Iterator[tuple[str, str]]:
    for name in ("dropout", "recurrent_dropout"):
        if any(_get(cell or {}, name, 0) for cell in one.cells):
            what = "inputs" if name == "dropout" else "state"
            yield name, f"{which} has dropout on its {what} in training."
    if one.outer.get("go_backwards"):
        yield "go_backwards", f"{which} reads sequences from the end."
    if one.outer.get("stateful"):
        yield "stateful", f"{which} keeps its state between two calls."
    if narrow := narrowed([one.outer, *one.cells]):
        yield "dtype", f"{which} multiplies in {narrow}, and has wider weights."
    merge = one.outer.get("merge_mode", "concat")
    if one.bidirectional and merge != "concat":
        yield "merge_mode", f"{which} has merge_mode={merge!r}, not 'concat'."


def narrowed(held: Iterable[_Options | None]) -> str:
    """The type of products that is narrower than the weights; empty if none is."""
    names = (_policy(options or {}) for options in held)
    return next((n.removeprefix("mixed_") for n in names if n.startswith("mixed_")), "")


def _policy(options: _Options) -> str:
    """The types of a layer, by their name."""
    _, held = kind_of(options.get("dtype"))
    return str(held.get("name", options.get("dtype", "")))
