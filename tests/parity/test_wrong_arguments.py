"""Wrong arguments of Python's functions: one sentence each, and its cure works."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import lstm_jax
import parity

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
LSTM = torch.nn.LSTM(3, 2)
NO_TEXT: Any = 3
NOTHING: Any = None
PACKED = torch.nn.utils.rnn.pack_padded_sequence(torch.ones(4, 2, 3), [4, 3])


class Twice(torch.nn.LSTM):
    """Torch's weights, and another function of them."""

    def forward(self, input, hx=None):
        ys, state = super().forward(input, hx)
        return 2 * ys, state


class Named(torch.nn.LSTM):
    """A subclass that computes what torch does."""


class Net(nnx.Module):
    """A module of Flax with an LSTM in it."""

    def __init__(self):
        self.encoder = lstm_jax.LSTM(3, 2, rngs=nnx.Rngs(0))


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(LSTM)


def check(**options):
    return parity.check(LSTM, steps=2, batch=1, **options)


# What is called, and the sentence.
REFUSED = {
    "own forward": (
        lambda _: parity.from_torch(Twice(3, 2)),
        (
            "from_torch: module must run LSTM's own forward: Twice has another, which "
            "is no weight. Use from_torch(module.state_dict()) for its weights alone."
        ),
    ),
    "own forward, checked": (
        lambda _: parity.check(Twice(3, 2)),
        (
            "check: module must run LSTM's own forward: Twice has another, which is no "
            "weight. Use check(module.state_dict()) for its weights alone."
        ),
    ),
    "other sizes": (
        lambda _: check(params=lstm_jax.init_params(jax.random.key(0), 3, 4)),
        (
            "check: hidden_size=4 of params must be hidden_size=2: these are the sizes "
            "of module. Give weights that were made of its own."
        ),
    ),
    "whole numbers": (
        lambda _: check(xs=np.ones((4, 2, 3), np.int32)),
        (
            "check: xs.dtype=int32 must be a floating type: the equations are real. "
            "Use xs.astype('float32')."
        ),
    ),
    "packed": (
        lambda _: check(xs=PACKED),
        (
            "check: xs must be an array (T, *B, 3), not PackedSequence: it is given to "
            "both. Use torch.nn.utils.rnn.pad_packed_sequence(xs)[0]."
        ),
    ),
    "device": (
        lambda _: check(device="tpu"),
        (
            "check: device='tpu' must be a device, or a kind that jax has here: it has "
            "cpu. Use one of these."
        ),
    ),
    "precision": (
        lambda _: check(precision="exact"),
        (
            "check: precision='exact' must be one that jax knows: its products run in "
            "it. Use 'highest', 'high' or 'default'."
        ),
    ),
    "lengths": (
        lambda _: check(lengths=np.ones(3, int)),
        (
            "check: lengths must be True or False, not ndarray: the masks are drawn. "
            "Use lengths=True."
        ),
    ),
    "empty": (
        lambda _: parity.from_torch({}),
        (
            "from_torch: prefix='' must be where a part of the state dict starts: it "
            "has nothing. Give one with weights."
        ),
    ),
    "scripted": (
        lambda _: parity.from_torch(scripted()),
        (
            "from_torch: source must be a module that is not scripted: what a scripted "
            "one runs is in its code. Use its state_dict()."
        ),
    ),
    "net, found": (
        lambda _: parity.find_lstms(Net()),
        (
            "find_lstms: source must be a module of torch, or a mapping of names to "
            "arrays, not Net: weights are read from it. Use flax.nnx.state(module)."
        ),
    ),
    "net, written": (
        lambda path: parity.write_tensors(Net(), path),
        (
            "write_tensors: source must be a mapping of names to arrays, or a module, "
            "not Net: each array is written under its name. Use "
            "flax.nnx.state(module)."
        ),
    ),
    "no path": (
        lambda _: parity.write_tensors({}, NOTHING),
        (
            "write_tensors: path must be the path of a file, not NoneType: it is "
            "written beside its place, then renamed. Give one that ends in "
            ".safetensors."
        ),
    ),
    "variables": (
        lambda _: parity.to_torch({"params": {"x": jnp.ones(2)}}),
        (
            "to_torch: params must be a tensor, not dict: every parameter is one. Give "
            "the mapping under 'params'."
        ),
    ),
    "key": (
        lambda _: parity.to_torch({"x": jax.random.key(0)}),
        (
            "to_torch: x must be an array of numbers, not of the type key<fry>: they "
            "are copied. Use jax.random.key_data for a key."
        ),
    ),
    "objects": (
        lambda path: parity.write_tensors({"x": np.array([None])}, path),
        (
            "write_tensors: x must be an array of numbers, not of the type object: "
            "they are copied. Leave it out."
        ),
    ),
    "prefix": (
        lambda _: parity.from_torch(LSTM, prefix=NO_TEXT),
        (
            "from_torch: prefix must be a text, not int: it is the start of names. Use "
            "'3'."
        ),
    ),
    "prefix of a state dict": (
        lambda _: parity.from_torch(LSTM.state_dict(), prefix=NOTHING),
        (
            "from_torch: prefix must be a text, not NoneType: it is the start of "
            "names. Leave it out."
        ),
    ),
    "prefix, found": (
        lambda _: parity.find_lstms(LSTM, prefix=NO_TEXT),
        (
            "find_lstms: prefix must be a text, not int: it is the start of names. Use "
            "'3'."
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_argument_is_one_sentence(name, tmp_path):
    call, sentence = REFUSED[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        call(tmp_path / "a.safetensors")
    assert str(caught.value) == sentence
    assert list(tmp_path.iterdir()) == []


def test_what_the_sentences_advise_works(tmp_path):
    path = tmp_path / "a.safetensors"
    assert parity.find_lstms(nnx.state(Net()))[0].prefix == "encoder."
    parity.write_tensors(nnx.state(Net()), path)
    assert parity.find_lstms(path)[0].prefix == "encoder."
    assert sorted(parity.from_torch(scripted().state_dict())) == sorted(
        LSTM.state_dict()
    )
    xs = torch.nn.utils.rnn.pad_packed_sequence(PACKED)[0]
    assert parity.check(Twice(3, 2).state_dict(), xs=xs, device="cpu").ok


def test_a_subclass_that_runs_torchs_forward_is_an_lstm():
    assert parity.from_torch(Named(3, 2)).spec.hidden_size == 2
