"""What `from_flax` and `to_flax` refuse, each message whole."""

from collections.abc import Callable
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax
import parity
from tests.given.routes.route import drawn, with_weights

pytestmark = pytest.mark.usefixtures("unoptimised")


def cell(kind: str = "LSTMCell", **options: Any) -> Any:
    return with_weights(0, lambda rngs: getattr(nnx, kind)(3, 4, rngs=rngs, **options))


def rnn(**options: Any) -> Any:
    return nnx.RNN(cell(), **options)


def bidirectional(first: Any, second: Any, **options: Any) -> Any:
    return nnx.Bidirectional(first, second, **options)


def variables(**more: Any) -> Any:
    module = flax.linen.RNN(flax.linen.LSTMCell(4))
    tree = drawn(0, jax.eval_shape(module.init, jax.random.key(0), jnp.ones((2, 1, 3))))
    return {"params": {**tree["params"], **more}}


def hard(x: Any) -> Any:
    return jnp.clip(0.2 * x + 0.5, 0, 1)


def ones(key: Any, shape: Any, dtype: Any) -> Any:
    return jnp.ones(shape, dtype)


def float64() -> Any:
    return jax.tree.map(lambda a: np.asarray(a, np.float64), variables())


def without(name: str) -> Any:
    tree = variables()["params"]["cell"]
    return {k: a for k, a in tree.items() if k != name}


def shared() -> Any:
    one = rnn()
    return bidirectional(one, one)


def shared_of_linen() -> Any:
    one = flax.linen.RNN(flax.linen.LSTMCell(4))
    return flax.linen.Bidirectional(one, one), {
        "params": {"forward_rnn": variables()["params"]}
    }


FUNCTION = "lstm_jax.LSTM has no other. Convert a module that has this one."
KINDS = (
    "from_flax: source must be LSTMCell or OptimizedLSTMCell of Flax, an RNN or "
    "Bidirectional of these, or a mapping, not "
)
CELL = (
    "from_flax: the weights of a cell must be those of LSTMCell or OptimizedLSTMCell, "
    "but {}: nothing else is read as an LSTM. Give the weights of one of these."
)
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: nnx.RNN(cell(gate_fn=hard)),
        NotImplementedError,
        f"from_flax: gate_fn=hard must be sigmoid: {FUNCTION}",
    ),
    (
        lambda: cell("OptimizedLSTMCell", activation_fn=jnp.sin),
        NotImplementedError,
        f"from_flax: activation_fn=sin must be tanh: {FUNCTION}",
    ),
    (
        lambda: (flax.linen.LSTMCell(4, carry_init=ones), variables()["params"]),
        NotImplementedError,
        f"from_flax: carry_init=ones must be zeros: {FUNCTION}",
    ),
    (
        lambda: cell(promote_dtype=ones),
        NotImplementedError,
        f"from_flax: promote_dtype=ones must be promote_dtype: {FUNCTION}",
    ),
    (
        lambda: rnn(reverse=True, keep_order=True),
        NotImplementedError,
        f"from_flax: reverse=True must be False: {FUNCTION}",
    ),
    (
        lambda: bidirectional(rnn(), rnn(), merge_fn=jnp.add),
        NotImplementedError,
        f"from_flax: merge_fn=add must be _concatenate: {FUNCTION}",
    ),
    (
        shared,
        NotImplementedError,
        (
            "from_flax: forward_rnn and backward_rnn must be two modules, not the "
            "same: each direction of lstm_jax.LSTM has weights of its own. Give "
            "backward_rnn a copy."
        ),
    ),
    (
        shared_of_linen,
        NotImplementedError,
        (
            "from_flax: forward_rnn and backward_rnn must be two modules, not the "
            "same: each direction of lstm_jax.LSTM has weights of its own. Give "
            "backward_rnn a copy."
        ),
    ),
    (
        lambda: bidirectional(rnn(), nnx.RNN(cell(dtype=jnp.bfloat16))),
        NotImplementedError,
        (
            "from_flax: dtype must be the same in both directions, not None and "
            "bfloat16: lstm_jax.LSTM has one. Give both cells one dtype."
        ),
    ),
    (
        lambda: nnx.RNN(cell("GRUCell")),
        TypeError,
        f"{KINDS}GRUCell: nothing else is read as an LSTM. Give the LSTM of the model.",
    ),
    (
        lambda: lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0)),
        TypeError,
        f"{KINDS}LSTM: it is ours already. Use it as it is.",
    ),
    (
        lambda: flax.linen.RNN(flax.linen.LSTMCell(4)),
        TypeError,
        (
            "from_flax: source must come with its variables, not RNN alone: linen "
            "keeps them apart. Use from_flax((module, variables))."
        ),
    ),
    (
        lambda: (rnn(), rnn()),
        TypeError,
        (
            "from_flax: a tuple must be a module of linen and its variables, or two "
            "mappings, not RNN, RNN: it is one layer. Use from_flax((module, "
            "variables)), or a list for a stack."
        ),
    ),
    (
        lambda: [cell()],
        TypeError,
        (
            "from_flax: a list must be of RNN or of Bidirectional, not of a cell: "
            "each is a layer of the stack. Use a list of RNN(cell)."
        ),
    ),
    (
        list,
        TypeError,
        (
            "from_flax: a list must be of RNN or of Bidirectional, not empty: each "
            "is a layer of the stack. Use a list of RNN(cell)."
        ),
    ),
    (
        lambda: [rnn(), rnn(time_major=True)],
        ValueError,
        (
            "from_flax: batch_first must be the same in every layer, not True, "
            "False: a stack has one. Convert them one by one."
        ),
    ),
    (
        lambda: without("if"),
        ValueError,
        CELL.format("if.kernel is missing, not (3, 4)"),
    ),
    (
        lambda: {**without("ho"), "x": {"y": jnp.ones(2)}},
        ValueError,
        CELL.format(
            "ho.bias is missing, not (4,); ho.kernel is missing, not (4, 4); "
            "x.y is (2,)"
        ),
    ),
    (
        lambda: nnx.to_pure_dict(nnx.state(cell("GRUCell"), nnx.Param)),
        ValueError,
        CELL.format(
            "dense_h.bias is missing, not (12,); dense_h.kernel is (4, 12), not "
            "(3, 12); dense_i.bias is (12,)"
        ),
    ),
    (
        lambda: variables(Dense_0={"bias": jnp.ones(2)}),
        ValueError,
        (
            "from_flax: source must be the weights of one layer, not "
            "'Dense_0.bias', 'cell': each layer of a stack is a mapping. Give a "
            "part of it, such as source['params']['cell']; a list is a stack."
        ),
    ),
    (
        lambda: {"params": {}},
        ValueError,
        (
            "from_flax: source must be the weights of one layer, not nothing: each "
            "layer of a stack is a mapping. Give a mapping with the weights of one "
            "cell, such as variables['params']."
        ),
    ),
    (
        lambda: [variables(), (variables(), variables())],
        ValueError,
        (
            "from_flax: source must be a layer, a pair of its directions, or a list "
            "of either, not layers with 1, 2 directions: every layer has as many "
            "directions. Give a list of layers, or one of pairs (forward, reverse)."
        ),
    ),
    (
        float64,
        ValueError,
        (
            "from_flax: hf.bias.dtype=float64 must have at most 32 bits: "
            "jax_enable_x64 is off and JAX would round it. Use "
            "jax.config.update('jax_enable_x64', True), or convert the source "
            "first."
        ),
    ),
]


