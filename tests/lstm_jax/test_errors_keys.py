"""Every sentence that wrong keys and shapes of parameters meet, matched whole."""

import jax.numpy as jnp
import pytest

from lstm_jax import lstm, spec_of
from tests.given.wrong import (
    CELL,
    ONE_LSTM,
    PARAMS,
    READ_OFF,
    XS,
    Row,
    assert_raises,
    prefixed,
    quoted,
    with_params,
    without,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

KEYS: list[Row] = [
    (
        lambda: lstm({}, XS),
        ValueError,
        f"lstm: missing 'weight_hh_l0', 'weight_ih_l0'. {ONE_LSTM}",
    ),
    (
        lambda: lstm(without(PARAMS, "bias_hh_l1", "weight_hh_l1"), XS),
        ValueError,
        f"lstm: missing 'bias_hh_l1', 'weight_hh_l1'. {ONE_LSTM}",
    ),
    (
        lambda: lstm(
            without(PARAMS, "weight_hh_l1") | {"b": XS, "a": XS, "bias_ih_l1_": XS}, XS
        ),
        ValueError,
        "lstm: missing 'weight_hh_l1'; not used: 'a', 'b', 'bias_ih_l1_'. " + ONE_LSTM,
    ),
    (
        lambda: lstm(prefixed("enc.", PARAMS), XS),
        ValueError,
        (
            "lstm: missing 'weight_hh_l0', 'weight_ih_l0'; "
            f"not used: {quoted(prefixed('enc.', PARAMS))}. "
            "Take its part with parity.from_torch(state_dict, prefix='enc.')."
        ),
    ),
    (
        with_params(weight_ih_l3=PARAMS["weight_ih_l1"]),
        ValueError,
        (
            "lstm: missing 'bias_hh_l2', 'bias_hh_l3', 'bias_ih_l2', 'bias_ih_l3', "
            f"'weight_hh_l2', 'weight_hh_l3', 'weight_ih_l2'. {ONE_LSTM}"
        ),
    ),
    (
        with_params(weight_ih_l999999999=XS, weight_ih_l00=XS),
        ValueError,
        (
            "lstm: not used: 'weight_ih_l00', 'weight_ih_l999999999'. "
            "Give the keys of one torch.nn.LSTM, no more and no less."
        ),
    ),
    (
        with_params(weight_ih_l0_reverse=PARAMS["weight_ih_l0"]),
        ValueError,
        (
            "lstm: missing 'bias_hh_l0_reverse', 'bias_hh_l1_reverse', "
            "'bias_ih_l0_reverse', 'bias_ih_l1_reverse', 'weight_hh_l0_reverse', "
            f"'weight_hh_l1_reverse', 'weight_ih_l1_reverse'. {ONE_LSTM}"
        ),
    ),
    (
        with_params(bias_hh_l1=jnp.ones(3), weight_ih_l1=jnp.ones(16)),
        ValueError,
        (
            "lstm: bias_hh_l1.shape=(3,) must be (16,); "
            f"weight_ih_l1.shape=(16,) must be (16, 4): {READ_OFF}"
        ),
    ),
    (
        with_params(weight_hh_l0=jnp.ones(16)),
        ValueError,
        (
            "lstm: weight_hh_l0.shape=(16,) must be two sizes above 0: torch's LSTM "
            "stores matrices. Use the weights of a torch.nn.LSTM."
        ),
    ),
    (
        with_params(weight_hh_l0=jnp.ones((16, 0))),
        ValueError,
        (
            "lstm: weight_hh_l0.shape=(16, 0) must be two sizes above 0: torch's LSTM "
            "stores matrices. Use the weights of a torch.nn.LSTM."
        ),
    ),
]


SPECS: list[Row] = [
    (
        lambda: spec_of(None),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "spec_of: params must be a mapping from torch's names to arrays, not "
            "NoneType: a state dict is the parameter tree. Use a state dict, or "
            "init_params for a new one."
        ),
    ),
    (
        lambda: spec_of(CELL | {"weight_ih_l0": [[1.0]]}),
        TypeError,
        (
            "spec_of: weight_ih_l0 must be an array, not list: the sizes are read off "
            "its shape. Use numpy.asarray."
        ),
    ),
    (
        lambda: spec_of(PARAMS | {3: XS}),  # pyright: ignore[reportArgumentType]
        ValueError,
        f"spec_of: not used: '3'. {ONE_LSTM}",
    ),
]


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row[2][:40])
def test_everything_wrong_with_keys_and_shapes_is_listed_and_sorted(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize("row", SPECS, ids=lambda row: row[2][:40])
def test_parameters_that_have_no_spec(row: Row) -> None:
    assert_raises(row)
