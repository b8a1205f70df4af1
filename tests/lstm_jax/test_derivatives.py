"""Every transform of JAX on every kind of LSTM, against the oracle in long doubles.

First derivatives are the oracle's; second ones are its central differences, twice
extrapolated, which leaves some 1e-16 of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify
from jax.sharding import PartitionSpec as Spec

from lstm_jax import lstm
from parity.judge import oracle, tolerance
from parity.judge.cases import Case, Problem
from tests.lstm_jax.test_dropout import KEY, masks

pytestmark = pytest.mark.usefixtures("float64")

RATE = 0.5
CASES = {
    "plain": Case(name="plain", dtype="float64"),
    "bidirectional": Case(name="bidirectional", bidirectional=True, dtype="float64"),
    "projection": Case(name="projection", proj_size=3, dtype="float64"),
    "lengths": Case(name="lengths", lengths=True, dtype="float64"),
    "resets": Case(name="resets", resets=True, reset_state=True, dtype="float64"),
    "dropout": Case(name="dropout", num_layers=2, dtype="float64"),
    "bf16": Case(name="bf16", dtype="bfloat16"),
}
BIAS = "bias_ih_l0"
WIDE = np.longdouble


@dataclass(frozen=True)
class Kind:
    """A kind of LSTM: a function of parameters, inputs and state, and its derivatives.

    The scalar is the sum of the outputs weighted by the case's cotangents.
    """

    case: Case
    problem: Problem
    dropped: bool

    @property
    def inputs(self) -> Any:
        state = self.problem.state
        return jax.tree.map(jnp.asarray, (self.problem.params, self.problem.xs, state))

    @property
    def options(self) -> dict[str, Any]:
        names = ("lengths", "resets", "reset_state")
        given = {name: getattr(self.problem, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def cotangents(self) -> list[np.ndarray]:
        return [a[0] for a in self.problem.cotangents]

    def run(self, inputs: Any, options: Any = None) -> list[Any]:
        """Outputs and states."""
        dropout = {"dropout": RATE, "dropout_key": KEY} if self.dropped else {}
        options = {**(self.options if options is None else options), **dropout}
        ys, (h, c) = lstm(*inputs, **options)
        return [ys, h, c]

    def scalar(self, inputs: Any, options: Any = None, cotangents: Any = None) -> Any:
        wide = jnp.float32 if self.case.dtype == "bfloat16" else jnp.float64
        weights = cotangents or self.cotangents
        pairs = zip(self.run(inputs, options), weights, strict=True)
        return sum(jnp.sum(a.astype(wide) * b.astype(wide)) for a, b in pairs)

    @cached_property
    def tangents(self) -> Any:
        rng = np.random.default_rng(5)
        return jax.tree.map(
            lambda a: (rng.standard_normal(a.shape) / 16).astype(a.dtype), self.inputs
        )

    def exact(self, inputs: Any, shards: int = 1) -> Any:
        """The gradient of the scalar by the oracle, the batch in so many shards."""
        params, xs, (h, c) = jax.tree.map(lambda a: np.asarray(a).astype(WIDE), inputs)
        d_ys, d_h, d_c = (a.astype(WIDE) for a in self.cotangents)
        if not self.dropped:
            result = oracle.forward(params, xs, h, c, **self.options)
            found = oracle.backward(result, d_ys, d_h, d_c)
            return found.params, found.xs, (found.h, found.c)
        first = {name: a for name, a in params.items() if name.endswith("0")}
        second = {k.replace("1", "0"): a for k, a in params.items() if k not in first}
        mask = self.mask(shards)
        below = oracle.forward(first, xs, h[:1], c[:1])
        above = oracle.forward(second, below.ys * mask, h[1:], c[1:])
        top = oracle.backward(above, d_ys, d_h[1:], d_c[1:])
        bottom = oracle.backward(below, top.xs * mask, d_h[:1], d_c[:1])
        d_params = {name.replace("0", "1"): a for name, a in top.params.items()}
        states = (np.concatenate(a) for a in ((bottom.h, top.h), (bottom.c, top.c)))
        return {**bottom.params, **d_params}, bottom.xs, tuple(states)

    def mask(self, shards: int) -> np.ndarray:
        """What the key multiplies the first layer's output by, seen through glass.

        Each device draws the mask of its own rows, from the same key.
        """
        rows = self.case.batch[0] // shards
        mask = masks(2, RATE, (self.case.steps, rows, 4))[0].astype(WIDE)
        return np.concatenate([mask] * shards, axis=1)

    @cached_property
    def gradient(self) -> Any:
        return self.exact(self.inputs)

    def change_of_gradient(self, tangents: Any) -> Any:
        """The derivative of the gradient along tangents."""

        def moved(step: Any) -> Any:
            return jax.tree.map(
                lambda a, d: np.asarray(a).astype(WIDE) + step * d.astype(WIDE),
                self.inputs,
                tangents,
            )

        def slope(step: Any) -> Any:
            ahead, behind = (self.exact(moved(s)) for s in (step, -step))
            return jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind)

        def better(fine: Any, coarse: Any, power: int) -> Any:
            return jax.tree.map(lambda a, b: a + (a - b) / (power - 1), fine, coarse)

        first, second, third = (slope(WIDE(step)) for step in (4e-3, 2e-3, 1e-3))
        return better(better(third, second, 4), better(second, first, 4), 16)


def of_bias(value: Any) -> Any:
    return value[0][BIAS]


def with_bias(kind: Kind, bias: Any) -> Any:
    params, *others = kind.inputs
    return ({**params, BIAS: bias}, *others)


def inner(left: Any, right: Any) -> tuple[Any, Any]:
    """The inner product of two trees, and the sum of the sizes of what it adds."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    products = [np.ravel(a * np.asarray(b).astype(WIDE)) for a, b in pairs]
    return np.concatenate(products).sum(), np.abs(np.concatenate(products)).sum()


