"""Weights of Flax's cells in mappings: where they are, and torch's arrays of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen
import jax
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from lstm_jax import LayerParams
from parity.arrays import array_of
from parity.frameworks.cells import Cell
from parity.frameworks.exchange import cell_names, flattened, read
from parity.frameworks.kinds.flax import linen_cell, nnx_cell
from parity.frameworks.layers import Layers

_WHERE = "from_flax"
DIRECTIONS = ("forward_rnn", "backward_rnn")  # the parts of `Bidirectional`
Path = tuple[str, ...]
# A name that only one kind of cell has: its kernel of `(I, H)`, or of `(I, 4H)`.
_KINDS: dict[str, tuple[str, int, Cell]] = {
    "dense_i": ("dense_i.kernel", 4, nnx_cell("OptimizedLSTMCell")),
    "if_": ("ii.kernel", 1, nnx_cell("LSTMCell")),
    "if": ("ii.kernel", 1, linen_cell("LSTMCell")),
}

_OF_A_CELL = {*_KINDS, "dense_h", "hi"}


def is_mapping(layer: Any) -> bool:
    """Whether a layer is weights: a mapping, or a pair of them."""
    parts = layer if isinstance(layer, tuple) else (layer,)
    return any(isinstance(part, Mapping) for part in parts[:1])


def of_mappings(source: Any) -> dict[str, Any]:
    """Torch's names to arrays, of a layer, a pair or a stack of mappings.

    Raises:
        ValueError: If they are not the weights of an LSTM, and nothing else.
    """
    found = [_cells_of(layer) for layer in flattened(_WHERE, source)]
    layers: Layers = [tuple(read_cell(tree) for _, tree in cells) for cells in found]
    params = read(_WHERE, layers, "mapping")
    bare = isinstance(source, Mapping) and found[0][0][0] == ()
    return cell_names(params) if bare else params


def _cells_of(layer: tuple[Any, ...]) -> list[tuple[Path, Any]]:
    """The place and the weights of the cell of each direction."""
    trees = [dict(_below(_plain(mapping))) for mapping in layer]
    if len(trees) == 1:
        places = {name: path for path in trees[0] for name in path[-2:-1]}
        if len(trees[0]) == 2 and places.keys() == set(DIRECTIONS):
            return [(places[name], trees[0][places[name]]) for name in DIRECTIONS]
    return [_alone(tree) for tree in trees]


def _plain(mapping: Any) -> Any:
    """A mapping as plain dicts of arrays."""
    if isinstance(mapping, nnx.State):
        return nnx.to_pure_dict(nnx.filter_state(mapping, nnx.Param))
    return flax.linen.meta.unbox(mapping)


def _below(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The weights of each cell below, and what is none, by their places."""
    if not isinstance(tree, Mapping) or _OF_A_CELL & tree.keys():
        yield path, tree
        return
    for name, below in tree.items():
        # linen's own name of all parameters is no place in the module.
        inside = path if name == "params" and not path else (*path, str(name))
        yield from _below(below, inside)


def _alone(tree: dict[Path, Any]) -> tuple[Path, Any]:
    """The one cell of a mapping that has nothing else."""
    cells = [path for path, below in tree.items() if isinstance(below, Mapping)]
    if len(tree) == 1 and cells:
        return cells[0], tree[cells[0]]
    places = ", ".join(sorted(repr(".".join(path)) for path in tree)) or "nothing"
    cure = "Give a mapping with the weights of one cell, such as variables['params']."
    if cells:
        at = "".join(f"[{name!r}]" for name in cells[0])
        cure = f"Give a part of it, such as source['params']{at}; a list is a stack."
    raise ValueError(
        f"{_WHERE}: source must be the weights of one layer, not {places}: each layer "
        f"of a stack is a mapping. {cure}"
    )


def read_cell(tree: Any) -> LayerParams:
    """Torch's arrays of a cell's weights.

    Raises:
        ValueError: If names or shapes are another's, or JAX would round a value.
    """
    leaves: dict[str, Any] = flatten_dict(tree, sep=".")
    arrays = {n: array_of(n, a, _WHERE) for n, a in leaves.items()}
    kind = next((kind for kind in _KINDS if kind in tree), "if")
    kernel, many, cell = _KINDS[kind]
    expected = _shapes(cell, arrays.get(kernel), many)
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        raise _other(found, expected)
    return cell.load(unflatten_dict(arrays, sep="."))


def _shapes(cell: Cell, kernel: Any, many: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a cell's arrays, by the kernel that tells its sizes."""
    if kernel is None or kernel.ndim != 2:
        return {}
    inputs, hidden = kernel.shape[0], kernel.shape[1] // many
    rows = 4 * hidden
    shapes = (rows, inputs), (rows, hidden), (rows,), (rows,)
    arrays: list[Any] = [jax.ShapeDtypeStruct(s, kernel.dtype) for s in shapes]
    tree = jax.eval_shape(cell.store, LayerParams(*arrays))
    leaves: dict[str, Any] = flatten_dict(tree, sep=".")
    return {name: leaf.shape for name, leaf in leaves.items()}


def _other(
    found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> ValueError:
    """The error for arrays that are no LSTM's, with all that is wrong."""
    wrong = [
        f"{name} is {found.get(name, 'missing')}"
        + (f", not {expected[name]}" if name in expected else "")
        for name in sorted(found.keys() | expected)
        if found.get(name) != expected.get(name)
    ]
    return ValueError(
        f"{_WHERE}: the weights of a cell must be those of LSTMCell or "
        f"OptimizedLSTMCell, but {'; '.join(wrong) or 'there are none'}: nothing else "
        "is read as an LSTM. Give the weights of one of these."
    )
