"""Flax's own tools on the modules: tables, containers, a wrong cell."""

import pickle
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as flax_linen, nnx

from lstm_jax import LSTM, LSTMCell, LSTMModel, LSTMState, linen, lstm
from tests.given.inputs import assert_equal, draw, make_inputs, make_params, make_spec
from tests.given.wrong import assert_raises

pytestmark = pytest.mark.usefixtures("unoptimised", "no_jaxtyping")

XS = jnp.asarray(draw((7, 3, 5)).astype("float32"))
ROWS = LSTMState(jnp.ones((3, 4)), jnp.zeros((3, 4)))
PARAMS = {k: jnp.asarray(a, "float32") for k, a in make_params(make_spec()).items()}
NOT_HASHED = (
    "LSTMState: a state must hold what can be hashed, no arrays: somebody takes it for "
    "an option, as a layer does after an LSTM in nnx.Sequential. Put lambda ys, state: "
    "ys between the two."
)


class Encoder(nnx.Module):
    """A stack in a larger module, whose output has a state in a tuple."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.rnn = LSTM(5, 4, 2, rngs=rngs)
        self.fc = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, xs: Any) -> Any:
        ys, state = self.rnn(xs)
        return self.fc(ys), state


def table(*arguments: Any) -> list[str]:
    """The first column and the types of `nnx.tabulate`'s table."""
    options = {"force_terminal": False, "force_jupyter": False, "width": 200}
    text = nnx.tabulate(*arguments, console_kwargs=options)
    rows = re.findall(r"^│ +(\S*) +│ +(\w+) +│", text, re.MULTILINE)
    assert "float32" in text
    return [f"{path}:{kind}" for path, kind in rows]


def test_flax_tabulates_every_module_and_one_around_it() -> None:
    rngs = nnx.Rngs(0)
    assert table(LSTM(5, 4, rngs=rngs), XS) == [":LSTM"]
    assert table(LSTMCell(5, 4, rngs=rngs), ROWS, XS[0]) == [":LSTMCell"]
    model = table(LSTMModel(5, 4, 2, rngs=rngs), XS)
    assert model == [":LSTMModel", "lstm:LSTM", "fc:Head"]
    assert table(Encoder(rngs), XS) == [":Encoder", "rnn:LSTM", "fc:Linear"]


def test_a_state_is_a_pair_whose_fields_jax_calls_by_name() -> None:
    leaves = jax.tree_util.tree_leaves_with_path({"a": ROWS})
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    assert names == ["['a'].h", "['a'].c"]
    found = jax.jit(lambda state: jax.tree.map(jnp.negative, state))(ROWS)
    assert isinstance(found, LSTMState)
    assert_equal(found, LSTMState(-ROWS.h, -ROWS.c))
    structure = jax.tree.structure(ROWS)
    assert pickle.loads(pickle.dumps(structure)) == structure


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", [np, jnp])
def test_a_state_is_not_multiplied_as_a_tuple_is(kind: Any, first: bool) -> None:
    keep = kind.array([1.0, 0.0, 1.0])[:, None]
    name = type(keep).__name__
    said = (
        f"LSTMState: the factor must not be {name}: a tuple's product repeats its "
        "fields. Use jax.tree.map(lambda a: a * factor, state)."
    )
    call = (lambda: ROWS * keep) if first else (lambda: keep * ROWS)  # pyright: ignore
    assert_raises((call, TypeError, said))
    followed = jax.tree.map(lambda a: a * keep, ROWS)
    assert_equal(followed.h, ROWS.h * keep)


def test_a_state_of_axes_has_a_hash_and_one_of_arrays_says_why_not() -> None:
    axes: Any = LSTMState(0, 1)  # pyright: ignore[reportArgumentType]
    assert hash(axes) == hash((0, 1))
    assert_raises((lambda: hash(ROWS), TypeError, NOT_HASHED))


def test_a_layer_after_an_lstm_in_sequential_takes_its_outputs() -> None:
    module, head = LSTM.from_params(PARAMS), nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    wrong = nnx.Sequential(module, head)
    assert_raises((lambda: wrong(XS), TypeError, NOT_HASHED))
    right = nnx.Sequential(module, lambda ys, _: ys, head)
    assert_equal(right(XS), head(lstm(PARAMS, XS)[0]))


def test_a_stack_as_a_cell_of_flax_says_what_to_use() -> None:
    module = LSTM(5, 4, rngs=nnx.Rngs(0))
    said = (
        "LSTM: the cell of nnx.RNN must be a cell: LSTM runs over time itself. Call it "
        "on the whole sequence, or use LSTMCell there."
    )
    assert_raises((lambda: nnx.RNN(module)(XS), AttributeError, said))  # pyright: ignore
    assert not hasattr(module, "num_feature_axes")
    rnn: Any = flax_linen.RNN(linen.LSTM(5, 4))  # pyright: ignore[reportArgumentType]
    said = said.replace("nnx.", "linen.").replace("LSTM:", "linen.LSTM:", 1)
    said = said.replace("cell: LSTM", "cell: linen.LSTM")
    assert_raises((lambda: rnn.init(jax.random.key(0), XS), TypeError, said))
    followed: Any = nnx.RNN(LSTMCell(5, 4, rngs=nnx.Rngs(0)))(XS)
    assert followed.shape == module(XS)[0].shape


def test_nan_in_the_padding_is_none_to_debug() -> None:
    params, xs, _ = make_inputs()
    params = {name: array.astype("float32") for name, array in params.items()}
    lengths = np.array([7, 0, 3])
    padded = np.where(np.arange(7)[:, None, None] < lengths[:, None], xs, np.nan)
    padded = padded.astype("float32")
    with jax.debug_nans(True):
        ys, _ = lstm(params, padded, lengths=lengths)
        jitted, _ = jax.jit(lstm)(params, padded, lengths=lengths)
        with pytest.raises(FloatingPointError):
            _ = lstm(params, padded)
    assert_equal(jitted, ys)
