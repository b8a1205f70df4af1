"""Every sentence that wrong arrays meet, matched whole."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import LSTM, init_params, lstm
from tests.given.wrong import (
    BOTH,
    ENTERS,
    KEY,
    LAYERS,
    PAIR,
    PARAMS,
    PROJECTED,
    RESETS,
    TOGETHER,
    XS,
    C,
    H,
    Row,
    assert_raises,
    with_options,
    with_params,
    with_state,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

STACKED = jax.vmap(lambda key: init_params(key, 5, 4))(jax.random.split(KEY, 3))

ARRAYS: list[Row] = [
    (
        lambda: lstm(LSTM.from_params(PARAMS), XS),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "lstm: params must be a mapping from torch's names to arrays, not LSTM: a "
            "state dict is the parameter tree. Use its params()."
        ),
    ),
    (
        lambda: lstm({"params": PARAMS}, XS),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "lstm: params must be a flat mapping from torch's names to arrays: "
            "'params' holds a mapping. Use params['params']."
        ),
    ),
    (
        lambda: lstm({"fc": {"bias": H}, "encoder": {"lstm": PARAMS}}, XS),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "lstm: params must be a flat mapping from torch's names to arrays: "
            "'fc' holds a mapping. Use params['encoder']['lstm']."
        ),
    ),
    (
        lambda: lstm(STACKED, XS),
        ValueError,
        (
            "lstm: weight_hh_l0.shape=(3, 16, 4) must be two sizes above 0: torch's "
            "LSTM stores matrices. Use jax.vmap to run 3 LSTMs: "
            "jax.vmap(lstm, (0, None))."
        ),
    ),
    (
        lambda: lstm(PARAMS, jnp.moveaxis(XS, -1, 0)),
        ValueError,
        (
            "lstm: xs.shape=(5, 7, 3) must end in 5, the input features of "
            "`weight_ih_l0`. Use jax.numpy.moveaxis(xs, 0, -1)."
        ),
    ),
    (
        lambda: lstm(init_params(KEY, 1, 4), XS[..., 0]),
        ValueError,
        (
            "lstm: xs.shape=(7, 3) must end in 1, the input features of "
            "`weight_ih_l0`. Use xs[..., None] for one feature."
        ),
    ),
    (
        lambda: lstm(None, XS),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "lstm: params must be a mapping from torch's names to arrays, not "
            "NoneType: a state dict is the parameter tree. Use a state dict, or "
            "init_params for a new one."
        ),
    ),
    (
        with_params(bias_ih_l0=None),
        TypeError,
        (
            "lstm: bias_ih_l0 must be an array, not NoneType: it enters the equations. "
            "Give one."
        ),
    ),
    (
        with_params(bias_ih_l0=np.ones(16, np.int32)),
        TypeError,
        (
            "lstm: bias_ih_l0.dtype=int32 must be a floating type: the equations are "
            "real. Use bias_ih_l0.astype('float32')."
        ),
    ),
    (
        with_params(bias_ih_l0=np.array(["a"])),
        TypeError,
        (
            "lstm: bias_ih_l0.dtype=<U1 must be a type of numbers: it enters the "
            "equations. Use bias_ih_l0.astype('float32')."
        ),
    ),
    (
        with_params(bias_ih_l0=jnp.ones(16, jnp.float8_e4m3fn)),
        TypeError,
        (
            "lstm: the types of xs and params, float32, float8_e4m3fn, must have a "
            "common one: jax promotes them to none. Use dtype= for that of the "
            "products."
        ),
    ),
    (
        lambda: lstm(PARAMS, [[1.0]]),  # pyright: ignore[reportArgumentType]
        TypeError,
        f"lstm: xs must be an array, not list: {ENTERS}",
    ),
    (
        lambda: lstm(PARAMS, np.ones((7, 3, 5), np.int32)),
        TypeError,
        (
            "lstm: xs.dtype=int32 must be a floating type: the equations are real. "
            "Use xs.astype('float32')."
        ),
    ),
    (
        lambda: lstm(PARAMS, XS[0, 0]),
        ValueError,
        (
            "lstm: xs.shape=(5,) must be (T, *B, 5): a sequence has time and features. "
            "Use xs[:, None] for one feature, xs[None] for one step."
        ),
    ),
    (
        lambda: lstm(PARAMS, XS[..., :4]),
        ValueError,
        (
            "lstm: xs.shape=(7, 3, 4) must end in 5, the input features of "
            f"`weight_ih_l0`. {TOGETHER}"
        ),
    ),
]


STATES: list[Row] = [
    (
        with_state((H.swapaxes(0, 1), C.swapaxes(0, 1))),
        ValueError,
        (
            f"lstm: state.h.shape=(3, 2, 4) must be (2, 3, 4): {LAYERS}, output "
            "features. The batch comes second, also in jax.vmap's in_axes=(0, 1) and "
            "out_axes. Use jax.tree.map(lambda a: a.swapaxes(0, 1), state)."
        ),
    ),
    (
        with_state(H),
        TypeError,
        f"lstm: state must be a pair (h, c), not ArrayImpl: {PAIR}",
    ),
    (
        with_state((H, C, C)),
        TypeError,
        f"lstm: state must be a pair (h, c), not 3 values: {PAIR}",
    ),
    (
        with_state((H, None)),
        TypeError,
        f"lstm: state must be a pair (h, c), not half of one: {PAIR}",
    ),
    (
        with_state((H, 3)),
        TypeError,
        f"lstm: state.c must be an array, not int: {ENTERS}",
    ),
    (
        with_state((H.astype(int), C)),
        TypeError,
        (
            "lstm: state.h.dtype=int32 must be a floating type: the equations are "
            "real. Use state.h.astype('float32')."
        ),
    ),
    (
        with_state((H[:, 0], C)),
        ValueError,
        (
            f"lstm: state.h.shape=(2, 4) must be (2, 3, 4): {LAYERS}, output features. "
            "Use jax.numpy.zeros((2, 3, 4)) to start anew."
        ),
    ),
    (
        with_state((H, C[:, :2])),
        ValueError,
        (
            f"lstm: state.c.shape=(2, 2, 4) must be (2, 3, 4): {LAYERS}, cell "
            "features. Use jax.numpy.zeros((2, 3, 4)) to start anew."
        ),
    ),
    (
        with_state((C, H[..., :2]), PROJECTED),
        ValueError,
        (
            f"lstm: state.h.shape=(2, 3, 4) must be (2, 3, 2): {LAYERS}, output "
            "features. Is `state` in Flax's order (c, h)? Use LSTMState(h=h, c=c)."
        ),
    ),
    (
        lambda: lstm(PARAMS, XS, resets=RESETS, reset_state=(H, C[:, :2])),
        ValueError,
        (
            f"lstm: reset_state.c.shape=(2, 2, 4) must be (2, 3, 4): {LAYERS}, cell "
            "features. Use jax.numpy.zeros((2, 3, 4)) to start anew."
        ),
    ),
    (
        with_options(reset_state=(H, C)),
        ValueError,
        (
            "lstm: reset_state must be None where resets is None: nothing is reset. "
            "Use state= for the state before the first step."
        ),
    ),
]


MASKS: list[Row] = [
    (
        with_options(lengths=np.ones((7, 3), bool)),
        TypeError,
        (
            "lstm: lengths.dtype=bool must be an integer type: it counts steps. Use "
            "lengths_from_mask(lengths) for a mask (T, *B), batch_first=True for "
            "(*B, T)."
        ),
    ),
    (
        with_options(lengths=[7, 0, 3]),
        TypeError,
        f"lstm: lengths must be an array, not list: {ENTERS}",
    ),
    (
        with_options(lengths=np.ones(3, np.float32)),
        TypeError,
        (
            "lstm: lengths.dtype=float32 must be an integer type: it counts steps. "
            "Use lengths.astype('int32')."
        ),
    ),
    (
        with_options(lengths=np.array([7])),
        ValueError,
        (
            "lstm: lengths.shape=(1,) must be (3,): one length for each sequence of "
            "the batch. Use None where all have T steps."
        ),
    ),
    (
        with_options(lengths=np.array([7, -1, 3])),
        ValueError,
        (
            "lstm: lengths=-1 must be within 0 and 7: xs has that many steps. "
            "Cut xs or the length."
        ),
    ),
    (
        with_options(lengths=jnp.array([7, 0, 8])),
        ValueError,
        (
            "lstm: lengths=8 must be within 0 and 7: xs has that many steps. "
            "Cut xs or the length."
        ),
    ),
    (
        with_options(resets=np.ones((7, 3), np.int32)),
        TypeError,
        (
            "lstm: resets.dtype=int32 must be bool: a step resets or does not. "
            "Use resets.astype(bool)."
        ),
    ),
    (
        with_options(resets=RESETS.T),
        ValueError,
        (
            "lstm: resets.shape=(3, 7) must be (7, 3): the layout of the inputs "
            "without features. Use one flag for each step of each row; reset, of "
            "`step`, has another layout."
        ),
    ),
    (
        lambda: lstm(BOTH, XS, resets=RESETS),
        ValueError,
        (
            "lstm: resets must be None for a bidirectional LSTM: the reverse direction "
            "comes to a reset from the other side. Cut the sequences instead."
        ),
    ),
]


@pytest.mark.parametrize("row", ARRAYS, ids=lambda row: row[2][:40])
def test_an_argument_that_is_no_array_or_of_a_wrong_type_or_shape(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize("row", STATES, ids=lambda row: row[2][:40])
def test_a_state_that_does_not_fit(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize("row", MASKS, ids=lambda row: row[2][:40])
def test_lengths_and_resets_that_do_not_fit(row: Row) -> None:
    assert_raises(row)


def test_a_tensor_of_torch_that_numpy_has_no_type_for(torch: Any) -> None:
    call = with_params(bias_ih_l0=torch.ones(16, dtype=torch.bfloat16))
    said = (
        "lstm: bias_ih_l0 must be an array: Tensor cannot be read by NumPy "
        "(Got unsupported ScalarType BFloat16). Use "
        "jax.numpy.from_dlpack(bias_ih_l0.detach().cpu()), or parity.from_torch for a "
        "state dict."
    )
    assert_raises((call, TypeError, said))
