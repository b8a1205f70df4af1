"""`to_flax`: modules of `nnx` and `linen`, and their weights as mappings."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, NamedTuple

import flax.linen
from flax import nnx

from parity.frameworks.exchange import nested, written
from parity.frameworks.kinds.flax import linen_cell, nnx_cell
from parity.frameworks.kinds.flax_weights import DIRECTIONS
from parity.frameworks.layers import each_direction

_WHERE = "to_flax"
_APIS = {"nnx": nnx_cell, "linen": linen_cell}
_CELLS = ("OptimizedLSTMCell", "LSTMCell")


def to_flax(
    source: Any,
    *,
    api: Literal["nnx", "linen"] = "nnx",
    cell: Literal["OptimizedLSTMCell", "LSTMCell"] = "OptimizedLSTMCell",
    allow: str | Iterable[str] = (),
) -> Any:
    """An LSTM as Flax's own: the inverse of `from_flax`.

    Flax has one bias: it is the sum of the two. Its carry is `(c, h)`, ours `(h, c)`.

    Args:
        source: `lstm_jax.LSTM` or `LSTMCell`, or a flat mapping of torch's names.
        api: "nnx", or "linen".
        cell: Flax's cell; both compute the same.
        allow: Losses that are wanted all the same, as `parity.losses` names them;
            and "dropout", which Flax has not between layers.

    Returns:
        For an `LSTMCell` the cell. For an `LSTM` an `RNN` of it, or a `Bidirectional`
        of two; a list of these where there are several layers. They have our
        `batch_first` (`time_major` is its opposite) and `dtype`, and return states
        where they are called with `return_carry=True`. A module of linen is a pair
        `(module, variables)`. For a mapping, the pure dict of the nnx module or the
        variables of the linen one; a list of these for several layers.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If `api`, `cell` or `allow` is unknown, or JAX would round a value.
        NotImplementedError: If something would be lost: a projection, dropout.

    Example:
        >>> lstm = lstm_jax.LSTM(3, 4, batch_first=True, rngs=nnx.Rngs(0))
        >>> rnn = to_flax(lstm)
        >>> rnn(jnp.ones((5, 7, 3))).shape
        (5, 7, 4)
    """
    _check_choice("api", api, tuple(_APIS))
    _check_choice("cell", cell, _CELLS)
    portable = written(_WHERE, source, "flax", allow)
    layers = each_direction(_APIS[api](cell).store, portable.layers)
    alone = "weight_ih" in portable.params  # a cell's names
    if portable.kind == "mapping":
        make = partial(_weights, api, alone)
    else:
        time_major = None if alone else not portable.options["batch_first"]
        make = partial(_module, api, _Options(cell, source.dtype, time_major))
    return nested((make(directions),) for directions in layers)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"{_WHERE}: {name}={value!r} must be {' or '.join(map(repr, choices))}: "
            f"Flax has these. Use {choices[0]!r}."
        )


def _weights(api: str, alone: bool, directions: tuple[Any, ...]) -> Any:
    """The weights of a cell, an `RNN` of it, or a `Bidirectional` of two."""
    trees = [{"cell": tree} for tree in directions]
    tree = directions[0] if alone else trees[0]
    if len(trees) == 2:
        tree = dict(zip(DIRECTIONS, trees, strict=True))
    return {"params": tree} if api == "linen" else tree


class _Options(NamedTuple):
    """What a module is made with; no `time_major` is for a cell alone."""

    cell: str
    dtype: Any
    time_major: bool | None


def _module(api: str, options: _Options, directions: tuple[Any, ...]) -> Any:
    """The module; linen's with its variables."""
    library: Any = nnx if api == "nnx" else flax.linen
    make = _nnx_cell if api == "nnx" else _linen_cell
    cells = [make(options, tree) for tree in directions]
    module, time_major = cells[0], options.time_major
    if time_major is not None:
        rnns = [library.RNN(cell, time_major=time_major) for cell in cells]
        module = rnns[0]
        if len(rnns) == 2:
            module = library.Bidirectional(*rnns, time_major=time_major)
    weights = _weights(api, time_major is None, directions)
    return module if api == "nnx" else (module, weights)


def _nnx_cell(options: _Options, tree: Any) -> Any:
    """The cell with its weights."""
    kernel = (tree.get("dense_i") or tree["ii"])["kernel"]
    hidden = len((tree.get("dense_h") or tree["hi"])["kernel"])
    types = {"dtype": options.dtype, "param_dtype": kernel.dtype}
    make = partial(getattr(nnx, options.cell), len(kernel), hidden, **types)
    cell = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
    nnx.update(cell, tree)
    return cell


def _linen_cell(options: _Options, tree: Any) -> Any:
    """The cell, which holds no weights."""
    bias = tree["hi"]["bias"]
    types = {"dtype": options.dtype, "param_dtype": bias.dtype}
    return getattr(flax.linen, options.cell)(len(bias), **types)
