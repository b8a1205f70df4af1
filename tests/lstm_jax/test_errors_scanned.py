"""Every sentence that a `ScannedLSTM` used wrongly meets, matched whole."""

import re
from typing import Any

import jax.numpy as jnp
import pytest
from flax import nnx as flax_nnx

from lstm_jax import LSTMState, linen, nnx
from tests.given.wrong import (
    BOTH,
    KEY,
    ONE_LSTM,
    OTHERS,
    PARAMS,
    PROJECTED,
    SIZE,
    TOGETHER,
    XS,
    Row,
    apply,
    assert_raises,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

DONE = jnp.zeros((7, 3))
CARRY = jnp.ones((3, 16))  # of two layers with 4 units
ONE = linen.ScannedLSTM()
TWO = linen.ScannedLSTM(num_layers=2)
DRAWN = nnx.ScannedLSTM(5, 4, 2, rngs=flax_nnx.Rngs(0))
FLAG = "a flag for each step of each row. Use the `done` that came with each input."


def called(*arguments: Any) -> Any:
    return lambda: DRAWN(*arguments)


def begun(module: Any, carry: Any) -> Any:
    return lambda: module.init(KEY, carry, (XS, DONE))


SCANNED: list[Row] = [
    (
        called(LSTMState(CARRY, CARRY), (XS, DONE)),
        TypeError,
        (
            "ScannedLSTM: carry must be one array, not LSTMState: h and c of every "
            "layer stand side by side in it. Use initialize_carry."
        ),
    ),
    (
        called(CARRY[None], (XS, DONE)),
        ValueError,
        (
            "ScannedLSTM: carry.shape=(1, 3, 16) must be (B, L * (P + H)): a row for "
            "each environment. Use carry[0]."
        ),
    ),
    (
        called(CARRY[0], (XS, DONE)),
        ValueError,
        (
            "ScannedLSTM: carry.shape=(16,) must be (B, L * (P + H)): a row for each "
            "environment. Use initialize_carry."
        ),
    ),
    (
        called(CARRY.astype("bfloat16"), (XS, DONE)),
        TypeError,
        (
            "ScannedLSTM: carry.dtype=bfloat16 must be float32 or wider: the cell "
            "would be rounded after each step of acting and not within a rollout. "
            "Use carry.astype('float32')."
        ),
    ),
    (
        called(CARRY[:, :8], (XS, DONE)),
        ValueError,
        (
            "ScannedLSTM: carry.shape=(3, 8) must be (3, 16): h and c of weights with "
            "hidden_size=4. Use initialize_carry(3, 4, 2)."
        ),
    ),
    (
        called(CARRY, XS),
        TypeError,
        (
            "ScannedLSTM: inputs must be a pair (xs, done), not ArrayImpl: done says "
            "where a row starts anew. Use (xs, jax.numpy.zeros(xs.shape[:2])) where "
            "none does."
        ),
    ),
    (
        called(CARRY, (XS,)),
        TypeError,
        (
            "ScannedLSTM: inputs must be a pair (xs, done), not 1 values: done says "
            "where a row starts anew. Use (xs, jax.numpy.zeros(xs.shape[:2])) where "
            "none does."
        ),
    ),
    (
        called(CARRY, (XS[0], DONE[0])),
        ValueError,
        (
            "ScannedLSTM: xs.shape=(3, 5) must be (T, B, I): steps, rows and features. "
            "Use xs[None] and done[None] for one step."
        ),
    ),
    (
        called(CARRY, (XS[:, :2], DONE[:, :2])),
        ValueError,
        (
            "ScannedLSTM: xs.shape=(7, 2, 5) must be (T, 3, I): the carry has 3 "
            "rows. Use the carry and the inputs of the same rows."
        ),
    ),
    (
        called(CARRY, (XS, DONE[0])),
        ValueError,
        f"ScannedLSTM: done.shape=(3,) must be (7, 3): {FLAG}",
    ),
    (
        called(CARRY, (XS[..., :4], DONE)),
        ValueError,
        (
            "lstm: xs.shape=(7, 3, 4) must end in 5, the input features of "
            f"`weight_ih_l0`. {TOGETHER}"
        ),
    ),
    (
        begun(ONE, CARRY[:, :9]),
        ValueError,
        (
            "linen.ScannedLSTM: carry.shape=(3, 9) must be (B, 1 * 2 * H): h and c "
            "of 1 layer. Use initialize_carry(3, H)."
        ),
    ),
    (
        begun(linen.ScannedLSTM(num_layers=2, proj_size=4), CARRY),
        ValueError,
        (
            "linen.ScannedLSTM: carry.shape=(3, 16) must be (B, 2 * (4 + H)) with H "
            "above 4: h and c of 2 layers. Use initialize_carry(3, H, 2, 4)."
        ),
    ),
    (
        begun(linen.ScannedLSTM(num_layers=0), CARRY),
        ValueError,
        f"linen.ScannedLSTM: num_layers=0 {SIZE}",
    ),
    (
        apply(TWO, PARAMS, CARRY[:, :8], (XS, DONE)),
        ValueError,
        (
            "linen.ScannedLSTM: carry.shape=(3, 8) must be (3, 16): h and c of weights "
            "with hidden_size=4. Use initialize_carry(3, 4, 2)."
        ),
    ),
    (
        apply(ONE, PARAMS, CARRY[:, :8], (XS, DONE)),
        ValueError,
        (
            "linen.ScannedLSTM: not used: 'bias_hh_l1', 'bias_ih_l1', 'weight_hh_l1', "
            f"'weight_ih_l1'. {ONE_LSTM}"
        ),
    ),
    (
        lambda: nnx.ScannedLSTM.from_params(BOTH),
        ValueError,
        (
            "ScannedLSTM.from_params: bidirectional must be False: the reverse "
            "direction starts from the end of the sequence. Run the whole sequence "
            "instead."
        ),
    ),
    (
        lambda: linen.ScannedLSTM.from_params(BOTH),
        ValueError,
        (
            "linen.ScannedLSTM.from_params: bidirectional must be False: the reverse "
            "direction starts from the end of the sequence. Run the whole sequence "
            "instead."
        ),
    ),
    (
        lambda: nnx.ScannedLSTM.from_params(PARAMS, dropout=0.5),
        TypeError,
        (
            "ScannedLSTM.from_params: options must be among dtype, precision, remat, "
            f"truncate, backend, not dropout: {OTHERS}"
        ),
    ),
    (
        lambda: nnx.ScannedLSTM.initialize_carry(-1, 4),
        ValueError,
        (
            "ScannedLSTM.initialize_carry: batch_size=-1 must be a whole number of 0 "
            "or more: the carry has that many rows. Use initialize_carry(3, 4) for 3 "
            "rows."
        ),
    ),
    (
        lambda: linen.ScannedLSTM.initialize_carry(3, 0),
        ValueError,
        f"linen.ScannedLSTM.initialize_carry: hidden_size=0 {SIZE}",
    ),
]


@pytest.mark.parametrize("row", SCANNED, ids=lambda row: row[2][:60])
def test_a_scanned_lstm_used_wrongly(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize(
    ("params", "width"), [(PARAMS, 8), (PROJECTED, 13)], ids=["plain", "projected"]
)
def test_the_carry_that_an_error_asks_for_is_taken(params: Any, width: int) -> None:
    module = nnx.ScannedLSTM.from_params(params)
    with pytest.raises(ValueError, match="Use initialize_carry") as caught:
        _ = module(jnp.ones((3, width)), (XS, DONE))
    (numbers,) = re.findall(r"Use initialize_carry\((.*)\)\.$", str(caught.value))
    carry = module.initialize_carry(*map(int, numbers.split(", ")))
    _ = module(carry, (XS, DONE))
