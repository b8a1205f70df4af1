"""What the tests of errors share: right arguments, to be spoilt, and sentences."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax import (
    LSTM,
    LayerParams,
    LSTMModel,
    LSTMState,
    init_params,
    lstm,
)

KEY = jax.random.key(0)
PARAMS = init_params(KEY, 5, 4, 2)
BOTH = init_params(KEY, 5, 4, 2, bidirectional=True)
PROJECTED = init_params(KEY, 5, 4, 2, proj_size=2)
LAYER = LayerParams(*(PARAMS[f"{name}_l0"] for name in LayerParams._fields[:4]))
CELL = {name: value for name, value in LAYER._asdict().items() if value is not None}
MODEL = LSTMModel(5, 4, 2, rngs=nnx.Rngs(0)).params()
XS = jnp.ones((7, 3, 5))
H = C = jnp.ones((2, 3, 4))
ROWS = LSTMState(jnp.ones((3, 4)), jnp.ones((3, 4)))
RESETS = np.ones((7, 3), bool)

ENTERS = "it enters the equations. Use jax.numpy.asarray."
REAL = "the equations are real. Use 'float32'."
ONE_LSTM = "Give the keys of one torch.nn.LSTM, no more and no less."
ONE_CELL = "Give the keys of one torch.nn.LSTMCell, no more and no less."
ONE_MODEL = "Give the keys of one LSTMModel, no more and no less."
A_CELL = "Use LSTMCell for the weights of a cell."
LAYOUT = "Check that the weights are one LSTM's, in torch's layout."
READ_OFF = f"the sizes are read off weight_ih_l0 and weight_hh_l0. {LAYOUT}"
PAIR = "an LSTM carries its output and its cell. Use LSTMState(h, c)."
LAYERS = "layers x directions, batch"
SIZE = "must be a whole number above 0: it is a size of the weights. Use 1 or more."
RATE = (
    "must be a number within 0 and 1: it is the probability that an element is zeroed."
)
PRODUCTS = "must be one that jax.numpy.matmul takes: it is handed on to the products."
STEPS = "the backward pass keeps one state for that many steps. Use None to keep all."
BACKENDS = "'auto', 'native', 'xla', 'cudnn'"
THESE = "no other backend is known. Use 'auto'."
DRAWN = "numbers are drawn with it. Use jax.random.key(seed)."
TOGETHER = "Use the inputs, or the weights, that belong together."
OTHERS = "the sizes are read off the parameters. Leave the others out."

Call = Callable[[], Any]
Row = tuple[Call, type[Exception], str]


def without(params: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: array for name, array in params.items() if name not in names}


def prefixed(prefix: str, params: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": array for name, array in params.items()}


def with_params(**changes: Any) -> Call:
    return lambda: lstm(PARAMS | changes, XS)


def with_state(state: Any, params: Any = PARAMS) -> Call:
    return lambda: lstm(params, XS, state)


def with_options(**options: Any) -> Call:
    return lambda: lstm(PARAMS, XS, **options)


def with_module(**options: Any) -> Call:
    return lambda: LSTM(5, 4, 2, **{"rngs": nnx.Rngs(0), **options})


def quoted(names: Any) -> str:
    return ", ".join(map(repr, sorted(names)))


def apply(module: Any, params: Any, *arguments: Any, **options: Any) -> Call:
    return lambda: module.apply({"params": params}, *arguments, **options)


def assert_raises(row: Row) -> None:
    call, kind, message = row
    with pytest.raises(kind) as caught:
        _ = call()
    assert type(caught.value) is kind
    assert str(caught.value) == message
