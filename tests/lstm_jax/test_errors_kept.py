"""Weights that a module keeps: their types, their names, and where they are written."""

import json
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.flax import load_file
from safetensors.numpy import save_file

import lstm_jax
import parity
from lstm_jax import LSTM, LSTMCell, LSTMModel, linen

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
MODULES = {
    "LSTM": LSTM(3, 2, rngs=nnx.Rngs(0)),
    "LSTMCell": LSTMCell(3, 2, rngs=nnx.Rngs(0)),
    "LSTMModel": LSTMModel(3, 2, 4, rngs=nnx.Rngs(0)),
}
PARAMS = MODULES["LSTM"].params()
CELL = MODULES["LSTMCell"].params()
XS = jnp.ones((4, 5, 3))


def wide(params):
    return {name: np.asarray(array, np.float64) for name, array in params.items()}


def message(error, call, *arguments, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    return str(caught.value)


def rounded(where, name):
    return (
        f"{where}: {name}.dtype=float64 must have at most 32 bits: jax_enable_x64 is "
        "off and JAX would round it. Use jax.config.update('jax_enable_x64', True), or "
        ".astype('float32') on each array."
    )


@pytest.mark.parametrize("kind", MODULES)
def test_a_module_rounds_no_weight_without_a_word(kind):
    module = MODULES[kind]
    params = wide(module.params())
    first = next(iter(params))
    for where in (f"{kind}.from_params", f"{kind}.load_params"):
        method = getattr(module, where.partition(".")[2])
        assert message(ValueError, method, params) == rounded(where, first)
    with jax.enable_x64(True):
        assert type(module).from_params(params).dtype_of_params() == np.float64
    narrow = {name: array.astype("float32") for name, array in params.items()}
    assert type(module).from_params(narrow).dtype_of_params() == np.float32


@pytest.mark.parametrize("kind", ["LSTM", "LSTMCell"])
def test_a_linen_module_has_the_type_of_its_weights(kind):
    params = wide(MODULES[kind].params())
    where = f"linen.{kind}.from_params"
    said = message(ValueError, getattr(linen, kind).from_params, params)
    assert said == rounded(where, next(iter(params)))


def test_torchs_weights_are_not_rounded_either(torch):
    state_dict = torch.nn.LSTM(3, 2, dtype=torch.float64).state_dict()
    said = message(ValueError, LSTM.from_params, state_dict)
    assert said == rounded("LSTM.from_params", "weight_ih_l0")


def test_a_call_takes_arrays_as_jax_does():
    ys, _ = lstm_jax.lstm(wide(PARAMS), XS)
    np.testing.assert_array_equal(ys, lstm_jax.lstm(PARAMS, XS)[0])


def test_weights_in_a_file_are_not_rounded(tmp_path):
    with jax.enable_x64(True):
        LSTM.from_params(wide(PARAMS)).save_pretrained(tmp_path / "a")
        assert LSTM.from_pretrained(tmp_path / "a").dtype_of_params() == np.float64
    path = str(tmp_path / "a" / "model.safetensors")
    for cls, where in ((LSTM, "LSTM"), (linen.LSTM, "linen.LSTM")):
        said = message(ValueError, cls.from_pretrained, tmp_path / "a")
        assert re.fullmatch(
            rf"{where}\.from_pretrained: \w+ of {re.escape(repr(path))} must have at "
            r"most 32 bits: jax_enable_x64 is off and JAX would round it\. Use "
            r"jax\.config\.update\('jax_enable_x64', True\)\.",
            said,
        )


def test_weights_of_another_program_stay(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"x": np.ones(3, np.float32)}, file)
    before = file.read_bytes()
    assert message(ValueError, MODULES["LSTM"].save_pretrained, tmp_path) == (
        f"LSTM.save_pretrained: path={str(tmp_path)!r} must hold no model.safetensors "
        "of another program: there is no config.json beside it, and it would be "
        "overwritten. Use another folder."
    )
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_an_empty_path_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(ValueError, MODULES["LSTM"].save_pretrained, "") == (
        "LSTM.save_pretrained: path='' must be a folder, or a file that ends in "
        ".safetensors: it is empty. Use '.' for the working directory."
    )
    assert list(tmp_path.iterdir()) == []
    MODULES["LSTM"].save_pretrained(".")
    assert json.loads((tmp_path / "config.json").read_text())["class"] == "LSTM"


def test_a_file_is_made_with_its_folder(tmp_path):
    path = tmp_path / "new" / "lstm.SAFETENSORS"
    MODULES["LSTM"].save_pretrained(path)
    assert path.is_file()
    assert LSTM.from_pretrained(path).spec == MODULES["LSTM"].spec


