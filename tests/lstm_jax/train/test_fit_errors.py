"""What `fit` refuses, in one sentence with a cure."""

from typing import Any

import numpy as np
import optax
import pytest

from lstm_jax.train import Arrays, fit
from tests.given.training import RUN, TRAIN, VALID, Line, model, trained
from tests.given.wrong import assert_raises

pytestmark = pytest.mark.usefixtures("no_jaxtyping", "unoptimised")

XS, YS = TRAIN.xs, TRAIN.ys
NONE = np.zeros_like(YS)


def given(rows: Any, **options: Any) -> Any:
    return lambda: fit(Line(), rows, **(RUN | options))


class Unknown:
    def __iter__(self) -> Any:
        return iter([TRAIN.take(np.arange(5))])


NUMBERS = [
    ({"batch": 0}, "batch=0 must be a whole number from 1 up. Use batch=1 or more."),
    ({"seed": -1}, "seed=-1 must be a whole number from 0 up. Use seed=0 or more."),
    (
        {"epochs": 1.5},
        "epochs=1.5 must be a whole number from 1 up. Use epochs=1 or more.",
    ),
    (
        {"steps": 0},
        "steps=0 must be a whole number from 1 up, or None. Use steps=1 or more.",
    ),
    (
        {"patience": True},
        (
            "patience=True must be a whole number from 1 up, or None. Use "
            "patience=1 or more."
        ),
    ),
    ({"clip": 0}, "clip=0 must be above 0, or None. Use clip=1.0."),
    ({"minutes": -1}, "minutes=-1 must be above 0, or None. Use minutes=10."),
    ({"rate": None}, "rate=None must be above 0. Use rate=0.001."),
]
ROWS = [
    (
        given((XS,)),
        ValueError,
        (
            "data must be (xs, ys), (xs, ys, weights) or (xs, ys, weights, "
            "lengths): it has 1 parts. Use data=(xs, ys)."
        ),
    ),
    (
        given((XS, YS[:5])),
        ValueError,
        (
            "data must have as many samples in each array: their first axes are "
            "[23, 5]. Give each sequence of xs its row of ys."
        ),
    ),
    (
        given(TRAIN, validation=(XS[:0], YS[:0])),
        ValueError,
        (
            "validation must have a sample: it is empty. Use more rows, or smaller "
            "windows."
        ),
    ),
    (
        given(5),
        TypeError,
        "data must be arrays, rows or batches, not int. Use data=(xs, ys).",
    ),
    (
        given([(XS, YS), (XS, YS)]),
        TypeError,
        (
            "data must give batches, each a Batch: it gives a tuple. Use "
            "data=[Batch(xs, ys), ...], or arrays data=(xs, ys)."
        ),
    ),
    (
        given({"xs": XS, "ys": YS}),
        TypeError,
        (
            "data must give batches, each a Batch: it gives a str. Use "
            "data=[Batch(xs, ys), ...], or arrays data=(xs, ys)."
        ),
    ),
    (
        given((XS, YS, -np.ones(23))),
        ValueError,
        (
            "data must have weights of 0 or more: its least is -1.0. Use 0 for targets "
            "to leave out."
        ),
    ),
    (
        given(TRAIN, validation=Arrays(XS, YS[:5])),
        ValueError,
        (
            "validation must have as many samples in each array: their first axes are "
            "[23, 5]. Give each sequence of xs its row of ys."
        ),
    ),
    (
        lambda: fit("model", TRAIN),  # pyright: ignore[reportArgumentType]
        TypeError,
        "model must be a flax.nnx.Module, not str. Use an LSTMModel.",
    ),
    (
        given(TRAIN, optimizer=optax.adam),
        TypeError,
        (
            "optimizer must be one of optax, not function: it has no `init`. Use "
            "optimizer=optax.adam(1e-3)."
        ),
    ),
    (
        given(TRAIN, optimizer="adam"),
        TypeError,
        (
            "optimizer must be one of optax, not str: it has no `init`. Use "
            "optimizer=optax.adam(1e-3)."
        ),
    ),
    (
        given(XS),
        TypeError,
        "data must be arrays, rows or batches, not ndarray. Use data=(xs, ys).",
    ),
    (
        given(iter([TRAIN.take(np.arange(5))])),
        TypeError,
        (
            "data must give its batches anew at each pass: an iterator is used up"
            " after one. Use a list, or a class with __iter__."
        ),
    ),
    (
        given([]),
        ValueError,
        "data must give a batch: it is empty. Use more samples.",
    ),
    (
        given(Unknown()),
        ValueError,
        (
            "steps=None must be a number: `data` has no length, and the rate "
            "falls to 0 over the steps. Use steps=1000, or an `optimizer`."
        ),
    ),
    (
        given(Arrays(XS, YS, NONE)),
        ValueError,
        (
            "data must have a known target: every weight is 0. Use 1 for the "
            "targets that are known."
        ),
    ),
    (
        given(TRAIN, validation=Arrays(XS, YS, NONE)),
        ValueError,
        (
            "validation must have a known target: every weight is 0. Use 1 for "
            "the targets that are known."
        ),
    ),
    (
        given(Arrays(XS, YS, None, np.full(23, 3))),
        TypeError,
        (
            "model must take `lengths`: `data` has them. Add the argument to its "
            "__call__, or leave the lengths out."
        ),
    ),
    (
        given(TRAIN, loss="mse"),
        ValueError,
        (
            "loss='mse' must be 'squared_error' or 'cross_entropy', or a function"
            " of predictions and targets. Use loss='squared_error', or "
            "loss=pinball((0.1, 0.5, 0.9))."
        ),
    ),
    (
        lambda: fit(model(), TRAIN, trainable=("fc", "head")),
        ValueError,
        (
            "trainable=('fc', 'head') must be beginnings of names of parameters: "
            "fc.bias, fc.weight, lstm.bias_hh_l0, lstm.bias_ih_l0, "
            "lstm.weight_hh_l0, lstm.weight_ih_l0. Use trainable='lstm', or None "
            "for all."
        ),
    ),
    (
        given(Arrays(XS, YS * np.nan)),
        ValueError,
        (
            "the loss of step 1 must be a number, not nan: the run ends there. "
            "Use a smaller `rate` or `clip`, inputs of about unit size without "
            "NaN, and weight 0 for targets that are not known."
        ),
    ),
    (
        given(TRAIN, validation=Arrays(VALID.xs * np.inf, VALID.ys)),
        ValueError,
        (
            "the validation loss after step 5 must be a number, not nan: the run "
            "ends there. Use a smaller `rate` or `clip`, inputs of about unit size "
            "without NaN, and weight 0 for targets that are not known."
        ),
    ),
]


@pytest.mark.parametrize(("options", "message"), NUMBERS)
def test_numbers(options: dict[str, Any], message: str) -> None:
    assert_raises((lambda: trained(**options), ValueError, f"fit: {message}"))


@pytest.mark.parametrize(("call", "error", "message"), ROWS)
def test_rows(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        _ = call()
    assert str(caught.value) == f"fit: {message}"


def test_the_cures_work() -> None:
    _ = fit(Line(), Unknown(), steps=10)
    _ = fit(Line(), Unknown(), optimizer=optax.sgd(0.1), epochs=2)
    _ = trained(steps=1)
