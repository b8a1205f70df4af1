"""Every cure that a message of `lstm_jax` names works when it is followed.

The messages are those of the tests of errors. `CURES` has, for each cure, a call
that was refused, repaired as the cure says.
"""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax import (
    LSTM,
    LSTMCell,
    LSTMModel,
    LSTMState,
    init_params,
    lengths_from_mask,
    linen,
    lstm,
    lstm_step,
    spec_of,
)
from tests.given.wrong import (
    BOTH,
    CELL,
    KEY,
    LAYER,
    MODEL,
    PARAMS,
    PROJECTED,
    RESETS,
    ROWS,
    XS,
    C,
    H,
    prefixed,
)
from tests.lstm_jax import (
    test_errors as arrays,
    test_errors_cells as cells,
    test_errors_keys as keys,
    test_errors_linen as linens,
    test_errors_modules as modules,
    test_errors_options as options,
)

pytestmark = pytest.mark.usefixtures("unoptimised", "no_jaxtyping")

TABLES = (
    *(arrays.ARRAYS, arrays.STATES, arrays.MASKS, keys.KEYS, linens.LINEN),
    *(options.OPTIONS, options.STEP, options.INIT, keys.SPECS),
    *(modules.MODULES, cells.CELLS, cells.MODELS),
)
SEED = 0
DROPS = LSTM.from_params(PARAMS, dropout=0.5)
LINEN = linen.LSTM.from_params(PARAMS, dropout=0.5)
MASK = np.arange(7)[:, None] < np.array([7, 0, 3])
INTEGERS = np.ones((7, 3, 5), np.int32)


def with_lstm(params: Any = PARAMS, xs: Any = XS, **given: Any) -> Callable[[], Any]:
    return lambda: lstm(params, xs, **given)


def in_x64() -> Any:
    with jax.enable_x64(True):
        return lstm(PARAMS, XS, dtype="float64")


def stacked_batch_first() -> Any:
    state = LSTMState(H.swapaxes(0, 1), C.swapaxes(0, 1))
    return lstm(PARAMS, XS, jax.tree.map(lambda a: a.swapaxes(0, 1), state))