Pairs = tuple[Any, Any]
TRANSFORMS: dict[str, Callable[[Kind], Pairs]] = {}


def transform(function: Callable[[Kind], Pairs]) -> Callable[[Kind], Pairs]:
    """Enter a row of the table: what JAX finds, and what is right."""
    TRANSFORMS[function.__name__] = function
    return function


@transform
def grad(kind: Kind) -> Pairs:
    return jax.jit(jax.grad(kind.scalar))(kind.inputs), kind.gradient


@transform
def jvp(kind: Kind) -> Pairs:
    found = jax.jit(partial(jax.jvp, kind.scalar))((kind.inputs,), (kind.tangents,))
    return found[1], kind.gradient


@transform
def linearize(kind: Kind) -> Pairs:
    return jax.linearize(kind.scalar, kind.inputs)[1](kind.tangents), kind.gradient


def _jacobian(kind: Kind, of: Any) -> Pairs:
    found = jax.jit(of(lambda bias: kind.run(with_bias(kind, bias))))(
        of_bias(kind.inputs)
    )
    weighted = (
        np.tensordot(w.astype(WIDE), np.asarray(j).astype(WIDE), w.ndim)
        for w, j in zip(kind.cotangents, found, strict=True)
    )
    dtype = of_bias(kind.inputs).dtype
    return sum(weighted).astype(dtype), of_bias(kind.gradient)  # type: ignore[union-attr]


@transform
def jacfwd(kind: Kind) -> Pairs:
    return _jacobian(kind, jax.jacfwd)


@transform
def jacrev(kind: Kind) -> Pairs:
    return _jacobian(kind, jax.jacrev)


@transform
def hessian(kind: Kind) -> Pairs:
    bias, along = of_bias(kind.inputs), of_bias(kind.tangents)
    found = jax.jit(jax.hessian(lambda bias: kind.scalar(with_bias(kind, bias))))(bias)
    nothing = jax.tree.map(np.zeros_like, kind.tangents)
    only = ({**nothing[0], BIAS: along}, *nothing[1:])
    product = np.asarray(found).astype(WIDE) @ along.astype(WIDE)
    return product.astype(bias.dtype), of_bias(kind.change_of_gradient(only))


