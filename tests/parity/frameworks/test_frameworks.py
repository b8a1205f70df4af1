"""Every framework's row: weights in and out, and what its own runtime makes of them.

A row that is added enters every test here, as the toy's does.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

import lstm_jax
from lstm_jax import LayerParams
from parity.frameworks.framework import Framework, Library, Outputs
from parity.frameworks.kinds.cudnn import FlatWeights
from parity.frameworks.layers import Layers, layers_of, params_of
from parity.frameworks.registry import FRAMEWORKS
from parity.judge.cases import SETS, Case, Cotangents, Problem
from parity.judge.exact import of_oracle
from parity.judge.tensors import Key, Primals, by_key, by_name
from tests.given.libraries import params as rows
from tests.given.toy_framework import TOY, WRONG_TOY


def _ours(params: Any, xs: Any) -> Outputs:
    ys, (h, c) = lstm_jax.lstm(params, xs)
    return Outputs(ys, h, c)


# `lstm_jax.lstm` stands beside the frameworks: what holds of them, holds of it.
OURS = replace(FRAMEWORKS["torch"], name="lstm_jax", run=_ours, differentiate=None)
ALL = [*FRAMEWORKS.values(), TOY, OURS]
SINGLE = Case(name="single", given_state=False)
STACK = replace(SINGLE, name="stack", num_layers=2, bidirectional=True)
NO_BIAS = replace(SINGLE, name="no bias", bias=False)
PROJECTED = replace(STACK, name="projection", proj_size=2)
THREE = replace(SINGLE, name="three layers", num_layers=3)
CASES = [SINGLE, STACK, NO_BIAS, PROJECTED, THREE]
DTYPES = ("float32", "bfloat16", "float16")

pytestmark = pytest.mark.usefixtures("unoptimised")


@pytest.fixture(autouse=True)
def _keras_on_jax(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras chooses its backend, and reads its settings, when it is imported."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def name_of(case: Case) -> str:
    return case.name


def assert_same_bits(found: Layers, expected: Layers) -> None:
    a, b = params_of(found), params_of(expected)
    assert list(a) == list(b)
    for name in a:
        one, two = np.asarray(a[name]), np.asarray(b[name])
        assert (one.dtype, one.shape) == (two.dtype, two.shape), name
        assert one.tobytes() == two.tobytes(), name


def without_what_is_lost(layers: Layers, losses: dict[str, str]) -> Layers:
    """The layers as they come back where these losses are all that happens."""

    def one(params: LayerParams) -> LayerParams:
        if "no bias" in losses:
            zeros = jnp.zeros_like(params.weight_hh[:, 0])
            return params._replace(bias_ih=zeros, bias_hh=zeros)
        if "two biases" in losses:
            total = jnp.add(params.bias_ih, params.bias_hh)  # type: ignore[arg-type]
            return params._replace(bias_ih=total, bias_hh=jnp.zeros_like(total))
        return params

    return [tuple(map(one, directions)) for directions in layers]


def forget_biases(layers: Layers) -> tuple[Layers, np.ndarray]:
    """The layers without the biases of the forget gates, and these."""
    apart = [jnp.split(p.bias_ih, 4) for row in layers for p in row]  # type: ignore
    rest = [
        tuple(
            p._replace(bias_ih=jnp.delete(p.bias_ih.reshape(4, -1), 1, axis=0))  # type: ignore
            for p in row
        )
        for row in layers
    ]
    return rest, np.stack([gates[1].astype(jnp.float32) for gates in apart])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("framework", ALL, ids=lambda row: row.name)
def test_weights_come_back_but_for_what_is_lost(
    framework: Framework, case: Case, dtype: str
) -> None:
    case = replace(case, dtype=dtype)
    layers, losses = layers_of(case.draw().params), framework.losses(case.spec)
    if "projection" in losses:
        with pytest.raises(NotImplementedError) as caught:
            _ = framework.from_lstm(layers)
        assert str(caught.value) == f"{framework.layout.name} has no projection."
        return
    back = framework.to_lstm(framework.from_lstm(layers))
    expected = without_what_is_lost(layers, losses)
    if "forget bias" in losses:
        eps = float(jnp.finfo(dtype).eps)
        (found, biases), (rest, exact) = map(forget_biases, (back, expected))
        assert np.abs(biases - exact).max() <= eps  # a rounding of 1
        assert_same_bits(found, rest)
    else:
        assert_same_bits(back, expected)
    again = framework.to_lstm(framework.from_lstm(back))
    assert_same_bits(again, back)


@pytest.mark.parametrize("framework", ALL, ids=lambda row: row.name)
def test_conversion_changes_none_of_its_arguments(framework: Framework) -> None:
    params = SINGLE.draw().params
    before = {name: a.copy() for name, a in params.items()}
    _ = framework.to_lstm(framework.from_lstm(layers_of(params)))
    for name, array in before.items():
        np.testing.assert_array_equal(params[name], array)


# The framework's own runtime.


@cache
def drawn(case: Case) -> Problem:
    """The problem of a case, with all outputs weighted."""
    problem = case.draw()
    return problem._replace(cotangents=Cotangents(*(a[:1] for a in problem.cotangents)))


@cache
def exact_of(case: Case) -> dict[Key, Any]:
    return of_oracle(drawn(case))


def values_of(framework: Framework, case: Case) -> dict[Key, np.ndarray]:
    """Outputs and gradients by torch's names."""
    problem = drawn(case)
    layers = layers_of(problem.params)
    weights = framework.from_lstm(layers)
    cotangents = Outputs(*(a[0] for a in problem.cotangents))
    derive = framework.derive if framework.differentiate else jax.jit(framework.derive)
    outputs, d_weights, d_xs = derive(weights, problem.xs, cotangents)
    gradients = params_of(framework.gradients(layers, d_weights))
    named = by_name(Primals(gradients, d_xs, None, None))
    of_all = {(name, SETS[0]): np.asarray(a) for name, a in named.items()}
    return by_key(outputs, []) | of_all