# The cure of a message, to its end, and the call that it repairs.
CURES: dict[str, Callable[[], Any]] = {
    "Use its params().": with_lstm(LSTM.from_params(PARAMS).params()),
    "Use a state dict, or init_params for a new one.": with_lstm(
        init_params(KEY, 5, 4)
    ),
    "Use params['params'].": with_lstm({"params": PARAMS}["params"]),
    "Use params['encoder']['lstm'].": with_lstm(PARAMS),
    "Use jax.vmap to run 3 LSTMs: jax.vmap(lstm, (0, None)).": lambda: jax.vmap(
        lstm, (0, None)
    )(arrays.STACKED, XS),
    "Use jax.numpy.moveaxis(xs, 0, -1).": with_lstm(
        xs=jnp.moveaxis(jnp.moveaxis(XS, -1, 0), 0, -1)
    ),
    "Use xs[..., None] for one feature.": lambda: LSTMModel(1, 2, 1, rngs=nnx.Rngs(0))(
        jnp.ones((3, 7))[..., None]
    ),
    "Use xs[:, None] for one feature, xs[None] for one step.": with_lstm(
        xs=XS[0, 0][None]
    ),
    "Use the inputs, or the weights, that belong together.": with_lstm(),
    "Use the weights of a torch.nn.LSTM.": with_lstm(),
    "Give the keys of one torch.nn.LSTM, no more and no less.": with_lstm(),
    "Use the weights of a torch.nn.LSTMCell.": lambda: LSTMCell.from_params(CELL),
    "Give the keys of one torch.nn.LSTMCell, no more and no less.": lambda: (
        LSTMCell.from_params(CELL)
    ),
    "Give the keys of one LSTMModel, no more and no less.": lambda: (
        LSTMModel.from_params(MODEL)
    ),
    "Use LSTMCell for the weights of a cell.": lambda: LSTMCell.from_params(CELL),
    "Check that the weights are one LSTM's, in torch's layout.": with_lstm(),
    "Give one.": with_lstm(PARAMS | {"bias_ih_l0": PARAMS["bias_ih_l0"]}),
    "Use jax.numpy.asarray.": with_lstm(xs=jnp.asarray([[1.0] * 5])),
    "Use numpy.asarray.": lambda: spec_of(
        {name: np.asarray(array.tolist()) for name, array in PARAMS.items()}
    ),
    "Use xs.astype('float32').": with_lstm(xs=INTEGERS.astype("float32")),
    "Use bias_ih_l0.astype('float32').": with_lstm(
        PARAMS | {"bias_ih_l0": np.array(["1"] * 16).astype("float32")}
    ),
    "Use state.h.astype('float32').": with_lstm(
        state=(H.astype(int).astype("float32"), C)
    ),
    "Use dtype= for that of the products.": with_lstm(
        PARAMS | {"bias_ih_l0": jnp.ones(16, jnp.float8_e4m3fn)}, dtype="float32"
    ),
    "Use LSTMState(h, c).": with_lstm(state=LSTMState(H, C)),
    "Is `state` in Flax's order (c, h)? Use LSTMState(h=h, c=c).": with_lstm(
        PROJECTED, state=LSTMState(h=H[..., :2], c=C)
    ),
    "Use LSTMState(h=h, c=c).": lambda: LSTMCell.from_params(CELL)(
        LSTMState(h=ROWS.h, c=ROWS.c), XS[0]
    ),
    "Use jax.numpy.zeros((2, 3, 4)) to start anew.": with_lstm(
        state=(jnp.zeros((2, 3, 4)), C)
    ),
    "Use jax.numpy.zeros((3, 4)) to start anew.": lambda: lstm_step(
        LAYER, XS[0], ROWS._replace(c=jnp.zeros((3, 4)))
    ),
    "The batch comes second, also in jax.vmap's in_axes=(0, 1) and out_axes. Use "
    "jax.tree.map(lambda a: a.swapaxes(0, 1), state).": stacked_batch_first,
    "Use state= for the state before the first step.": with_lstm(state=(H, C)),
    "Use lengths_from_mask(lengths) for a mask (T, *B), batch_first=True for "
    "(*B, T).": (with_lstm(lengths=lengths_from_mask(MASK))),
    "Use lengths.astype('int32').": with_lstm(lengths=np.ones(3).astype("int32")),
    "Use None where all have T steps.": with_lstm(lengths=None),
    "Cut xs or the length.": with_lstm(lengths=np.array([7, 0, 7])),
    "Use mask.astype(bool).": lambda: lengths_from_mask(MASK.astype(int).astype(bool)),
    "Move the padding to the row's end.": lambda: lengths_from_mask(MASK),
    "Use (T, *B).": lambda: lengths_from_mask(MASK),
    "Use resets.astype(bool).": with_lstm(resets=np.ones((7, 3), int).astype(bool)),
    "Use one flag for each step of each row; reset, of `step`, has another layout.": (
        with_lstm(resets=RESETS)
    ),
    "Use one flag for each step of each row; resets, of a whole sequence, has another "
    "layout.": lambda: LSTM.from_params(PARAMS).step(XS[0], (H, C), RESETS[0]),
    "Cut the sequences instead.": with_lstm(BOTH, XS[:2]),
    "Run the whole sequence instead.": with_lstm(BOTH),
    "Use 0.0 for none.": with_lstm(dropout=0.0),
    "Use jax.random.key(seed), or dropout=0.0 to evaluate.": with_lstm(
        dropout=0.5, dropout_key=jax.random.key(SEED)
    ),
    "Use jax.random.key(seed).": lambda: init_params(jax.random.key(SEED), 3, 4),
    "Use rngs=jax.random.key(seed), or deterministic=True to evaluate.": lambda: (
        DROPS(XS, rngs=jax.random.key(SEED)),
        DROPS(XS, deterministic=True),
    ),
    "Use nnx.Rngs(dropout=seed), or deterministic=True to evaluate.": lambda: DROPS(
        XS, rngs=nnx.Rngs(dropout=SEED)
    ),
    "Use apply(..., rngs={'dropout': key}), or deterministic=True to evaluate.": (
        lambda: (
            LINEN.apply({"params": PARAMS}, XS, rngs={"dropout": KEY}),
            LINEN.apply({"params": PARAMS}, XS, deterministic=True),
        )
    ),
    "Use nnx.Rngs(params=seed).": lambda: LSTM(5, 4, rngs=nnx.Rngs(params=SEED)),
    "Use nnx.Rngs(seed).": lambda: LSTM(5, 4, rngs=nnx.Rngs(SEED)),
    "Use 'float32'.": with_lstm(dtype="float32"),
    "Use 'bfloat16'.": with_lstm(dtype="bfloat16"),
    "Use 'float16'.": with_lstm(dtype="float16"),
    "Use jax.config.update('jax_enable_x64', True).": in_x64,
    "Use 'highest', 'high', 'default' or None.": lambda: [
        lstm(PARAMS, XS, precision=precision)
        for precision in ("highest", "high", "default", None)
    ],
    "Use None to keep all.": with_lstm(remat=None),
    "Use None to cut nowhere.": with_lstm(truncate=None),
    "Use one of them.": lambda: [
        lstm(PARAMS, XS, variational=flag) for flag in (True, False)
    ],
    "Use 'auto'.": with_lstm(backend="auto"),
    "Use LayerParams(weight_ih, weight_hh, ...).": lambda: lstm_step(
        LAYER, XS[0], ROWS
    ),
    "Use zeros for the one that is missing.": lambda: lstm_step(
        LAYER._replace(bias_hh=jnp.zeros(16)), XS[0], ROWS
    ),
    "Use 1 or more.": lambda: init_params(KEY, 1, 1),
    "Use 0 for none.": lambda: init_params(KEY, 3, 4, proj_size=0),
    "Use 'uniform' for torch's.": lambda: init_params(KEY, 3, 4, recurrent="uniform"),
    "Use bias=True.": lambda: init_params(KEY, 3, 4, bias=True, forget_bias=1.0),
    "Use a float.": lambda: init_params(KEY, 3, 4, forget_bias=1.0),
    "Use (3,) for 3 rows.": lambda: DROPS.initial_state((3,)),
    "Use (4,) for 4 rows.": lambda: DROPS.initial_state((4,)),
    "Leave the others out.": lambda: LSTM.from_params(PARAMS),
    "Use a longer sequence.": lambda: LSTMModel(5, 4, 2, rngs=nnx.Rngs(0))(XS),
}
PARITY = "Take its part with parity.from_torch(state_dict, prefix='enc.')."


