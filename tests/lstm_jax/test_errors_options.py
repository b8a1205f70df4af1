"""Every sentence that wrong options meet, matched whole."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax
from lstm_jax import (
    LayerParams,
    init_params,
    lengths_from_mask,
    lstm,
    lstm_step,
)
from tests.given.wrong import (
    BACKENDS,
    BOTH,
    DRAWN,
    ENTERS,
    KEY,
    LAYER,
    LAYOUT,
    ONE_CELL,
    PARAMS,
    PRODUCTS,
    RATE,
    REAL,
    ROWS,
    SIZE,
    STEPS,
    THESE,
    TOGETHER,
    XS,
    Row,
    assert_raises,
    with_options,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

OPTIONS: list[Row] = [
    (
        with_options(batch_first="no"),
        TypeError,
        (
            "lstm: batch_first must be True or False, not str: it is a flag. "
            "Use one of them."
        ),
    ),
    (
        with_options(dropout=1.5, dropout_key=KEY),
        ValueError,
        f"lstm: dropout=1.5 {RATE} Use 0.0 for none.",
    ),
    (
        with_options(dropout=float("nan"), dropout_key=KEY),
        ValueError,
        f"lstm: dropout=nan {RATE} Use 0.0 for none.",
    ),
    (
        with_options(dropout=None),
        ValueError,
        f"lstm: dropout=None {RATE} Use 0.0 for none.",
    ),
    (
        with_options(dropout=0.5),
        ValueError,
        (
            "lstm: dropout_key must be a key: dropout=0.5 acts between the 2 layers. "
            "Use jax.random.key(seed), or dropout=0.0 to evaluate."
        ),
    ),
    (
        with_options(dropout=0.5, dropout_key=3),
        TypeError,
        f"lstm: dropout_key must be one key of jax.random, not int: {DRAWN}",
    ),
    (
        with_options(dropout=0.5, dropout_key=jax.random.split(KEY, 3)),
        TypeError,
        f"lstm: dropout_key must be one key of jax.random, not an array (3,): {DRAWN}",
    ),
    (
        with_options(dropout=0.5, dropout_key=nnx.Rngs(0)),
        TypeError,
        f"lstm: dropout_key must be one key of jax.random, not Rngs: {DRAWN}",
    ),
    (
        with_options(dtype="int32"),
        TypeError,
        f"lstm: dtype='int32' must be a floating type: {REAL}",
    ),
    (
        with_options(dtype="floaty"),
        TypeError,
        f"lstm: dtype='floaty' must be a floating type: {REAL}",
    ),
    *(
        (
            with_options(dtype=name),
            TypeError,
            (
                f"lstm: dtype={name!r} must be a floating type: the equations are "
                f"real. Use {right!r}."
            ),
        )
        for name, right in (
            ("bf16", "bfloat16"),
            ("fp16", "float16"),
            ("f32", "float32"),
            ("torch.bfloat16", "bfloat16"),
        )
    ),
    (
        with_options(dtype="float64"),
        TypeError,
        (
            "lstm: dtype='float64' must be float32 or smaller: jax has 64-bit types "
            "only where x64 is enabled. Use jax.config.update('jax_enable_x64', True)."
        ),
    ),
    (
        with_options(precision="huge"),
        ValueError,
        f"lstm: precision='huge' {PRODUCTS} Use 'highest', 'high', 'default' or None.",
    ),
    (
        with_options(precision=["highest", "highest"]),
        ValueError,
        (
            f"lstm: precision=['highest', 'highest'] {PRODUCTS} "
            "Use 'highest', 'high', 'default' or None."
        ),
    ),
    *(
        (
            with_options(remat=remat),
            ValueError,
            (
                f"lstm: remat={remat!r} must be None, a number of steps above 0 or "
                f"'sqrt': {STEPS}"
            ),
        )
        for remat in (0, True, 2.0, "full", np.array([1, 2]))
    ),
    *(
        (
            with_options(truncate=truncate),
            ValueError,
            (
                f"lstm: truncate={truncate!r} must be None or a number of steps above "
                "0: the gradient of the state is cut after that many. Use None to cut "
                "nowhere."
            ),
        )
        for truncate in (0, True, 2.0)
    ),
    (
        lambda: lstm(BOTH, XS, truncate=2),
        ValueError,
        (
            "lstm: truncate must be None for a bidirectional LSTM: its directions come "
            "to a cut from both sides. Cut the sequences instead."
        ),
    ),
    (
        with_options(variational=1),
        TypeError,
        (
            "lstm: variational must be True or False, not int: it is a flag. Use one "
            "of them."
        ),
    ),
    (
        lambda: lengths_from_mask(np.array([[1, 0], [0, 1], [1, 1]])),
        TypeError,
        (
            "lengths_from_mask: mask.dtype=int32 must be bool: a step belongs to its "
            "row or does not. Use mask.astype(bool)."
        ),
    ),
    (
        lambda: lengths_from_mask(np.array([[1, 0], [0, 0], [1, 0]], bool)),
        ValueError,
        (
            "lengths_from_mask: mask must be True up to each row's length: row [0] is "
            "False at step 1 and True after it. Move the padding to the row's end."
        ),
    ),
    (
        lambda: lengths_from_mask(np.array(True)),
        ValueError,
        (
            "lengths_from_mask: mask.shape=() must have time at least: lengths count "
            "its steps. Use (T, *B)."
        ),
    ),
    (
        with_options(backend="cuda"),
        ValueError,
        f"lstm: backend='cuda' must be one of {BACKENDS}: {THESE}",
    ),
    (
        with_options(backend=["xla"]),
        TypeError,
        (
            "lstm: backend must be a name or a backend, not ['xla']: it runs the "
            "stack. Use 'auto'."
        ),
    ),
]


STEP: list[Row] = [
    (
        lambda: lstm_step(PARAMS, XS[0], ROWS),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "lstm_step: params must be LayerParams, not dict: a step is one layer in "
            "one direction. Use LayerParams(weight_ih, weight_hh, ...)."
        ),
    ),
    (
        lambda: lstm_step(LAYER._replace(bias_hh=None), XS[0], ROWS),
        ValueError,
        (
            "lstm_step: params must have both biases or none: torch's LSTM adds "
            "bias_ih and bias_hh. Use zeros for the one that is missing."
        ),
    ),
    (
        lambda: lstm_step(LAYER._replace(bias_hh=jnp.ones(3)), XS[0], ROWS),
        ValueError,
        (
            "lstm_step: bias_hh.shape=(3,) must be (16,): the sizes are read off "
            f"weight_ih and weight_hh. {LAYOUT}"
        ),
    ),
    (
        lambda: lstm_step(LayerParams(None, None), XS[0], ROWS),  # pyright: ignore[reportArgumentType]
        ValueError,
        f"lstm_step: missing 'weight_hh', 'weight_ih'. {ONE_CELL}",
    ),
    (
        lambda: lstm_step(LAYER._replace(weight_ih=3), XS[0], ROWS),
        TypeError,
        f"lstm_step: params.weight_ih must be an array, not int: {ENTERS}",
    ),
    (
        lambda: lstm_step(LAYER, XS[0, :, :4], ROWS),
        ValueError,
        (
            "lstm_step: x.shape=(3, 4) must end in 5, the input features of "
            f"`weight_ih`. {TOGETHER}"
        ),
    ),
    (
        lambda: lstm_step(LAYER, jnp.ones(()), ROWS),
        ValueError,
        (
            "lstm_step: x.shape=() must end in 5, the input features of "
            f"`weight_ih`. {TOGETHER}"
        ),
    ),
    (
        lambda: lstm_step(LAYER, XS[0], ROWS._replace(c=ROWS.c[:2])),
        ValueError,
        (
            "lstm_step: state.c.shape=(2, 4) must be (3, 4): batch, cell features. "
            "Use jax.numpy.zeros((3, 4)) to start anew."
        ),
    ),
]


INIT: list[Row] = [
    (
        lambda: init_params(KEY, 0, 4),
        ValueError,
        f"init_params: input_size=0 {SIZE}",
    ),
    (
        lambda: init_params(KEY, 3, "4"),  # pyright: ignore[reportArgumentType]
        ValueError,
        f"init_params: hidden_size='4' {SIZE}",
    ),
    (
        lambda: init_params(KEY, 3, 4, True),
        ValueError,
        f"init_params: num_layers=True {SIZE}",
    ),
    *(
        (
            lambda size=size: init_params(KEY, 3, 4, proj_size=size),
            ValueError,
            (
                f"init_params: proj_size={size} must be from 0 to 3: a projection "
                "makes the output smaller than the cell. Use 0 for none."
            ),
        )
        for size in (4, -1, True)
    ),
    (
        lambda: init_params(KEY, 3, 4, dtype="int8"),
        TypeError,
        f"init_params: dtype='int8' must be a floating type: {REAL}",
    ),
    (
        lambda: init_params(KEY, 3, 4, recurrent="normal"),  # pyright: ignore[reportArgumentType]
        ValueError,
        (
            "init_params: recurrent='normal' must be 'uniform' or 'orthogonal': no "
            "other draw is known. Use 'uniform' for torch's."
        ),
    ),
    (
        lambda: init_params(KEY, 3, 4, bias=False, forget_bias=1.0),
        ValueError,
        (
            "init_params: forget_bias must be None where bias is False: there is no "
            "bias to hold it. Use bias=True."
        ),
    ),
    (
        lambda: init_params(KEY, 3, 4, forget_bias="one"),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "init_params: forget_bias must be a number, not str: it is the value of a "
            "parameter. Use a float."
        ),
    ),
    (
        lambda: init_params(0, 3, 4),  # pyright: ignore[reportArgumentType]
        TypeError,
        f"init_params: key must be one key of jax.random, not int: {DRAWN}",
    ),
]


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row[2][:40])
def test_an_option_that_there_is_not(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize("row", STEP, ids=lambda row: row[2][:40])
def test_a_step_whose_arguments_do_not_fit(row: Row) -> None:
    assert_raises(row)


@pytest.mark.parametrize("row", INIT, ids=lambda row: row[2][:40])
def test_parameters_that_cannot_be_drawn(row: Row) -> None:
    assert_raises(row)


def test_a_named_backend_is_never_replaced(monkeypatch: Any) -> None:
    nothing = SimpleNamespace(
        name="none",
        every_transform=False,
        unsupported=lambda _: "it runs nothing.",
        settled=None,
        run=None,
    )
    monkeypatch.setitem(lstm_jax.backends.BACKENDS, "none", nothing)
    message = (
        "backend='none' cannot run this layer: it runs nothing. Use backend='auto', or "
        "ask `lstm_jax.backends.explain(spec)` which can."
    )
    assert_raises((with_options(backend="none"), NotImplementedError, message))
    spec = lstm_jax.LSTMSpec(input_size=5, hidden_size=4, platform="tpu")
    expected = (
        'native: no, it is a kernel for CPUs.\nxla: yes (chosen by "auto")\n'
        "cudnn: no, no CUDA device.\nnone: no, it runs nothing."
    )
    assert lstm_jax.backends.explain(spec) == expected


def test_traced_lengths_out_of_range_are_no_error() -> None:
    ys, _ = jax.jit(lambda n: lstm(PARAMS, XS, lengths=n))(np.array([9, -1, 3]))
    assert ys.shape == (7, 3, 4)


def test_a_type_of_torch(torch: Any) -> None:
    said = f"lstm: dtype=torch.float32 must be a floating type: {REAL}"
    assert_raises((with_options(dtype=torch.float32), TypeError, said))
