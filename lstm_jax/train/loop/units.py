"""Weights divided by units among devices, in any tree that has them by their names."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.tree_util import DictKey, tree_map_with_path

from lstm_jax._types import LSTMSpec, ParamKey
from lstm_jax.scan.units import apart_shape, stacked_shape

Change = Callable[[ParamKey, Any], Any]


def map_units(change: Change, tree: Any, others: Callable[[Any], Any]) -> Any:
    """`change` of each leaf that is like a parameter of an LSTM; of others, `others`.

    It is like one where its name in the innermost mapping is, as in Adam's averages.
    """

    def of(path: Any, leaf: Any) -> Any:
        key = _key_of(path)
        return others(leaf) if key is None else change(key, leaf)

    return tree_map_with_path(of, tree)


def _key_of(path: Any) -> ParamKey | None:
    names = [str(part.key) for part in path if isinstance(part, DictKey)]
    return _parsed(names[-1]) if names else None


def _parsed(name: str) -> ParamKey | None:
    return LSTMSpec.parse_key(name.rpartition(".")[2])


def apart(key: ParamKey, leaf: Any) -> np.ndarray:
    """The leaf on the host, its gates on an axis of their own."""
    array = np.asarray(leaf)
    return array.reshape(apart_shape(key.field, array.shape))


def stacked(key: ParamKey, leaf: Any) -> np.ndarray:
    """The leaf on the host in torch's shape, of the parts that this process has."""
    whole = np.empty(leaf.shape, leaf.dtype)
    for part in leaf.addressable_shards:
        whole[part.index] = part.data
    return whole.reshape(stacked_shape(key.field, whole.shape))


def check_units(params: Mapping[str, Any], count: int, optimizer: Any) -> None:
    """Refuse what `count` devices cannot divide.

    Raises:
        ValueError: If there is no LSTM, its units are no multiple of `count`, or the
            optimizer does not treat each number of a weight by itself.
    """
    keys = {name: key for name in params if (key := _parsed(name))}
    if not keys:
        raise ValueError(
            f"fit: unit_devices={count} must be 1 for a model without the weights of "
            "an LSTM: it has no units to divide. Leave it out."
        )
    for name, key in keys.items():
        units = apart_shape(key.field, params[name].shape)[1]
        if units % count:
            raise ValueError(
                f"fit: unit_devices={count} must divide the {units} units of {name}: "
                "each device has as many. Use unit_devices=1, or other units."
            )
    divided = {
        name: jax.ShapeDtypeStruct(_apart_shape(keys.get(name), a.shape), a.dtype)
        for name, a in params.items()
    }
    whole = jax.eval_shape(optimizer.init, dict(params))
    expected = map_units(_apart_struct, whole, lambda leaf: leaf)
    if _shapes(jax.eval_shape(optimizer.init, divided)) != _shapes(expected):
        raise ValueError(
            f"fit: unit_devices={count} must be 1 with this optimizer: it looks at "
            "rows or columns of a weight, and its gates get an axis of their own. Use "
            "one that treats each number by itself, such as optax.adam."
        )


def _apart_shape(key: ParamKey | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if key is None else apart_shape(key.field, shape)


def _apart_struct(key: ParamKey, leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(apart_shape(key.field, leaf.shape), leaf.dtype)


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [leaf.shape for leaf in leaves]