def cure_of(message: str) -> str:
    """What follows the reason."""
    return re.split(r"\. (?=[A-Z])", message, maxsplit=1)[1]


def test_every_message_ends_in_a_cure_of_the_table() -> None:
    found = {cure_of(message) for table in TABLES for _, _, message in table}
    assert found - {PARITY} == set(CURES)


@pytest.mark.parametrize("cure", CURES)
def test_the_call_works_when_the_cure_is_followed(cure: str) -> None:
    def arrays_of_the_call() -> list[jax.Array]:
        leaves = jax.tree.leaves(CURES[cure]())
        return [leaf for leaf in leaves if isinstance(leaf, jax.Array)]

    _ = jax.eval_shape(arrays_of_the_call)


def test_a_part_of_a_state_dict_is_taken(torch: Any) -> None:
    import parity

    whole = prefixed("enc.", PARAMS)
    part: Any = parity.from_torch(whole, prefix="enc.")
    assert lstm(part, XS)[0].shape == (7, 3, 4)


@pytest.mark.parametrize("kind", ["bfloat16", "float64", "trained"])
def test_a_tensor_that_numpy_cannot_read_goes_by_dlpack(kind: str, torch: Any) -> None:
    dtype = torch.float32 if kind == "trained" else getattr(torch, kind)
    xs = torch.ones(7, 3, 5, dtype=dtype, requires_grad=kind == "trained")
    if kind != "float64":
        with pytest.raises(TypeError, match=r"from_dlpack\(xs.detach\(\).cpu\(\)\)"):
            _ = lstm(PARAMS, xs)
    with jax.enable_x64(kind == "float64"):
        ys, _ = lstm(PARAMS, jax.numpy.from_dlpack(xs.detach().cpu()))
    assert ys.shape == (7, 3, 4)


def test_a_module_of_torch_names_its_state_dict(torch: Any) -> None:
    module = torch.nn.LSTM(5, 4)
    with pytest.raises(TypeError) as caught:
        _ = lstm(module, XS)  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == (
        "lstm: params must be a mapping from torch's names to arrays, not LSTM: a "
        "state dict is the parameter tree. Use its state_dict()."
    )
    assert lstm(module.state_dict(), XS)[0].shape == (7, 3, 4)


def test_a_step_is_mapped_over_its_rows() -> None:
    model = LSTM.from_params(PARAMS)
    ys, state = jax.vmap(model.step, (0, 1), (0, 1))(XS[0], LSTMState(H, C))
    expected, after = model.step(XS[0], (H, C))
    np.testing.assert_allclose(ys, expected, rtol=1e-6)
    np.testing.assert_allclose(state.c, after.c, rtol=1e-6)