def worst_of(framework: Framework, case: Case) -> float:
    """The largest error of outputs and gradients, in roundings."""
    found, exact = values_of(framework, case), exact_of(case)
    assert found.keys() == exact.keys()
    errors = [case.distance(key[0], found[key], exact[key]).error for key in exact]
    return max(errors)


@pytest.mark.parametrize(
    "case",
    [STACK, PROJECTED, pytest.param(NO_BIAS, marks=pytest.mark.slow)],
    ids=name_of,
)
@pytest.mark.parametrize("framework", rows(ALL))
def test_its_own_runtime_gives_the_numbers_and_gradients(
    framework: Framework, case: Case
) -> None:
    if "projection" not in framework.losses(case.spec):
        assert worst_of(framework, case) <= case.budget


def test_torch_gives_the_same_where_no_gradient_is_asked_for() -> None:
    found = FRAMEWORKS["torch"].run(drawn(STACK).params, drawn(STACK).xs)
    for name, array in zip(("ys", "h_n", "c_n"), found, strict=True):
        exact = exact_of(STACK)[name, ""]
        assert STACK.distance(name, array, exact).error <= STACK.budget


def test_a_framework_that_misreads_the_gates_is_found_by_its_runtime() -> None:
    assert worst_of(WRONG_TOY, SINGLE) > 1000 * SINGLE.budget


@pytest.mark.parametrize("framework", rows(row for row in ALL if row.stream))
def test_steps_give_what_the_sequence_gives(framework: Framework) -> None:
    assert framework.stream is not None
    problem, ys = drawn(THREE), []
    weights = framework.from_lstm(layers_of(problem.params))
    state = framework.stream.start(THREE.spec, problem.xs.shape[1])
    step = jax.jit(framework.stream.step)
    for x in problem.xs:
        y, state = step(weights, x, state)
        ys.append(np.asarray(y))
    exact = exact_of(THREE)["ys", ""]
    error = THREE.distance("ys", np.stack(ys), exact).error
    assert error <= THREE.budget


# What is particular to one.


@pytest.mark.parametrize("case", [SINGLE, STACK], ids=name_of)
def test_cudnn_weights_are_cut_by_jax_as_they_were_packed(case: Case) -> None:
    params, spec = case.draw().params, case.spec
    weights: FlatWeights = FRAMEWORKS["cudnn"].from_lstm(layers_of(params))
    sizes = (spec.input_size, spec.hidden_size, spec.num_layers)
    kinds = rnn.unpack_lstm_weights(weights.array, *sizes, spec.bidirectional)
    for k, found in enumerate(kinds):
        layers, directions = range(spec.num_layers), range(spec.num_directions)
        names = [spec.layer_keys(a, d)[k] for a in layers for d in directions]
        for row, name in enumerate(names):
            np.testing.assert_array_equal(found[row].ravel(), params[name].ravel())


def numbered() -> LayerParams:
    """Torch's arrays whose numbers are those of the gates, one row each."""
    gates = jnp.arange(4.0)
    return LayerParams(
        jnp.stack([gates] * 3, axis=1), gates[:, None], gates, jnp.zeros(4)
    )


def test_the_weights_are_where_each_framework_keeps_them() -> None:
    stored = {
        name: FRAMEWORKS[name].from_lstm([(numbered(),)])[0][0]
        for name in ("haiku", "keras", "equinox", "linen LSTMCell", "nnx LSTMCell")
    }
    linear = stored["haiku"]["lstm/linear"]
    np.testing.assert_array_equal(linear["w"], [[0, 2, 1, 3]] * 4)
    np.testing.assert_array_equal(linear["b"], [0, 2, 1 - 1, 3])
    kernel, recurrent, bias = stored["keras"]
    np.testing.assert_array_equal(kernel, [[0, 1, 2, 3]] * 3)
    np.testing.assert_array_equal(recurrent, [[0, 1, 2, 3]])
    np.testing.assert_array_equal(bias, [0, 1, 2, 3])
    np.testing.assert_array_equal(stored["equinox"]["weight_ih"], numbered().weight_ih)
    np.testing.assert_array_equal(stored["linen LSTMCell"]["hg"]["bias"], [2])
    np.testing.assert_array_equal(stored["nnx LSTMCell"]["if_"]["kernel"], [[1]] * 3)


def test_a_library_that_is_not_installed_is_named_with_the_cure() -> None:
    assert Library("jax").missing() == ""
    found = [Library("no_such_one").missing(), Library("nowhere", "no-where").missing()]
    assert found == [
        "no_such_one is not installed: pip install no_such_one",
        "nowhere is not installed: pip install no-where",
    ]
