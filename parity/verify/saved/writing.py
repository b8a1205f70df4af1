"""Writing golden files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from parity.files.beside import beside
from parity.judge.cases import Problem
from parity.judge.tensors import Array, Key
from parity.verify.compared import Compared
from parity.verify.saved.golden import ABOUT, FORMAT, SIDES, Golden


def write(path: str | PathLike[str], checks: list[Golden]) -> None:
    """Write checks beside `path`, then rename.

    Raises:
        OSError: If it cannot be written.
    """
    about = {"format": FORMAT, "checks": list(map(_about, checks))}
    arrays: dict[str, Any] = {
        ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)
    }
    for number, check in enumerate(checks):
        for name, array in _arrays(check):
            wide = array.dtype == jnp.bfloat16
            arrays[f"{number}/{name}"] = array.astype("float32") if wide else array
    with beside(Path(path).resolve()) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _about(check: Golden) -> dict[str, Any]:
    return {
        "case": asdict(check.case),
        "facts": dict(check.facts),
        "sides": [side for side in SIDES if check.sides.get(side)],
    }


def _arrays(check: Golden) -> Iterator[tuple[str, Array]]:
    """Every array by its name in the file; one that follows from others is left out."""
    for name, array in _inputs(check.problem):
        yield name, array
    for name, array in check.given.items():
        right = check.problem.params.get(name)
        if right is None or not np.array_equal(right, array):
            yield f"given/{name}", array
    exact = {key: one.value.astype(np.float64) for key, one in check.exact.items()}
    rest = {
        key: (one.value - exact[key]).astype(np.float64)
        for key, one in check.exact.items()
        if one.value.dtype != np.float64
    }
    noise = {key: one.noise.astype(np.float64) for key, one in check.exact.items()}
    kinds = {"exact": exact, "rest": rest, "noise": noise, **check.sides}
    for name, values in kinds.items():
        for tensor, array in stacked(values).items():
            yield f"{name}/{tensor}", array


def stacked(values: Mapping[Key, Array]) -> dict[str, Array]:
    """The tensors by name; those of each set of cotangents as one, its first axis."""
    by_tensor: dict[str, list[Array]] = {}
    for (tensor, _), array in values.items():
        by_tensor.setdefault(tensor, []).append(array)
    gradients = {tensor for tensor, cotangents in values if cotangents}
    return {
        tensor: np.stack(arrays) if tensor in gradients else arrays[0]
        for tensor, arrays in by_tensor.items()
    }


def _inputs(problem: Problem) -> Iterator[tuple[str, Array]]:
    for name, array in problem.params.items():
        yield f"params/{name}", array
    yield "xs", problem.xs
    for name in ("state", "reset_state"):
        for part, array in zip("hc", getattr(problem, name) or (), strict=False):
            yield f"{name}/{part}", array
    for name, array in problem.cotangents._asdict().items():
        yield f"cotangents/{name}", array[0]
    for name in ("lengths", "resets"):
        if getattr(problem, name) is not None:
            yield name, getattr(problem, name)


def golden_of(compared: Compared, facts: Mapping[str, str]) -> Golden:
    """A comparison as it is kept; `facts` say what it was made by."""
    sides = {"jax": compared.actual, "torch": compared.torch}
    values = {
        name: {key: one.value for key, one in side.items()}
        for name, side in sides.items()
        if side
    }
    return Golden(
        case=compared.case,
        problem=compared.problem,
        given=compared.given,
        exact=compared.exact,
        sides=values,
        facts=facts,
    )
