"""Every sentence that a cell or a model used wrongly meets, matched whole."""

import jax.numpy as jnp
import pytest
from flax import nnx

from lstm_jax import (
    LSTMCell,
    LSTMModel,
)
from tests.given.wrong import (
    CELL,
    KEY,
    LAYOUT,
    MODEL,
    ONE_CELL,
    ONE_MODEL,
    OTHERS,
    PRODUCTS,
    ROWS,
    SIZE,
    TOGETHER,
    XS,
    Row,
    assert_raises,
    without,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

CELLS: list[Row] = [
    (
        lambda: LSTMCell(5, 4, "no", rngs=nnx.Rngs(0)),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "LSTMCell: bias must be True or False, not str: it is a flag. "
            "Use one of them."
        ),
    ),
    (
        lambda: LSTMCell(5, 4, precision="bogus", rngs=nnx.Rngs(0)),
        ValueError,
        (
            f"LSTMCell: precision='bogus' {PRODUCTS} "
            "Use 'highest', 'high', 'default' or None."
        ),
    ),
    (
        lambda: LSTMCell(5, 4, rngs=nnx.Rngs(dropout=0)),
        ValueError,
        (
            "LSTMCell: rngs must have a stream named params: the initial parameters "
            "are drawn from it. Use nnx.Rngs(params=seed)."
        ),
    ),
    (
        lambda: LSTMCell(0, 4, rngs=nnx.Rngs(0)),
        ValueError,
        f"LSTMCell: input_size=0 {SIZE}",
    ),
    (
        lambda: LSTMCell(5, 4, rngs=KEY),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "LSTMCell: rngs must be nnx.Rngs, not PRNGKeyArray: the initial parameters "
            "are drawn from its stream params. Use nnx.Rngs(seed)."
        ),
    ),
    (
        lambda: LSTMCell.from_params({"weight_ih": XS[0], "x": XS}),
        ValueError,
        f"LSTMCell.from_params: missing 'weight_hh'; not used: 'x'. {ONE_CELL}",
    ),
    (
        lambda: LSTMCell.from_params({f"{name}_l0": a for name, a in CELL.items()}),
        ValueError,
        (
            "LSTMCell.from_params: missing 'weight_hh', 'weight_ih'; not used: "
            f"'bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0'. {ONE_CELL}"
        ),
    ),
    (
        lambda: LSTMCell.from_params(CELL).load_params(without(CELL, "bias_hh")),
        ValueError,
        f"LSTMCell.load_params: missing 'bias_hh'. {ONE_CELL}",
    ),
    (
        lambda: LSTMCell.from_params(CELL | {"weight_hh": jnp.ones(16)}),
        ValueError,
        (
            "LSTMCell.from_params: weight_hh.shape=(16,) must be two sizes above 0: "
            "torch's LSTM stores matrices. Use the weights of a torch.nn.LSTMCell."
        ),
    ),
    (
        lambda: LSTMCell.from_params(CELL | {"weight_hr": jnp.ones((4, 6))}),
        ValueError,
        "LSTMCell.from_params: bias_hh.shape=(16,) must be (24,); bias_ih.shape=(16,) "
        "must be (24,); weight_hh.shape=(16, 4) must be (24, 4); weight_ih.shape=(16, "
        "5) must be (24, 5): the sizes are read off weight_ih and weight_hh. " + LAYOUT,
    ),
    (
        lambda: LSTMCell.from_params(
            CELL | {"weight_hh": jnp.ones((16, 2)), "weight_hr": jnp.ones((2, 4))}
        ),
        ValueError,
        f"LSTMCell.from_params: not used: 'weight_hr'. {ONE_CELL}",
    ),
    (
        lambda: LSTMCell.from_params(CELL, dropout=0.5),
        TypeError,
        "LSTMCell.from_params: options must be among dtype, precision, not dropout: "
        + OTHERS,
    ),
    (
        lambda: LSTMCell.from_params(CELL)((ROWS.c, ROWS.h), XS[0]),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "LSTMCell: carry must be an LSTMState, not tuple: Flax orders a bare tuple "
            "(c, h), torch (h, c). Use LSTMState(h=h, c=c)."
        ),
    ),
    (
        lambda: LSTMCell.from_params(CELL).step(XS[0], (ROWS.h[:2], ROWS.c)),
        ValueError,
        (
            "LSTMCell: state.h.shape=(2, 4) must be (3, 4): batch, output features. "
            "Use jax.numpy.zeros((3, 4)) to start anew."
        ),
    ),
    (
        lambda: LSTMCell.from_params(CELL).step(XS[0, :, :3]),
        ValueError,
        (
            "LSTMCell: x.shape=(3, 3) must end in 5, the input features of "
            f"`weight_ih`. {TOGETHER}"
        ),
    ),
]


MODELS: list[Row] = [
    (
        lambda: LSTMModel(1, 64, 1, rngs=nnx.Rngs(0))(jnp.ones((32, 10))),
        ValueError,
        (
            "LSTMModel: xs.shape=(32, 10) must end in 1, the input features of "
            "`weight_ih_l0`. Use xs[..., None] for one feature."
        ),
    ),
    (
        lambda: LSTMModel(5, 4, 0, rngs=nnx.Rngs(0)),
        ValueError,
        f"LSTMModel: output_size=0 {SIZE}",
    ),
    (
        lambda: LSTMModel.from_params(MODEL)(jnp.ones((3, 0, 5))),
        ValueError,
        (
            "LSTMModel: xs must have a step at least: the prediction is made from "
            "outputs of steps. Use a longer sequence."
        ),
    ),
    (
        lambda: LSTMModel.from_params(without(MODEL, "fc.bias")),
        ValueError,
        f"LSTMModel.from_params: missing 'fc.bias'. {ONE_MODEL}",
    ),
    (
        lambda: LSTMModel.from_params(without(MODEL, "lstm.weight_hh_l0")),
        ValueError,
        f"LSTMModel.from_params: missing 'weight_hh_l0'. {ONE_MODEL}",
    ),
    (
        lambda: LSTMModel.from_params(MODEL | {"fc.weight": jnp.ones((4, 2))}),
        ValueError,
        (
            "LSTMModel.load_params: fc.weight.shape=(4, 2) must be (2, 4): the module "
            f"has this size. {LAYOUT}"
        ),
    ),
    (
        lambda: LSTMModel.from_params(MODEL, output_size=3),
        TypeError,
        (
            "LSTMModel.from_params: options must be among outputs, activation, "
            "dropout, deterministic, dtype, precision, remat, not output_size: "
            f"{OTHERS}"
        ),
    ),
]


@pytest.mark.parametrize("row", CELLS, ids=lambda row: row[2][:40])
def test_a_cell_used_wrongly(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row[2][:40])
def test_a_model_used_wrongly(row: Row) -> None:
    assert_raises(row)