@pytest.mark.parametrize(
    ("source", "error", "text"), REFUSED, ids=[str(k) for k in range(len(REFUSED))]
)
def test_what_is_no_lstm_of_flax_is_refused(
    source: Callable[[], Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        _ = parity.from_flax(source())
    assert str(caught.value) == text


def lstm(**options: Any) -> Any:
    return lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0), **options)


def test_what_flax_cannot_hold_is_refused_unless_it_is_allowed() -> None:
    deep = lstm(num_layers=2, dropout=0.5)
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_flax(deep)
    assert str(caught.value) == (
        "to_flax: Flax has no dropout between the layers of an LSTM. Use "
        "allow='dropout' to convert without it."
    )
    assert len(parity.to_flax(deep, allow="dropout")) == 2
    assert parity.to_flax(lstm(dropout=0.5)).cell  # it acts on one layer nowhere
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_flax(lstm(proj_size=2), allow="projection")
    assert str(caught.value) == (
        "to_flax: Flax has no projection. It is a part of the function: convert an "
        "LSTM without one."
    )


def test_arguments_of_to_flax_that_are_unknown_are_named(no_jaxtyping: None) -> None:
    with pytest.raises(ValueError, match="api") as caught:
        _ = parity.to_flax(lstm(), api="haiku")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "to_flax: api='haiku' must be 'nnx' or 'linen': Flax has these. Use 'nnx'."
    )
    with pytest.raises(ValueError, match="cell") as caught:
        _ = parity.to_flax(lstm(), cell="LSTM")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "to_flax: cell='LSTM' must be 'OptimizedLSTMCell' or 'LSTMCell': Flax has "
        "these. Use 'OptimizedLSTMCell'."
    )
    with pytest.raises(ValueError, match="allow") as caught:
        _ = parity.to_flax(lstm(), allow="dropout")
    assert str(caught.value) == (
        "to_flax: allow must name losses of this conversion, not 'dropout': there are "
        "'two biases'. Leave it out."
    )


def test_a_model_is_more_than_its_lstm() -> None:
    model = lstm_jax.LSTMModel(3, 4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError) as caught:
        _ = parity.to_flax(model)
    assert str(caught.value) == (
        "to_flax: source must be an LSTM alone, not an LSTMModel with 'fc.bias', "
        "'fc.weight': only the LSTM is converted. Use to_flax(model.lstm)."
    )
    assert parity.to_flax(model.lstm).time_major is False
    with pytest.raises(TypeError) as caught:
        _ = parity.to_flax(model.params())
    assert str(caught.value) == (
        "to_flax: source must be an LSTM alone, not a mapping with 'fc.bias', "
        "'fc.weight': only the LSTM is converted. Leave these out."
    )
