"""Every sentence that a module used wrongly meets, matched whole."""

import pytest
from flax import nnx

from lstm_jax import (
    LSTM,
)
from tests.given.wrong import (
    A_CELL,
    BACKENDS,
    BOTH,
    CELL,
    DRAWN,
    LAYOUT,
    ONE_LSTM,
    OTHERS,
    PARAMS,
    PRODUCTS,
    RATE,
    REAL,
    RESETS,
    STEPS,
    THESE,
    TOGETHER,
    XS,
    C,
    H,
    Row,
    assert_raises,
    quoted,
    with_module,
    without,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

MODULES: list[Row] = [
    (
        with_module(proj_size=4),
        ValueError,
        (
            "LSTM: proj_size=4 must be from 0 to 3: a "
            "projection makes the output smaller than the cell. Use 0 for none."
        ),
    ),
    (with_module(dropout=2), ValueError, f"LSTM: dropout=2 {RATE} Use 0.0 for none."),
    (
        with_module(remat="full"),
        ValueError,
        (
            "LSTM: remat='full' must be None, a number of steps above 0 or 'sqrt': "
            f"{STEPS}"
        ),
    ),
    *(
        (
            with_module(**{flag: 1}),
            TypeError,
            (
                f"LSTM: {flag} must be True or False, not int: it is a flag. "
                "Use one of them."
            ),
        )
        for flag in ("batch_first", "deterministic")
    ),
    (
        with_module(dtype="int8"),
        TypeError,
        f"LSTM: dtype='int8' must be a floating type: {REAL}",
    ),
    *(
        (
            with_module(**{flag: value}),
            TypeError,
            (
                f"LSTM: {flag} must be True or False, not {type(value).__name__}: it "
                "is a flag. Use one of them."
            ),
        )
        for flag, value in (("bias", "no"), ("bidirectional", 3))
    ),
    (
        with_module(param_dtype="int8"),
        TypeError,
        f"LSTM: param_dtype='int8' must be a floating type: {REAL}",
    ),
    (
        with_module(recurrent="normal"),
        ValueError,
        (
            "LSTM: recurrent='normal' must be 'uniform' or 'orthogonal': no other draw "
            "is known. Use 'uniform' for torch's."
        ),
    ),
    (
        with_module(bias=False, forget_bias=1.0),
        ValueError,
        (
            "LSTM: forget_bias must be None where bias is False: there is no bias to "
            "hold it. Use bias=True."
        ),
    ),
    (
        with_module(precision="bogus"),
        ValueError,
        f"LSTM: precision='bogus' {PRODUCTS} Use 'highest', 'high', 'default' or None.",
    ),
    (
        with_module(backend="bogus"),
        ValueError,
        f"LSTM: backend='bogus' must be one of {BACKENDS}: {THESE}",
    ),
    (
        with_module(rngs=nnx.Rngs(dropout=0)),
        ValueError,
        (
            "LSTM: rngs must have a stream named params: the initial parameters are "
            "drawn from it. Use nnx.Rngs(params=seed)."
        ),
    ),
    *(
        (
            lambda shape=shape: LSTM.from_params(PARAMS).initial_state(shape),  # pyright: ignore[reportArgumentType]
            ValueError,
            (
                f"LSTM.initial_state: batch_shape={shape} must be whole numbers of "
                "0 or more: they are the sizes of the batch axes. Use (3,) for 3 rows."
            ),
        )
        for shape in ((-1,), (3, 1.5), ("3",))
    ),
    (
        with_module(rngs=0),
        TypeError,
        (
            "LSTM: rngs must be nnx.Rngs, not int: the initial parameters are drawn "
            "from its stream params. Use nnx.Rngs(seed)."
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS, hidden_size=3),
        TypeError,
        (
            "LSTM.from_params: options must be among batch_first, dropout, "
            "deterministic, dtype, precision, variational, remat, truncate, backend, "
            "not hidden_size: "
            f"{OTHERS}"
        ),
    ),
    (
        lambda: LSTM.from_params(CELL),
        ValueError,
        (
            "LSTM.from_params: missing 'weight_hh_l0', 'weight_ih_l0'; "
            f"not used: {quoted(CELL)}. {A_CELL}"
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS).load_params(without(PARAMS, "bias_ih_l0")),
        ValueError,
        f"LSTM.load_params: missing 'bias_ih_l0'. {ONE_LSTM}",
    ),
    (
        lambda: LSTM.from_params(PARAMS).load_params(PARAMS | {"bias_ih_l0": XS}),
        ValueError,
        (
            "LSTM.load_params: bias_ih_l0.shape=(7, 3, 5) must be (16,): the module "
            f"has this size. {LAYOUT}"
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS, dropout=0.5)(XS),
        ValueError,
        (
            "LSTM: rngs must be a key or nnx.Rngs: dropout acts between the layers. "
            "Use rngs=jax.random.key(seed), or deterministic=True to evaluate."
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS, dropout=0.5)(XS, rngs=nnx.Rngs(params=0)),
        ValueError,
        (
            "LSTM: rngs must have a stream named dropout: dropout acts between the "
            "layers. Use nnx.Rngs(dropout=seed), or deterministic=True to evaluate."
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS, dropout=0.5)(XS, rngs=3),  # pyright: ignore[reportArgumentType]
        TypeError,
        f"LSTM: rngs must be one key of jax.random, not int: {DRAWN}",
    ),
    (
        lambda: LSTM.from_params(BOTH).step(XS[0], (H, C)),
        ValueError,
        (
            "LSTM.step: bidirectional must be False: the reverse direction starts from "
            "the end of the sequence. Run the whole sequence instead."
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS).step(XS[0, :, :3], (H, C)),
        ValueError,
        (
            "LSTM.step: x.shape=(3, 3) must end in 5, the input features of "
            f"`weight_ih`. {TOGETHER}"
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS).step(XS[0], (H, C), reset_state=(H, C)),
        ValueError,
        (
            "LSTM.step: reset_state must be None where reset is None: nothing is "
            "reset. Use state= for the state before the first step."
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS).step(XS[0], (H, C), RESETS[0, :2]),
        ValueError,
        (
            "LSTM.step: reset.shape=(2,) must be (3,): the layout of the inputs "
            "without features. Use one flag for each step of each row; resets, of a "
            "whole sequence, has another layout."
        ),
    ),
    (
        lambda: LSTM.from_params(PARAMS).initial_state(4),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "LSTM.initial_state: batch_shape must be a tuple of sizes, not int: there "
            "may be any number of batch axes. Use (4,) for 4 rows."
        ),
    ),
]


@pytest.mark.parametrize("row", MODULES, ids=lambda row: row[2][:40])
def test_a_module_used_wrongly(row: Row) -> None:
    assert_raises(row)
