"""What `check_training` refuses, in a sentence each, before anything is trained."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax import LSTMModel
from parity import check_training

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 2, "output_size": 1}


def model(**options: Any) -> LSTMModel:
    return LSTMModel(**SIZES, **options, rngs=nnx.Rngs(0))


def too_few(params: Any, xs: Any, ys: Any) -> Any:
    yield 0.0, params


def other_names(params: Any, xs: Any, ys: Any) -> Any:
    yield 0.0, {"weight": jnp.zeros(3)} | params


def without_end(params: Any, xs: Any, ys: Any) -> Any:
    while True:
        yield 0.0, params


PAIRS = (
    "run must give (loss, params) of each step, not {}: a number, and a mapping of "
    "names to arrays. Yield (loss, params) after each update."
)
DRAWN: Any = {"model": model(), "steps": 2}
HEAD = (
    "model must predict from features by a linear layer on the last "
    "step, as its torch twin does. Use outputs='last', without activation "
    "and embedding."
)
REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "optimizer": (
        {"optimizer": "rmsprop"},
        ValueError,
        (
            "optimizer='rmsprop' must be one of sgd, adam, adamw: these "
            "optimizers of torch are compared. Use optimizer='adam'."
        ),
    ),
    "rate": (
        {"rate": -1.0},
        ValueError,
        ("rate=-1.0 must be 0 or more: torch takes no other. Use rate=0.01."),
    ),
    "b2": (
        {"b2": 1.5},
        ValueError,
        ("b2=1.5 must be 0 or more, and below 1: torch takes no other. Use b2=0.999."),
    ),
    "dtype": (
        {"dtype": "bfloat16"},
        ValueError,
        (
            "dtype='bfloat16' must be float64 or float32: there is no budget "
            "for others. Use dtype='float32'."
        ),
    ),
    "steps": (
        {"steps": 0},
        ValueError,
        (
            "steps=0 must be a whole number from 1 to 100000: the weights of every "
            "step are kept. Use steps=200."
        ),
    ),
    "no whole steps": (
        {"steps": 2.5},
        ValueError,
        (
            "steps=2.5 must be a whole number from 1 to 100000: the weights of every "
            "step are kept. Use steps=200."
        ),
    ),
    "seed": (
        {"seed": -1},
        ValueError,
        (
            "seed=-1 must be a whole number from 0 to 4294967295: JAX and NumPy draw "
            "by it. Use seed=0."
        ),
    ),
    "schedule": (
        {"rate": lambda count: 0.1 / count},
        TypeError,
        (
            "rate must be a number, not function: torch's side trains by it. Use "
            "rate=0.01."
        ),
    ),
    "huge": (
        {"rate": 1e100, "dtype": "float32"},
        ValueError,
        ("rate=1e+100 must be 1e38 or less: float32 holds no more. Use rate=0.01."),
    ),
    "no number": (
        {"clip": float("nan")},
        ValueError,
        ("clip=nan must be 0 or more: torch takes no other. Use clip=1."),
    ),
    "momentum of adam": (
        {"momentum": 0.9},
        ValueError,
        (
            "momentum=0.9 must not come with optimizer='adam': torch's takes none. "
            "Leave it out."
        ),
    ),
    "b1 of sgd": (
        {"optimizer": "sgd", "b1": 0.5},
        ValueError,
        (
            "b1=0.5 must not come with optimizer='sgd': torch's takes none. Leave it "
            "out."
        ),
    ),
    "name": (
        {"model": "deep"},
        ValueError,
        (
            "model='deep' must be one of plain, bidirectional, projected, "
            "dropout, or an LSTMModel: no other has a name. Use model='plain'."
        ),
    ),
    "kind": (
        {"model": 3},
        TypeError,
        (
            "model must be an LSTMModel or a name, not int: both sides begin "
            "with its weights. Use LSTMModel.from_params."
        ),
    ),
    "head": ({"model": model(outputs="mean")}, ValueError, HEAD),
    "activation": ({"model": model(activation="tanh")}, ValueError, HEAD),
    "run": (
        {"run": 3},
        TypeError,
        (
            "run must be a transformation of optax or a function, not int: it "
            "trains the model. Use run=lstm_jax.train.torch_optimizer('adam', 0.01)."
        ),
    ),
    "dropout": (
        {"model": model(num_layers=2, dropout=0.5), "run": too_few},
        ValueError,
        (
            "run must be a transformation of optax where the model has "
            "dropout: a function does not know its masks. Use dropout=0."
        ),
    ),
    "too few": (
        {**DRAWN, "run": too_few},
        ValueError,
        (
            "run gave 1 steps, and must give 2: one for each batch. Yield "
            "(loss, params) after each update."
        ),
    ),
    "too many": (
        {**DRAWN, "run": without_end},
        ValueError,
        (
            "run gave more than 2 steps, and must give 2: one for each batch. Yield "
            "(loss, params) after each update."
        ),
    ),
    "nothing": ({**DRAWN, "run": lambda *_: None}, TypeError, PAIRS.format("NoneType")),
    "losses alone": (
        {**DRAWN, "run": lambda *_: [0.0, 0.0]},
        TypeError,
        PAIRS.format("float"),
    ),
    "turned round": (
        {**DRAWN, "run": lambda params, *_: [(params, 0.0)]},
        TypeError,
        PAIRS.format("(dict, float)"),
    ),
    "a loss of each row": (
        {**DRAWN, "run": lambda params, *_: [(np.zeros(16), params)]},
        TypeError,
        PAIRS.format("(ndarray, dict)"),
    ),
    "other names": (
        {**DRAWN, "run": other_names},
        ValueError,
        (
            "run must give parameters of the shapes it was given: weight "
            "differ. Yield (loss, params) with all of them."
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_in_a_sentence(name: str, torch: Any) -> None:
    options, kind, sentence = REFUSED[name]
    with pytest.raises(kind) as caught:
        _ = check_training(**options)
    assert str(caught.value) == f"check_training: {sentence}"
