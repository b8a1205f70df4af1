"""Reading golden files: what is in one is believed only where it fits its case."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax.terminal import printable
from parity.files.read import read_tensors
from parity.judge.cases import SETS, Case, Cotangents, Problem, cotangents_of
from parity.judge.tensors import OUTPUTS, Array, Key, by_name, primals_of
from parity.judge.tolerance import BUDGETS, Exact
from parity.verify.saved.golden import ABOUT, FORMAT, Golden

_STEPPED = ("ys", "d_xs")  # the first axis is time


def read(path: str | PathLike[str]) -> list[Golden]:
    """The checks of a golden file; no code of the file is run.

    Raises:
        ValueError: If it is no golden file of this version, or is not whole.
    """
    tensors = read_tensors(path)
    if ABOUT not in tensors:
        raise ValueError(
            f"{path} must be a file of check --save: it has no array {ABOUT!r}. Make "
            "one with python -m parity check --save run.npz."
        )
    try:
        about = json.loads(tensors.pop(ABOUT).tobytes())
        version = about["format"]
        if version == FORMAT:
            return [_golden(tensors, k, one) for k, one in enumerate(about["checks"])]
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as why:
        raise ValueError(
            f"{path} cannot be read as a file of check --save: "
            f"{type(why).__name__} {printable(why, 80)}. Save it again."
        ) from None
    raise ValueError(
        f"{path} must be of format {FORMAT}: it is of {printable(version, 20)}, of "
        "another version of this program. Save it again."
    )


def _golden(tensors: Mapping[str, Array], number: int, about: Any) -> Golden:
    start = f"{number}/"
    own = {k.removeprefix(start): a for k, a in tensors.items() if k.startswith(start)}
    odd = [name for name, array in own.items() if array.dtype.kind not in "biuf"]
    if odd:
        raise ValueError(f"{odd[0]} holds no real numbers")
    case = _case(about["case"], len(own))
    problem = _problem(own, case)
    given = {
        name: array.astype(jnp.dtype(case.dtype), copy=False)
        for name, array in _below(own, "given/").items()
    }
    exact = _exact(own)
    sides = {
        side: {
            key: array.astype(jnp.dtype(case.dtype_of(key[0])), copy=False)
            for key, array in _parted(_below(own, f"{side}/")).items()
        }
        for side in about["sides"]
    }
    _check_complete(problem, exact)
    facts = {str(k): str(v) for k, v in about["facts"].items()}
    return Golden(
        case=case,
        problem=problem,
        given=problem.params | given,
        exact=exact,
        sides=sides,
        facts=facts,
    )


def _case(held: dict[str, Any], most_layers: int) -> Case:
    """A case of exactly the fields that cases have, each of its kind."""
    case, other = Case(**{**held, "batch": tuple(held["batch"])}), Case(name="")
    kinds = {name: type(value) for name, value in asdict(other).items()}
    for name, kind in kinds.items():
        if type(getattr(case, name)) is not kind:
            raise ValueError(f"case: {name} must be {kind.__name__}")
    if case.dtype not in BUDGETS or not 0 < case.num_layers <= most_layers:
        raise ValueError(f"case: dtype {case.dtype!r}, {case.num_layers} layers")
    return case


def _below(own: Mapping[str, Array], start: str) -> dict[str, Array]:
    return {k.removeprefix(start): a for k, a in own.items() if k.startswith(start)}


def _parted(tensors: Mapping[str, Array]) -> dict[Key, Array]:
    """Tensors by key: a gradient for each set of cotangents."""
    parted: dict[Key, Array] = {}
    for tensor, array in tensors.items():
        if tensor.startswith("d_"):
            sets = zip(SETS, array, strict=True)
            parted |= {(tensor, name): one for name, one in sets}
        else:
            parted[tensor, ""] = array
    return parted


def _exact(own: Mapping[str, Array]) -> dict[Key, Exact]:
    high, rest, noise = (
        _parted(_below(own, f"{name}/")) for name in ("exact", "rest", "noise")
    )
    wide = {key: high[key].astype(np.longdouble) + a for key, a in rest.items()}
    return {
        key: Exact(a, noise[key].astype(np.float64), steps=key[0] in _STEPPED)
        for key, a in (high | wide).items()
    }


def _problem(own: Mapping[str, Array], case: Case) -> Problem:
    """The arrays of a problem, of the sizes and types of its case."""
    xs = _checked(own, "xs", (case.steps, *case.batch, case.input_size), case.dtype)
    params = {
        name: _checked(own, f"params/{name}", shape, case.dtype)
        for name, shape in case.spec.shapes().items()
    }
    rows = case.num_layers * (1 + case.bidirectional)
    out = case.spec.output_size
    h = ((rows, *case.batch, out), case.dtype)
    c = ((rows, *case.batch, case.hidden_size), case.cell_dtype)

    def state(name: str, there: bool) -> Any:
        if not there:
            return None
        return _checked(own, f"{name}/h", *h), _checked(own, f"{name}/c", *c)

    ys = ((case.steps, *case.batch, (1 + case.bidirectional) * out), case.dtype)
    parts = zip(Cotangents._fields, (ys, h, c), strict=True)
    weights = [_checked(own, f"cotangents/{name}", *of) for name, of in parts]
    return Problem(
        params,
        xs,
        state("state", case.given_state),
        cotangents_of(*weights),
        own["lengths"].reshape(case.batch) if case.lengths else None,
        own["resets"].reshape(case.steps, *case.batch) if case.resets else None,
        state("reset_state", case.resets and case.reset_state),
    )


def _checked(
    own: Mapping[str, Array], name: str, shape: tuple[int, ...], dtype: str
) -> Array:
    array = own[name]
    if array.shape != shape:
        raise ValueError(f"{name} is {list(array.shape)}, must be {list(shape)}")
    return array.astype(jnp.dtype(dtype), copy=False)


def _check_complete(problem: Problem, exact: Mapping[Key, Exact]) -> None:
    """Refuse a file without the exact value of a tensor, or of another shape."""
    for key, shape in _shapes(problem).items():
        steps = shape[0] if key[0] in _STEPPED else 1
        found = exact.get(key)
        if found is None or (found.value.shape, len(found.noise)) != (shape, steps):
            raise ValueError(f"exact/{'/'.join(filter(None, key))}")


def _shapes(problem: Problem) -> dict[Key, tuple[int, ...]]:
    """The tensors that are compared, and their shapes."""
    outputs = zip(OUTPUTS, problem.cotangents, strict=True)
    shapes: dict[Key, Any] = {(name, ""): a.shape[1:] for name, a in outputs}
    inputs = by_name(primals_of(problem))
    return shapes | {(n, one): a.shape for n, a in inputs.items() for one in SETS}
