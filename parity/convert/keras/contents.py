"""A file of Keras among the files that the commands read."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lstm_jax.terminal import printable
from parity.convert.keras.recurrent import Recurrent, recurrent_of, unlike, unsaid
from parity.convert.keras.stored import KerasLayer, layers_in_file
from parity.convert.keras.weights import is_of_cudnn
from parity.files.read import Contents
from parity.frameworks.layers import Layers, params_of


def with_lstms(contents: Contents) -> Contents:
    """The tensors of a file, its LSTMs of Keras under torch's names.

    LSTMs are at the name of their layer, such as `lstm_1.weight_ih_l0`. All other
    tensors are as they are, those of an LSTM of another function among them.
    """
    tensors: dict[str, Any] = dict(contents.tensors)
    notes, held = [*contents.notes], list[Recurrent]()
    for one in _lstms_in(contents):
        title = f"the layer {printable(one.layer.name, 60)!r}"
        if other := unlike(one):
            notes.append(f"{title} is an LSTM of another function: {'; '.join(other)}")
            continue
        for name in one.layer.names:
            del tensors[name]
        tensors |= dict(_renamed(one))
        held.append(one)
        notes.append(f"{title} was read {_how(one)}")
    structure = (*contents.structure, *held)
    return replace(contents, tensors=tensors, notes=tuple(notes), structure=structure)


def found_at(contents: Contents, prefix: str) -> Recurrent | None:
    """The layer that `with_lstms` found at a prefix; None for a part of a layer."""
    for one in contents.structure:
        if isinstance(one, Recurrent) and [*stacks_of(one)] == [prefix]:
            return one
    return None


def _lstms_in(contents: Contents) -> Iterator[Recurrent]:
    """The layers of a file that have LSTMs, and nothing else."""
    for layer in keras_layers(contents):
        one = recurrent_of(layer)
        if one is not None and one.parts:
            yield one


def keras_layers(contents: Contents, config: str | None = None) -> list[KerasLayer]:
    """The layers of a file, by its own JSON or what is given in its place."""
    attributes: dict[str, Any] = dict(*contents.structure[:1])
    if config is not None:
        attributes[""] = {**attributes.get("", {}), "model_config": config}
    return layers_in_file(contents.tensors, attributes)


def _renamed(one: Recurrent) -> Iterator[tuple[str, Any]]:
    """Torch's arrays under torch's names, at the name of the layer."""
    for place, stack in stacks_of(one).items():
        for name, array in params_of(stack).items():
            yield f"{place}{name}", array


def stacks_of(one: Recurrent) -> dict[str, Layers]:
    """Its layers by prefix: a stack of cells of several sizes is cut into its cells."""
    sizes = {(*p.weight_hh.shape, p.weight_hh.dtype) for p in one.parts}
    place = f"{one.layer.name}."
    if len(sizes) == 1:
        return {place: one.layers}
    return {f"{place}{k}.": [layer] for k, layer in enumerate(one.layers)}


def _how(one: Recurrent) -> str:
    """How it was stored."""
    layout = "of CuDNNLSTM" if is_of_cudnn(one.layer.arrays) else "with one bias"
    if any(part.bias_ih is None for part in one.parts):
        layout = "without a bias"
    version = f" {one.layer.version}" if one.layer.version else ""
    rest = unsaid(one)
    return f"out of the layout of Keras{version}, {layout}" + (rest and f"; {rest}")
