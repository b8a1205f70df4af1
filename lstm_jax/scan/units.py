"""Weights of many units, divided among devices by units."""

from collections.abc import Mapping
from math import prod
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from lstm_jax import _checks
from lstm_jax._types import AnyArray, LSTMSpec


def shard_units(
    params: Mapping[str, AnyArray], mesh: Mesh, axis: str = "units"
) -> dict[str, Array]:
    """The parameters of an LSTM, divided by units among devices.

    Each device has `H / U` of the units, with the rows of all four gates that are
    theirs, so the gates get an axis of their own. The stacked axis `4H` could not be
    divided so: its first quarter is one gate. `lstm` takes the result as it takes
    `params`, under `jit`, `grad` and any transformation of optax, and computes the
    same numbers but for rounding. It gathers `h` of all units once in each step.

    Args:
        params: Torch's names to arrays, as in `lstm`; `L` layers, `H` units.
        mesh: Devices, one axis of them for the units. Others may divide the batch.
        axis: The name of that axis; `U` is its size, and must divide `H`.

    Returns:
        The same names. Weights are `(4, H, I)` and `(4, H, P)`, biases `(4, H)`, all
        divided on their second axis; so is `weight_hr`, `(P, H)`.

    Raises:
        ValueError: If the parameters are not those of one LSTM, or the axis does not
            fit them or is not of the kind `Auto`.
        TypeError: If `mesh` is no mesh.

    Example:
        >>> Auto = jax.sharding.AxisType.Auto
        >>> mesh = jax.make_mesh((1,), ("units",), axis_types=(Auto,))
        >>> params = init_params(jax.random.key(0), input_size=3, hidden_size=4)
        >>> divided = shard_units(params, mesh)
        >>> divided["weight_hh_l0"].shape, lstm(divided, jnp.ones((7, 5, 3)))[0].shape
        ((4, 4, 4), (7, 5, 4))

    References:
        Column parallelism of Shoeybi et al., *Megatron-LM*, arXiv:1909.08053, 2019;
        `jit` of `jax` puts in what is sent (Xu et al., *GSPMD*, arXiv:2105.04663).
    """
    where = "shard_units"
    arrays = _checks.read_params(where, params)
    spec = _checks.read_spec(where, arrays)
    _check_axis(where, mesh, axis, spec)
    sharding = NamedSharding(mesh, PartitionSpec(None, axis))

    def divided(name: str, array: Array) -> Array:
        return jax.device_put(array.reshape(apart_shape(name, array.shape)), sharding)

    return {name: divided(name, array) for name, array in arrays.items()}


def gather_units(params: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters in torch's shapes again, of what `shard_units` returned.

    Args:
        params: Parameters, their gradients, or their averages in an optimizer.

    Returns:
        Weights `(4H, I)` and `(4H, P)`, biases `(4H,)`, whole on each device; within
        `jit`, where XLA puts them.

    Raises:
        ValueError: If the shapes are not those of `shard_units`.
    """
    where = "gather_units"
    arrays = _checks.read_params(where, params)
    if not _checks.has_gate_axis(arrays):
        raise ValueError(
            f"{where}: params must have an axis of gates, as weight_ih_l0 (4, H, I): "
            "shard_units made one. Use the parameters as they are."
        )
    _ = _checks.read_spec(where, stacked_shapes(arrays))

    def whole(name: str, array: Array) -> Array:
        place = getattr(array, "sharding", None)  # within `jit` or `grad` there is none
        if isinstance(place, NamedSharding):
            array = jax.device_put(array, NamedSharding(place.mesh, PartitionSpec()))
        return array.reshape(stacked_shape(name, array.shape))

    return {name: whole(name, array) for name, array in arrays.items()}


def stacked_shapes(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, or what has their shapes with the gates stacked."""
    if not _checks.has_gate_axis(params):
        return params
    return {
        name: jax.ShapeDtypeStruct(stacked_shape(name, array.shape), array.dtype)
        for name, array in params.items()
    }


def apart_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of torch's parameter of this name with an axis of gates."""
    if name.startswith("weight_hr") or not shape:
        return shape
    return (4, shape[0] // 4, *shape[1:])


def stacked_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Torch's shape of a parameter of this name that has an axis of gates."""
    if name.startswith("weight_hr") or len(shape) < 2:
        return shape
    return (prod(shape[:2]), *shape[2:])


def _check_axis(where: str, mesh: Mesh, axis: str, spec: LSTMSpec) -> None:
    if not isinstance(mesh, Mesh):
        raise TypeError(
            f"{where}: mesh must be a jax.sharding.Mesh, not {type(mesh).__name__}: it "
            "has the devices and the names of their axes. Use jax.make_mesh(sizes, "
            "names, axis_types=...)."
        )
    if axis not in mesh.axis_names:
        raise ValueError(
            f"{where}: {axis=} must be an axis of the mesh, which has "
            f"{mesh.axis_names}. Give the name of the one for the units."
        )
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    if set(kinds.values()) != {AxisType.Auto}:
        raise ValueError(
            f"{where}: the axes of the mesh must be of the kind Auto: XLA finds what "
            "is sent. Use jax.make_mesh(sizes, names, "
            f"axis_types=(jax.sharding.AxisType.Auto,) * {len(kinds)})."
        )
    if spec.hidden_size % mesh.shape[axis]:
        raise ValueError(
            f"{where}: hidden_size={spec.hidden_size} must be a multiple of the "
            f"{mesh.shape[axis]} devices on {axis!r}: each has as many units. Use "
            "fewer devices."
        )
