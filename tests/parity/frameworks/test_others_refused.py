"""What Haiku's, Equinox's, MLX's and cuDNN's functions refuse, each message whole."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax
import parity
from parity.frameworks.kinds import equinox, mlx

LINEAR = {"w": jnp.ones((7, 16)), "b": jnp.ones(16)}
OF_HAIKU = (
    "from_haiku: the parameters of hk.LSTM must be b of (4H,) and w of (I + H, 4H), "
    "not {}: it has one kernel. Give those of an hk.LSTM."
)
OF_MLX = (
    "from_mlx: the parameters of mlx.nn.LSTM must be Wx, Wh and bias, or Wx and Wh, "
    "not {}: it has no others. Give those of an mlx.nn.LSTM."
)
DIRECTIONS = (
    "from_haiku: source must be a layer, a pair of its directions, or a list of "
    "either, not {}: every layer has as many directions. Give a list of layers, or one "
    "of pairs (forward, reverse)."
)
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: parity.from_cudnn(np.ones(143, np.float32), 3, 4),
        ValueError,
        (
            "from_cudnn: weights.shape=(143,) must be (144,): the sizes ask for that "
            "many. Give the sizes that the weights were made with."
        ),
    ),
    (
        lambda: parity.from_haiku({"lstm/linear": LINEAR, "lstm_1/linear": LINEAR}),
        ValueError,
        (
            "from_haiku: source must be the parameters of one hk.LSTM, not "
            "'lstm/linear', 'lstm_1/linear': each is a layer or a direction. Give a "
            "list of layers, such as [params['lstm/linear'], params['lstm_1/linear']]."
        ),
    ),
    (
        lambda: parity.from_haiku({**LINEAR, "w": jnp.ones((4, 16))}),
        ValueError,
        OF_HAIKU.format({"b": (16,), "w": (4, 16)}),
    ),
    (
        lambda: parity.from_haiku({"b": jnp.ones(16)}),
        ValueError,
        OF_HAIKU.format({"b": (16,)}),
    ),
    (
        lambda: parity.from_haiku(3),
        TypeError,
        (
            "from_haiku: source must be the parameters of hk.LSTM, a pair or a list of "
            "them, not int: nothing else is read as an LSTM. Give the LSTM of the "
            "model."
        ),
    ),
    (lambda: parity.from_haiku([]), ValueError, DIRECTIONS.format("an empty list")),
    (
        lambda: parity.from_haiku([LINEAR, (LINEAR, LINEAR)]),
        ValueError,
        DIRECTIONS.format("layers with 1, 2 directions"),
    ),
    (
        lambda: parity.from_equinox(lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0))),
        TypeError,
        (
            "from_equinox: source must be eqx.nn.LSTMCell, a pair or a list of them, "
            "not LSTM: it is ours already. Use it as it is."
        ),
    ),
    (
        lambda: parity.from_mlx({"Wx": jnp.ones((16, 3))}),
        ValueError,
        OF_MLX.format("Wx"),
    ),
    (lambda: parity.from_mlx({}), ValueError, OF_MLX.format("none")),
    (
        lambda: parity.from_mlx("model.npz"),
        TypeError,
        (
            "from_mlx: source must be mlx.nn.LSTM, a pair or a list of them, or their "
            "parameters(), not str: nothing else is read as an LSTM. Give the LSTM of "
            "the model."
        ),
    ),
]


@pytest.mark.parametrize(
    ("call", "kind", "message"), REFUSED, ids=[row[2][:60] for row in REFUSED]
)
def test_what_is_no_lstm_is_refused(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind) as caught:
        _ = call()
    assert str(caught.value) == message


def test_a_module_of_torch_is_sent_to_from_torch(torch: Any) -> None:
    with pytest.raises(TypeError) as caught:
        _ = parity.from_equinox(torch.nn.LSTMCell(3, 4))
    assert str(caught.value) == (
        "from_equinox: source must be eqx.nn.LSTMCell, a pair or a list of them, not "
        "LSTMCell: it is torch's. Use parity.from_torch(module)."
    )


WRITERS = {
    "haiku": parity.to_haiku,
    "equinox": parity.to_equinox,
    "mlx": parity.to_mlx,
    "cudnn": parity.to_cudnn,
}
NAMES = {
    "haiku": "Haiku",
    "equinox": "Equinox",
    "mlx": "MLX",
    "cudnn": "jax.experimental.rnn",
}


@pytest.mark.parametrize("target", ["haiku", "cudnn"])
def test_dropout_and_a_type_are_lost_only_where_it_is_allowed(target: str) -> None:
    write, name = WRITERS[target], NAMES[target]
    deep = lstm_jax.LSTM(3, 4, 2, dropout=0.5, dtype="bfloat16", rngs=nnx.Rngs(0))
    with pytest.raises(NotImplementedError) as caught:
        _ = write(deep)
    assert str(caught.value) == (
        f"to_{target}: {name} has no dropout between the layers of an LSTM. Use "
        "allow='dropout' to convert without it."
    )
    with pytest.raises(NotImplementedError) as caught:
        _ = write(deep, allow="dropout")
    assert str(caught.value) == (
        f"to_{target}: {name} multiplies in the type of its weights and inputs. Use "
        "allow='dtype' to convert without it."
    )
    written = write(deep, allow=("dropout", "dtype"))
    assert jax.tree.leaves(written)


@pytest.mark.parametrize(("name", "module"), [("equinox", equinox), ("mlx", mlx)])
def test_a_library_that_is_not_there_is_named(
    name: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = module.LIBRARY._replace(module="not_there")
    monkeypatch.setattr(module, "LIBRARY", absent)
    with pytest.raises(ModuleNotFoundError) as caught:
        _ = WRITERS[name](lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0)))
    package = {"equinox": "not_there", "mlx": "'lstm-jax[mlx]'"}[name]
    assert str(caught.value) == (
        f"to_{name}: not_there is not installed: pip install {package}"
    )


@pytest.mark.slow
def test_mlx_is_given_no_float64() -> None:
    params = {
        name: np.asarray(array, np.float64)
        for name, array in lstm_jax.init_params(jax.random.key(0), 3, 4).items()
    }
    with jax.enable_x64(True), pytest.raises(ValueError, match="float64") as caught:
        _ = parity.to_mlx(params)
    assert str(caught.value) == (
        "to_mlx: weights must have at most 32 bits, not float64: MLX would round them. "
        "Convert them to float32 first."
    )