def test_weights_without_a_config_are_given_to_from_params(tmp_path):
    MODULES["LSTM"].save_pretrained(tmp_path / "a")
    config = tmp_path / "a" / "config.json"
    config.unlink()
    assert message(FileNotFoundError, LSTM.from_pretrained, tmp_path / "a") == (
        f"LSTM.from_pretrained: {str(config)!r} must be there: a module is a folder "
        "with config.json and model.safetensors, or one .safetensors file. Use "
        "from_params on what safetensors.flax.load_file returns of model.safetensors."
    )
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert LSTM.from_params(weights).spec == MODULES["LSTM"].spec


WRONG_KEYS = {
    "an LSTM's, to a model": (
        LSTMModel.from_params,
        PARAMS,
        (
            "LSTMModel.from_params: missing 'fc.bias', 'fc.weight'; not used: "
            "'bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0'. Give the keys "
            "of one LSTMModel, no more and no less."
        ),
    ),
    "a cell's, to an LSTM": (
        LSTM.from_params,
        CELL,
        (
            "LSTM.from_params: missing 'weight_hh_l0', 'weight_ih_l0'; not used: "
            "'bias_hh', 'bias_ih', 'weight_hh', 'weight_ih'. Use LSTMCell for the "
            "weights of a cell."
        ),
    ),
}


@pytest.mark.parametrize("old", [False, True])
def test_weights_in_parts_are_made_one_first(torch, old):
    from torch.nn.utils import parametrizations, weight_norm

    norm = weight_norm if old else parametrizations.weight_norm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state_dict = norm(torch.nn.LSTM(3, 2), "weight_hh_l0").state_dict()
    parts = sorted(state_dict.keys() - PARAMS.keys())
    assert message(ValueError, LSTM.from_params, state_dict) == (
        "LSTM.from_params: missing 'weight_hh_l0'; not used: "
        f"{parts[0]!r}, {parts[1]!r}. Some weights are stored in parts: use "
        "parity.find_lstms(state_dict)[0].params, or parity.from_torch(state_dict)."
    )
    found = parity.find_lstms(state_dict)[0].params
    for params in (found, parity.from_torch(state_dict)):
        assert LSTM.from_params(params).spec == MODULES["LSTM"].spec


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_wrong_keys_are_told_whose_they_are(name):
    call, params, sentence = WRONG_KEYS[name]
    assert message(ValueError, call, params) == sentence


class PackedSequence:
    """What torch calls so: this package does not import torch."""


WRONG_CALLS = {
    "packed": (
        lambda: MODULES["LSTM"](PackedSequence()),
        (
            "lstm: xs must be an array, not PackedSequence: it enters the equations. "
            "Use torch.nn.utils.rnn.pad_packed_sequence, for xs and lengths."
        ),
    ),
    "one length": (
        lambda: MODULES["LSTM"](XS, lengths=3),
        (
            "lstm: lengths must be an array (5,), not int: each sequence has its own. "
            "Use jax.numpy.full((5,), 3)."
        ),
    ),
    "unbound": (
        lambda: linen.LSTM(3, 2)(XS),
        (
            "linen.LSTM: the module must be bound to its variables: a linen module "
            "holds none itself. Use module.apply(variables, ...), with variables = "
            "module.init(key, ...)."
        ),
    ),
    "unbound cell": (
        lambda: linen.LSTMCell(3, 2).step(XS[0]),
        (
            "linen.LSTMCell: the module must be bound to its variables: a linen module "
            "holds none itself. Use module.apply(variables, ...), with variables = "
            "module.init(key, ...)."
        ),
    ),
    "dropout": (
        lambda: linen.LSTM(3, 2, 2, dropout=2.0).init(
            jax.random.key(0), XS, deterministic=True
        ),
        (
            "linen.LSTM: dropout=2.0 must be a number within 0 and 1: it is the "
            "probability that an element is zeroed. Use 0.0 for none."
        ),
    ),
    "dropout, saved": (
        lambda: linen.LSTM(3, 2, dropout=2.0).save_pretrained("a", {"params": PARAMS}),
        (
            "linen.LSTM.save_pretrained: dropout=2.0 must be a number within 0 and 1: "
            "it is the probability that an element is zeroed. Use 0.0 for none."
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, sentence = WRONG_CALLS[name]
    assert message((TypeError, ValueError), call) == sentence
    assert list(tmp_path.iterdir()) == []


def test_a_packed_sequence_of_torch_is_one_that_is_padded(torch):
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(torch.ones(4, 2, 3), [4, 3])
    xs, lengths = rnn.pad_packed_sequence(packed)
    assert MODULES["LSTM"](xs, lengths=lengths)[0].shape == (4, 2, 2)
