"""Whether dropout acts: the call says, else the module; keys as Flax takes them."""

from typing import Any

import jax
import numpy as np
import pytest
from flax import linen as flax_linen, nnx

from lstm_jax import LSTM, LSTMModel, linen, lstm
from tests.given.inputs import assert_equal, make_inputs, make_spec

pytestmark = pytest.mark.usefixtures("unoptimised")

PARAMS, XS, _ = make_inputs(make_spec(num_layers=2))
PARAMS = {name: array.astype("float32") for name, array in PARAMS.items()}
XS = XS.astype("float32")
KEY = jax.random.key(3)
HEAD = {"fc.weight": np.ones((2, 4), "float32"), "fc.bias": np.ones(2, "float32")}
WHOLE = {f"lstm.{name}": array for name, array in PARAMS.items()} | HEAD


def kept() -> Any:
    return lstm(PARAMS, XS)[0]


def dropped() -> Any:
    return lstm(PARAMS, XS, dropout=0.5, dropout_key=KEY)[0]


def outputs(module: LSTM, **options: Any) -> Any:
    return module(XS, rngs=KEY, **options)[0]


def test_eval_and_train_are_those_of_flax() -> None:
    module = LSTM.from_params(PARAMS, dropout=0.5)
    assert_equal(outputs(module), dropped())
    module.eval()
    assert_equal(module(XS)[0], kept())
    assert_equal(outputs(module), kept())
    module.train()
    assert_equal(outputs(module), dropped())
    assert "deterministic" in nnx.view_info(module)
    viewed = nnx.view(module, deterministic=True)
    assert_equal(outputs(viewed), kept())
    assert_equal(outputs(module), dropped())
    made = LSTM.from_params(PARAMS, dropout=0.5, deterministic=True)
    assert_equal(outputs(made), kept())


def test_the_argument_of_the_call_wins() -> None:
    module = LSTM.from_params(PARAMS, dropout=0.5)
    assert_equal(outputs(module, deterministic=True), kept())
    module.eval()
    assert_equal(outputs(module, deterministic=False), dropped())


def test_a_model_hands_the_mode_on() -> None:
    model = LSTMModel.from_params(WHOLE, dropout=0.5)
    xs = XS.swapaxes(0, 1)
    fixed = model(xs, deterministic=True)
    random = model(xs, rngs=KEY)
    assert np.any(np.asarray(fixed != random))
    model.eval()
    assert_equal(model(xs, rngs=KEY), fixed)
    assert_equal(model(xs, rngs=KEY, deterministic=False), random)
    made = LSTMModel.from_params(WHOLE, dropout=0.5, deterministic=True)
    assert_equal(made(xs, rngs=KEY), fixed)


def test_a_mode_changed_between_two_calls_counts_under_nnx_jit() -> None:
    module = LSTM.from_params(PARAMS, dropout=0.5)
    run = nnx.jit(lambda module: module(XS, rngs=KEY)[0])
    random = np.asarray(run(module))
    module.eval()
    assert np.any(np.asarray(run(module)) != random)


def test_a_stream_is_a_source_of_keys_as_in_nnx_dropout() -> None:
    module = LSTM.from_params(PARAMS, dropout=0.5)
    expected = module(XS, rngs=nnx.Rngs(dropout=7))
    assert_equal(module(XS, rngs=nnx.Rngs(dropout=7).dropout), expected)


def test_a_linen_module_may_say_it_and_the_call_wins() -> None:
    module = linen.LSTM.from_params(PARAMS, dropout=0.5, deterministic=True)
    variables, rngs = {"params": PARAMS}, {"dropout": KEY}
    assert_equal(module.apply(variables, XS, rngs=rngs), lstm(PARAMS, XS))
    other: Any = module.apply(variables, XS, rngs=rngs, deterministic=False)
    assert np.any(np.asarray(other[0] != kept()))
    acting = linen.LSTM.from_params(PARAMS, dropout=0.5, deterministic=False)
    assert_equal(acting.apply(variables, XS, rngs=rngs), other)
    fixed = acting.apply(variables, XS, rngs=rngs, deterministic=True)
    assert_equal(fixed, lstm(PARAMS, XS))


@pytest.mark.parametrize("stream", ["one key", "params"])
def test_a_linen_module_takes_the_keys_that_linen_dropout_takes(stream: str) -> None:
    rngs: Any = KEY if stream == "one key" else {"params": KEY}
    module = linen.LSTM(5, 4, num_layers=2, dropout=0.5)
    variables: Any = module.init(rngs, XS)
    assert list(variables["params"]) == list(PARAMS)
    found: Any = module.apply(variables, XS, rngs=rngs)
    fixed: Any = module.apply(variables, XS, deterministic=True)
    assert np.any(np.asarray(found[0] != fixed[0]))
    theirs = flax_linen.Dropout(0.5, deterministic=False)
    assert np.any(np.asarray(theirs.apply({}, XS, rngs=rngs) != XS))
