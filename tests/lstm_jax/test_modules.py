"""What a module shows of itself, and what a star import brings."""

import importlib
import inspect
from typing import Any

import pytest
from flax import nnx

import lstm_jax
from lstm_jax import LSTM, LSTMCell, LSTMModel
from tests.given.inputs import H, I, P


def test_a_module_prints_as_one_line_that_makes_it() -> None:
    rngs = nnx.Rngs(0)
    made = [
        LSTM(I, H, 4, bidirectional=True, dtype="bfloat16", rngs=rngs),
        LSTM(I, H, dropout=0.5, proj_size=P, remat="sqrt", rngs=rngs),
        LSTMCell(I, H, False, rngs=rngs),
        LSTMModel(I, H, 1, 2, dropout=0.1, deterministic=True, rngs=rngs),
    ]
    expected = [
        (
            "LSTM(input_size=5, hidden_size=4, num_layers=4, bidirectional=True, "
            "dtype='bfloat16')"
        ),
        "LSTM(input_size=5, hidden_size=4, proj_size=2, dropout=0.5, remat='sqrt')",
        "LSTMCell(input_size=5, hidden_size=4, bias=False)",
        (
            "LSTMModel(input_size=5, hidden_size=4, output_size=1, num_layers=2, "
            "dropout=0.1, deterministic=True)"
        ),
    ]
    assert [repr(module) for module in made] == expected
    assert [str(module) for module in made] == expected
    for module, text in zip(made, expected, strict=True):
        again = eval(text.replace(")", ", rngs=rngs)"))
        assert again.shapes() == module.shapes()
        assert repr(again) == text


def test_the_sizes_of_a_model_and_a_cell_are_attributes() -> None:
    model = LSTMModel(I, H, 2, 3, dropout=0.5, bidirectional=True, rngs=nnx.Rngs(0))
    assert (model.input_size, model.hidden_size, model.output_size) == (I, H, 2)
    assert (model.num_layers, model.bidirectional, model.proj_size) == (3, True, 0)
    assert (model.bias, model.dropout) == (True, 0.5)
    cell = LSTMCell(I, H, False, rngs=nnx.Rngs(0))
    assert (cell.input_size, cell.hidden_size, cell.bias) == (I, H, False)


class Subclass(LSTM):
    """A stack whose constructor has other arguments."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(I, H, 2, rngs=rngs)


def test_a_subclass_prints_as_its_parent_under_its_own_name() -> None:
    found = repr(Subclass(nnx.Rngs(0)))
    assert found == "Subclass(input_size=5, hidden_size=4, num_layers=2)"


@pytest.mark.parametrize("name", ["", ".backends", ".linen", ".nnx"])
def test_a_star_import_brings_no_module_and_all_that_is_public(name: str) -> None:
    package = importlib.import_module(f"lstm_jax{name}")
    found: dict[str, Any] = {"nnx": nnx, "linen": "mine", "params": "mine"}
    exec(f"from lstm_jax{name} import *", found)
    assert (found["nnx"], found["linen"], found["params"]) == (nnx, "mine", "mine")
    brought = {key: found[key] for key in package.__all__}
    assert not any(inspect.ismodule(value) for value in brought.values())
    assert set(package.__all__) <= set(vars(package))


def test_a_star_import_brings_every_public_function_and_class() -> None:
    public = {
        key
        for key, value in vars(lstm_jax).items()
        if not key.startswith("_") and not inspect.ismodule(value)
    }
    assert set(lstm_jax.__all__) == public
