"""Parameters: keys and shapes, everything wrong listed at once and sorted."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jaxtyping import Array

from lstm_jax._checks.arrays import check_input, check_state, floating, refuse_rounding
from lstm_jax._types import LayerParams, LSTMSpec, LSTMState, ParamKey

# The parts of a weight under weight norm, pruning or dropout.
_IN_PARTS = re.compile(r"(^|\.)parametrizations\.|(_l\d+|_reverse)_(g|v|orig|raw)$")
_REQUIRED = ("weight_ih", "weight_hh")


def read_params(where: str, params: Any) -> dict[str, Array]:
    """A flat mapping of torch's names to arrays."""
    return _arrays(where, _named(where, params))


def read_exact(where: str, params: Any) -> dict[str, Array]:
    """The same, of arrays that keep their type in JAX: they are kept, not only used."""
    named = _named(where, params)
    for name, value in named.items():
        refuse_rounding(where, name, value)
    return _arrays(where, named)


def _arrays(where: str, named: Mapping[str, Any]) -> dict[str, Array]:
    return {name: floating(where, name, value) for name, value in named.items()}


def read_shaped(where: str, params: Any) -> dict[str, Any]:
    """A flat mapping of torch's names to arrays of any framework."""
    named = _named(where, params)
    for name, value in named.items():
        if not hasattr(value, "shape"):
            raise TypeError(
                f"{where}: {name} must be an array, not {type(value).__name__}: the "
                "sizes are read off its shape. Use numpy.asarray."
            )
    return named


def _named(where: str, params: Any) -> dict[str, Any]:
    if not isinstance(params, Mapping):
        raise TypeError(
            f"{where}: params must be a mapping from torch's names to arrays, not "
            f"{type(params).__name__}: a state dict is the parameter tree. "
            f"Use {_way_to_params(params)}."
        )
    if nested := [key for key in params if isinstance(params[key], Mapping)]:
        path = _path_to_params(params) or f"[{nested[0]!r}]"
        raise TypeError(
            f"{where}: params must be a flat mapping from torch's names to arrays: "
            f"{nested[0]!r} holds a mapping. Use params{path}."
        )
    return {str(key): params[key] for key in params}


def _way_to_params(value: Any) -> str:
    """How the owner of parameters gives them as a mapping."""
    for method in ("params", "state_dict"):
        if callable(getattr(value, method, None)):
            return f"its {method}()"
    return "a state dict, or init_params for a new one"


def _path_to_params(params: Mapping[Any, Any]) -> str:
    """Where the parameters of an LSTM are in nested mappings: `['params']['lstm']`."""
    if any(str(name).startswith("weight_ih") for name in params):
        return ""
    for key, value in params.items():
        if isinstance(value, Mapping):
            inner = _path_to_params(value)
            if inner or any(str(name).startswith("weight_ih") for name in value):
                return f"[{key!r}]{inner}"
    return ""


def read_spec(where: str, params: Mapping[str, Any]) -> LSTMSpec:
    """Layers, directions, sizes, bias and projection, read off keys and shapes."""
    keys = [key for name in params if (key := LSTMSpec.parse_key(name))]
    spec = _spec_of_keys(where, params, keys)
    expected = spec.shapes()
    refuse_keys(where, params, expected)
    _refuse_shapes(
        where, params, expected, "the sizes are read off weight_ih_l0 and weight_hh_l0."
    )
    return spec


def has_gate_axis(params: Mapping[str, Any]) -> bool:
    """Whether the first layer's weights are `(4, H, K)`.

    Four LSTMs side by side, for `vmap`, have other sizes: theirs are `(4, 4H, K)`.
    """
    first = [params.get(f"weight_{name}_l0") for name in ("ih", "hh", "hr")]
    ih, hh, hr = (None if a is None else a.shape for a in first)
    if ih is None or hh is None or len(ih) != 3 or len(hh) != 3:
        return False
    units = hr[-1] if hr and len(hr) == 2 else hh[2]
    return ih[:2] == hh[:2] == (4, units)


def read_cell_spec(where: str, params: Mapping[str, Any]) -> LSTMSpec:
    """The spec of one cell, whose keys have no `_l0` and which has no projection."""
    if any(key.endswith("_l0") for key in params):
        refuse_keys(where, params, _REQUIRED)
    spec = _unnumbered(where, params)
    if spec.proj_size:
        refuse_keys(where, params, [key for key in params if key != "weight_hr"])
    return spec


def _unnumbered(where: str, params: Mapping[str, Any]) -> LSTMSpec:
    """The spec of one layer whose keys have no `_l0`, nor the errors about them."""
    try:
        return read_spec(where, {f"{key}_l0": value for key, value in params.items()})
    except ValueError as error:
        said = str(error).replace("_l0", "")
        raise ValueError(said.replace("torch.nn.LSTM", "torch.nn.LSTMCell")) from None


def check_exact(
    where: str, params: Any, expected: Mapping[str, tuple]
) -> dict[str, Array]:
    """Parameters of exactly these keys and shapes, which keep their types."""
    return check_params(where, read_exact(where, params), expected)


def check_params(
    where: str, params: Any, expected: Mapping[str, tuple]
) -> dict[str, Array]:
    """Parameters of exactly these keys and shapes."""
    params = read_params(where, params)
    refuse_keys(where, params, expected)
    _refuse_shapes(where, params, expected, "the module has this size.")
    return params


