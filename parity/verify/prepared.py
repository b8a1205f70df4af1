"""The arguments of a check, checked: a case, and the arrays that replace drawn ones."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import lstm_jax
from parity.judge.cases import Case
from parity.judge.tensors import Array, Run
from parity.verify import given


class Prepared(NamedTuple):
    """What is compared.

    Attributes:
        case: Sizes, type and seed.
        right: The right weights; None means drawn ones.
        ours: The weights that JAX is given; None means the right ones.
        xs: The inputs `(T, *B, I)`; None means drawn ones.
    """

    case: Case
    right: Mapping[str, Array] | None
    ours: Mapping[str, Array] | None
    xs: Array | None


_USUAL = {"steps": 7, "batch": 3, "dtype": "float32", "seed": 0}
_USUAL |= dict.fromkeys(("lengths", "resets", "reset_state"), False)


def prepared(
    module: Any, params: Any, xs: Any, run: Run, options: dict[str, Any]
) -> Prepared:
    """The case of a module's weights, of JAX's where they are others, and of inputs.

    Args:
        module: As in `check`.
        params: As in `check`.
        xs: As in `check`.
        run: As in `check`.
        options: `steps`, `batch`, `lengths`, `resets`, `reset_state`, `dtype` and
            `seed` of `check`; one that is left out is as there.

    Raises:
        ValueError: If one does not fit.
        TypeError: If one is of a wrong kind, or an option is unknown.
    """
    unknown = sorted(options.keys() - _USUAL.keys())
    if unknown:
        raise TypeError(
            f"check: {unknown[0]} must be one of {', '.join(_USUAL)}: no other is "
            "known. Leave it out."
        )
    sizes: dict[str, Any] = _USUAL | options
    dtype, seed = sizes.pop("dtype"), sizes.pop("seed")
    given.check_dtype(dtype)
    right = given.checked_weights(module, dtype)
    ours = None if params is None else given.checked_weights(params, dtype)
    spec = lstm_jax.spec_of(right)
    if run is lstm_jax.lstm and ours is not None:
        given.check_same_sizes(spec, ours)
    xs = given.checked_inputs(xs, spec, dtype)
    of = given.checked_sizes(xs, sizes.pop("steps"), sizes.pop("batch"))
    given.refuse_negative("seed", seed)
    masks = given.checked_masks(spec, **sizes)
    case = Case.of(spec, name="check", dtype=dtype, seed=seed, **of, **masks)
    return Prepared(case, right, ours, xs)
