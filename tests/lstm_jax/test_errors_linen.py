"""Every sentence that a linen module used wrongly meets, matched whole."""

import pytest

from lstm_jax import linen
from tests.given.wrong import (
    BOTH,
    CELL,
    KEY,
    LAYOUT,
    ONE_LSTM,
    OTHERS,
    PARAMS,
    ROWS,
    SIZE,
    TOGETHER,
    XS,
    C,
    H,
    Row,
    apply,
    assert_raises,
    without,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

LINEN: list[Row] = [
    (
        lambda: linen.LSTM(5, 0).init(KEY, XS),
        ValueError,
        f"linen.LSTM: hidden_size=0 {SIZE}",
    ),
    (
        apply(linen.LSTM(5, 4), PARAMS, XS),
        ValueError,
        (
            "linen.LSTM: not used: 'bias_hh_l1', 'bias_ih_l1', 'weight_hh_l1', "
            f"'weight_ih_l1'. {ONE_LSTM}"
        ),
    ),
    (
        apply(linen.LSTM(5, 4, 2), without(PARAMS, "bias_hh_l1"), XS),
        ValueError,
        f"linen.LSTM: missing 'bias_hh_l1'. {ONE_LSTM}",
    ),
    (
        apply(linen.LSTM(5, 4, 2), PARAMS | {"bias_hh_l1": XS}, XS),
        ValueError,
        (
            "linen.LSTM: bias_hh_l1.shape=(7, 3, 5) must be (16,): the module has this "
            f"size. {LAYOUT}"
        ),
    ),
    (
        apply(linen.LSTMCell(5, 4), CELL | {"weight_ih": XS[0]}, ROWS, XS[0]),
        ValueError,
        (
            "linen.LSTMCell: weight_ih.shape=(3, 5) must be (16, 5): the module has "
            f"this size. {LAYOUT}"
        ),
    ),
    (
        apply(linen.LSTM(5, 4, 2, dropout=0.5), PARAMS, XS),
        ValueError,
        (
            "linen.LSTM: rngs must have a key named 'dropout': dropout acts between "
            "the layers. Use apply(..., rngs={'dropout': key}), or deterministic=True "
            "to evaluate."
        ),
    ),
    (
        apply(linen.LSTM.from_params(BOTH), BOTH, XS[0], (H, C), method="step"),
        ValueError,
        (
            "linen.LSTM.step: bidirectional must be False: the reverse direction "
            "starts from the end of the sequence. Run the whole sequence instead."
        ),
    ),
    (
        apply(linen.LSTMCell(5, 4), CELL, (ROWS.c, ROWS.h), XS[0]),
        TypeError,
        (
            "linen.LSTMCell: carry must be an LSTMState, not tuple: Flax orders a bare "
            "tuple (c, h), torch (h, c). Use LSTMState(h=h, c=c)."
        ),
    ),
    (
        apply(linen.LSTMCell(5, 4), CELL, ROWS, XS[0, :, :3]),
        ValueError,
        (
            "linen.LSTMCell: x.shape=(3, 3) must end in 5, the input features of "
            f"`weight_ih`. {TOGETHER}"
        ),
    ),
    (
        lambda: linen.LSTM.from_params(PARAMS, num_layers=2),
        TypeError,
        "linen.LSTM.from_params: options must be among batch_first, dropout, "
        "deterministic, param_dtype, dtype, precision, variational, remat, truncate, "
        "backend, name, parent, not num_layers: " + OTHERS,
    ),
    (
        lambda: linen.LSTM(5, 4).initial_state(3),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "linen.LSTM.initial_state: batch_shape must be a tuple of sizes, not int: "
            "there may be any number of batch axes. Use (3,) for 3 rows."
        ),
    ),
]


@pytest.mark.parametrize("row", LINEN, ids=lambda row: row[2][:40])
def test_a_linen_module_used_wrongly(row: Row) -> None:
    assert_raises(row)