def check_step(
    where: str, params: LayerParams, x: Any, state: Any
) -> tuple[LayerParams, Array, LSTMState]:
    """Arguments of one step as arrays that fit together."""
    if not isinstance(params, LayerParams):
        raise TypeError(
            f"{where}: params must be LayerParams, not {type(params).__name__}: a step "
            "is one layer in one direction. Use LayerParams(weight_ih, weight_hh, ...)."
        )
    named = {
        name: floating(where, f"params.{name}", value)
        for name, value in zip(LayerParams._fields, params, strict=True)
        if value is not None
    }
    if ("bias_ih" in named) != ("bias_hh" in named):
        raise ValueError(
            f"{where}: params must have both biases or none: torch's LSTM adds "
            "bias_ih and bias_hh. Use zeros for the one that is missing."
        )
    spec = _unnumbered(where, named)
    x = check_input(where, x, spec)
    state = check_state(where, "state", state, spec, x.shape[:-1], stacked=False)
    return LayerParams(**named), x, state


def _refuse_shapes(
    where: str, params: Mapping[str, Any], expected: Mapping[str, tuple], why: str
) -> None:
    wrong = [
        f"{key}.shape={params[key].shape} must be {expected[key]}"
        for key in sorted(expected)
        if params[key].shape != expected[key]
    ]
    if wrong:
        cure = "Check that the weights are one LSTM's, in torch's layout."
        if any(params[k].shape == _apart(expected[k]) for k in expected):
            cure = "Use lstm_jax.gather_units on the weights of the LSTM."
        raise ValueError(f"{where}: {_first(wrong, '; ')}: {why} {cure}")


def _apart(shape: tuple) -> tuple:
    """The shape of a parameter that `shard_units` has given an axis of gates."""
    return (4, shape[0] // 4, *shape[1:]) if shape else ()


def _spec_of_keys(
    where: str, params: Mapping[str, Any], keys: list[ParamKey]
) -> LSTMSpec:
    first = {f"{key}_l0" for key in _REQUIRED}
    if not first <= set(params):
        others = {name for name in params if not LSTMSpec.parse_key(name)}
        refuse_keys(where, others | (first & set(params)), first)
    shapes = {
        name: params[name].shape
        for name in (*sorted(first), "weight_hr_l0")
        if name in params
    }
    for name, size in shapes.items():
        if len(size) != 2 or 0 in size:
            cure = _cure_of_matrix(size)
            if has_gate_axis(params):
                cure = "Use lstm_jax.gather_units(params)."
            raise ValueError(
                f"{where}: {name}.shape={size} must be two sizes above 0: "
                f"torch's LSTM stores matrices. {cure}"
            )
    projection, output = shapes.get("weight_hr_l0"), shapes["weight_hh_l0"][1]
    return LSTMSpec(
        input_size=shapes["weight_ih_l0"][1],
        hidden_size=projection[1] if projection else output,
        # A layer whose number is larger than the count of keys is no part of a stack.
        num_layers=1 + min(len(keys), max(key.layer for key in keys)),
        bidirectional=any(key.direction for key in keys),
        proj_size=output if projection else 0,
        bias=any(key.field.startswith("bias") for key in keys),
    )


def _first(texts: list[str], between: str, most: int = 16) -> str:
    """The first of these, and how many more there are."""
    more = len(texts) - most
    rest = [f"and {more} more"] if more > 0 else []
    return between.join([*texts[:most], *rest])


def _cure_of_matrix(size: tuple) -> str:
    if len(size) == 3 and 0 not in size:
        return f"Use jax.vmap to run {size[0]} LSTMs: jax.vmap(lstm, (0, None))."
    return "Use the weights of a torch.nn.LSTM."


def refuse_keys(where: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Refuse keys that are missing or not used, all of them in one sentence."""
    found, expected = set(found), set(expected)
    missing, unused = sorted(expected - found), sorted(found - expected)
    if not missing and not unused:
        return
    parts = [
        f"{title} {_first([*map(repr, keys)], ', ')}"
        for title, keys in (("missing", missing), ("not used:", unused))
        if keys
    ]
    prefixes = sorted(
        key.removesuffix(required)
        for key in unused
        for required in ("weight_ih_l0", "weight_ih")
        if key.endswith(required) and key != required
    )
    cure = _cure_of_keys(unused, _owner(where, expected))
    if prefixes and not any(map(_IN_PARTS.search, unused)):
        cure = (
            f"Take its part with parity.from_torch(state_dict, prefix={prefixes[0]!r})."
        )
    raise ValueError(f"{where}: {'; '.join(parts)}. {cure}")


def _cure_of_keys(unused: Collection[str], owner: str) -> str:
    """What to give in place of these keys."""
    if owner == "torch.nn.LSTM":
        if any(map(_IN_PARTS.search, unused)):
            return (
                "Some weights are stored in parts: use "
                "parity.find_lstms(state_dict)[0].params, or "
                "parity.from_torch(state_dict)."
            )
        if set(_REQUIRED) <= set(unused):
            return "Use LSTMCell for the weights of a cell."
    return f"Give the keys of one {owner}, no more and no less."


def _owner(where: str, expected: Iterable[str]) -> str:
    """The class that has keys like these."""
    if where.startswith("LSTMModel"):
        return "LSTMModel"
    cell = not any(LSTMSpec.parse_key(key) for key in expected)
    return "torch.nn.LSTMCell" if cell else "torch.nn.LSTM"
