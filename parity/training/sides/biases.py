"""Models that train the sum of torch's two biases, beside those that train both."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.judge.tensors import Array


def merged(params: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of the biases of each layer under the name of `bias_ih`."""
    return {
        name: array + params[_other(name)] if "bias_ih" in name else array
        for name, array in params.items()
        if "bias_hh" not in name
    }


def separate(
    params: Mapping[str, Array], first: Mapping[str, Array]
) -> dict[str, Array]:
    """Both biases again, where there is the sum alone.

    `bias_hh` is then as it was before the first step, and `bias_ih` is the rest.

    Raises:
        ValueError: If the names or shapes are not those of `first`.
    """
    whole = dict(params)
    for name in params:
        if "bias_ih" in name and _other(name) in first and _other(name) not in params:
            fixed = first[_other(name)].astype(params[name].dtype)
            whole |= {_other(name): fixed, name: params[name] - fixed}
    shapes = {name: np.shape(array) for name, array in first.items()}
    found = {name: np.shape(array) for name, array in whole.items()}
    if found != shapes:
        wrong = sorted(n for n in shapes | found if shapes.get(n) != found.get(n))
        raise ValueError(
            f"check_training: run must give parameters of the shapes it was given: "
            f"{', '.join(wrong)} differ. Yield (loss, params) with all of them."
        )
    return {name: whole[name] for name in first}


def _other(name: str) -> str:
    return name.replace("bias_ih", "bias_hh")