@transform
def jvp_of_grad(kind: Kind) -> Pairs:
    run = jax.jit(partial(jax.jvp, jax.grad(kind.scalar)))
    found = run((kind.inputs,), (kind.tangents,))[1]
    return found, kind.change_of_gradient(kind.tangents)


def _three(kind: Kind) -> Any:
    params, xs, state = kind.inputs
    return params, jnp.stack([xs, -xs, xs / 2]), state


@transform
def vmap_of_grad(kind: Kind) -> Pairs:
    params, many, state = _three(kind)
    run = jax.jit(jax.vmap(jax.grad(kind.scalar), ((None, 0, None),)))
    each = [kind.exact((params, xs, state)) for xs in many]
    return run((params, many, state)), jax.tree.map(lambda *a: np.stack(a), *each)


@transform
def grad_of_vmap(kind: Kind) -> Pairs:
    params, many, state = _three(kind)

    def total(inputs: Any) -> Any:
        return jnp.sum(jax.vmap(kind.scalar, ((None, 0, None),))(inputs))

    d_params, d_xs, d_state = zip(
        *(kind.exact((params, xs, state)) for xs in many), strict=True
    )
    params_and_state = jax.tree.map(
        lambda *a: sum(a), *zip(d_params, d_state, strict=True)
    )
    found = jax.jit(jax.grad(total))((params, many, state))
    return found, (params_and_state[0], np.stack(d_xs), params_and_state[1])


@transform
def remat(kind: Kind) -> Pairs:
    found = jax.jit(jax.grad(jax.checkpoint(kind.scalar)))(kind.inputs)  # pyright: ignore[reportPrivateImportUsage]
    return found, kind.gradient


@transform
def checkified(kind: Kind) -> Pairs:
    checked = checkify.checkify(jax.grad(kind.scalar), errors=checkify.index_checks)
    error, found = jax.jit(checked)(kind.inputs)
    error.throw()
    return found, kind.gradient


@transform
def shard_map(kind: Kind) -> Pairs:
    """The batch over two devices: four rows, two on each."""
    rows, everywhere = Spec(None, "data"), Spec()
    inputs = (everywhere, rows, rows)
    masks_of = {"lengths": Spec("data"), "resets": rows, "reset_state": rows}
    options = {name: masks_of[name] for name in kind.options}

    @jax.jit
    @partial(
        jax.shard_map,
        mesh=jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,)),
        in_specs=(inputs, options, [rows] * 3),
        out_specs=inputs,
    )
    def run(inputs: Any, options: Any, cotangents: Any) -> Any:
        def own(inputs: Any) -> Any:
            return kind.scalar(inputs, options, cotangents)

        return jax.grad(own)(inputs)

    found = run(kind.inputs, kind.options, kind.cotangents)
    return found, kind.exact(kind.inputs, shards=2)


@pytest.fixture(scope="module", params=CASES)
def kind(request: pytest.FixtureRequest) -> Kind:
    """One kind of LSTM; lengths with no NaN, as the oracle's differences need none."""
    case = CASES[request.param]
    case = Case(**{**vars(case), "batch": (4,), "steps": 5})
    return Kind(case, case.draw(), request.param == "dropout")


# The others take four times as long: `make test-all` has them.
QUICK = {"grad"}
NAMES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in TRANSFORMS
]


@pytest.mark.parametrize("name", NAMES)
def test_every_derivative_of_every_kind_is_the_oracles(kind: Kind, name: str) -> None:
    found, expected = TRANSFORMS[name](kind)
    if not jax.tree.leaves(found)[0].shape:
        expected, size = inner(expected, kind.tangents)
        far = abs(float(found) - expected) / (tolerance.eps_of(kind.case.dtype) * size)
        assert far <= kind.case.budget
        return
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for ours, right in pairs:
        exact = tolerance.Exact(np.asarray(right), np.zeros(1), steps=False)
        stored = ours.dtype.name
        far = tolerance.distance(np.asarray(ours), exact, kind.case.dtype, stored)
        assert far.error <= kind.case.budget, far
