"""Files of every format that weights are found in: all tensors, bit for bit."""

import collections
import copy
import io
import json
import pickle
import sys
import zipfile
from argparse import Namespace
from types import SimpleNamespace

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from flax import nnx
from flax.core import freeze
from safetensors.torch import save_file

import lstm_jax
import parity
from parity.files.read import read
from tests.given import pickled
from tests.given.larger_model import TENSORS, Model
from tests.parity.frameworks.test_convert import assert_same_bits

ALL_TYPES = "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 complex64 "
ALL_TYPES += "complex128 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool"


def same_bits(found, expected):
    """Names, shapes, types and bits, of types that NumPy has not too."""
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype.name == str(tensor.dtype).removeprefix("torch.")
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].tobytes() == bytes(
            tensor.contiguous().view(-1).view(torch.uint8)
        )


def saved(path, value, kind):
    """A file of `value`, in one of torch's two formats or as a plain pickle."""
    if kind == "pickle":
        _ = path.write_bytes(pickle.dumps(value))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=kind == "new")
    return path


@pytest.mark.parametrize("kind", ["new", "old", "pickle"])
def test_tensors_of_every_type_are_read(kind, tmp_path):
    names = ALL_TYPES.split()
    if kind != "new":  # there is no storage of these in torch's old format
        names = [name for name in names if not name.startswith(("float8", "uint"))]
    tensors = {name: torch.arange(6).to(getattr(torch, name)) for name in names}
    same_bits(read(saved(tmp_path / "a", tensors, kind)).tensors, tensors)


@pytest.mark.parametrize("kind", ["new", "old", "pickle"])
def test_views_share_a_storage_and_have_their_own_numbers(kind, tmp_path):
    base = torch.randn(5, 7)
    tensors = {
        "base": base,
        "part": base[1:, 2:5],
        "turned": base.T,
        "every": base[::2, 1::3],
        "flat": base.reshape(-1)[3:8],
        "scalar": base[2, 3],
        "none": base[:0],
    }
    same_bits(read(saved(tmp_path / "a", tensors, kind)).tensors, tensors)


@pytest.mark.parametrize("kind", ["new", "old", "pickle"])
def test_a_training_checkpoint_has_dotted_names(kind, tmp_path):
    model = Model()
    optimizer = torch.optim.Adam(model.parameters())
    loss = torch.stack([parameter.sum() for parameter in model.parameters()]).sum()
    _ = loss.backward()
    _ = optimizer.step()
    checkpoint = {
        "epoch": 3,
        "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"config": Namespace(seed=7), "betas": (0.9, 0.99)},
        "callbacks": {("a", 1): {"best": torch.tensor(0.5)}},
    }
    contents = read(saved(tmp_path / "a.ckpt", checkpoint, kind))
    names = list(contents.tensors)
    assert [f"state_dict.{name}" for name in model.state_dict()] == names[:11]
    assert "optimizer_states.0.state.0.exp_avg" in names
    assert contents.unknown == ("argparse.Namespace",)
    found = parity.find_lstms(contents.tensors)
    assert [one.prefix for one in found] == [
        "state_dict.lstm.",
        "state_dict.model.cell.",
    ]
    assert_same_bits(found[0].params, model.lstm.state_dict())


@pytest.mark.parametrize("kind", ["new", "old", "pickle"])
def test_a_module_pickled_whole_has_the_names_of_its_state_dict(kind, tmp_path):
    model = Model().bfloat16()
    contents = read(saved(tmp_path / "a.pt", model, kind))
    state_dict = model.state_dict()
    same_bits(dict(sorted(contents.tensors.items())), dict(sorted(state_dict.items())))
    assert f"{Model.__module__}.Model" in contents.unknown
    assert "torch.nn.modules.rnn.LSTM" in contents.unknown


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_read_as_an_archive(tmp_path, monkeypatch):
    model = Model()
    path = tmp_path / "a.ts"
    torch.jit.save(torch.jit.script(model.lstm), path)
    monkeypatch.setattr(torch.jit, "load", None)
    monkeypatch.setattr(torch, "load", None)
    contents = read(path)
    assert contents.format.words == "TorchScript"
    (found,) = parity.find_lstms(contents.tensors)
    assert_same_bits(found.params, model.lstm.state_dict())


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickled_numpy_arrays_are_read(protocol, tmp_path):
    path = tmp_path / "a.pkl"
    arrays = {
        "lstm.weight": np.random.default_rng(0).normal(size=(3, 5)),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "half": np.ones(3, ml_dtypes.bfloat16),
        "other": np.arange(3, dtype=">f4"),
        "nested.list.1": np.arange(4),
    }
    tree = {name: arrays[name] for name in list(arrays)[:4]}
    tree |= {"nested": {"list": ["no tensor", arrays["nested.list.1"], {1, "a"}]}}
    _ = path.write_bytes(pickle.dumps(tree, protocol))
    found = read(path).tensors
    assert list(found) == list(arrays)
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype.newbyteorder("=")


def test_pickled_jax_arrays_are_read(tmp_path):
    path = tmp_path / "a.pkl"
    tree = {"params": {"weight_ih_l0": jnp.arange(6.0).reshape(2, 3)}}
    _ = path.write_bytes(pickle.dumps(tree))
    found = parity.read_tensors(path)
    np.testing.assert_array_equal(
        found["params.weight_ih_l0"], np.arange(6.0).reshape(2, 3)
    )


def test_other_objects_of_a_pickle_are_inert(tmp_path):
    path = tmp_path / "a.pkl"
    tree = SimpleNamespace(
        weights=np.ones(2),
        ordered=collections.OrderedDict(a=np.ones(3)),
        counted=collections.Counter("aab"),
        queue=collections.deque([np.ones(4)]),
        method=io.StringIO,
        number=1 + 2j,
    )
    tree.itself = tree
    _ = path.write_bytes(pickle.dumps(tree))
    contents = read(path)
    assert {n: a.shape for n, a in contents.tensors.items()} == {
        "weights": (2,),
        "ordered.a": (3,),
        "queue.0": (4,),
    }
    assert "types.SimpleNamespace" in contents.unknown


def test_keys_that_are_no_text_are_names_too(tmp_path):
    path = tmp_path / "a.pt"
    keys = [7, np.int64(8), 2.5, None, True, b"b", ("a", 1), torch.float32]
    torch.save({key: torch.ones(place + 1) for place, key in enumerate(keys)}, path)
    assert {name: a.shape[0] for name, a in parity.read_tensors(path).items()} == {
        "7": 1,
        "8": 2,
        "2.5": 3,
        "None": 4,
        "True": 5,
        "b": 6,
        "('a', 1)": 7,
        "float32": 8,
    }


def test_what_contains_itself_is_walked_once(tmp_path):
    path = tmp_path / "a.pkl"
    tree: dict = {"x": np.ones(3), "list": []}
    tree["list"] += [tree, np.ones(2)]
    _ = path.write_bytes(pickle.dumps(tree))
    assert list(parity.read_tensors(path)) == ["x", "list.1"]


def test_a_lone_tensor_has_a_name(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.ones(3), path)
    assert list(parity.read_tensors(path)) == ["tensor"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_are_read(save, tmp_path):
    path = tmp_path / "a.npz"
    arrays = {
        "lstm.weight_ih_l0": np.random.default_rng(0).normal(size=(3, 5)),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "other": np.arange(3, dtype=">f4"),
        "none": np.ones((0, 3)),
        "scalar": np.float32(2),
    }
    save(path, **arrays)
    found = parity.read_tensors(path)
    assert list(found) == list(arrays)
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_an_npz_may_be_compressed_as_far_as_its_bound_allows(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, zeros=np.zeros(2**20))
    assert path.stat().st_size < 2**14
    assert parity.read_tensors(path)["zeros"].shape == (2**20,)


def test_what_is_no_tensor_of_numbers_has_a_reason(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, text=np.array(["a"]), objects=np.array([{}, 1]), fine=np.ones(2))
    contents = read(path)
    assert list(contents.tensors) == ["fine"]
    assert contents.unreadable == {
        "text": "an array of <U1, not of numbers",
        "objects": "an array of |O, not of numbers",
    }


@pytest.mark.filterwarnings("ignore")
def test_kinds_of_tensors_that_are_not_read_have_a_reason(tmp_path):
    path = tmp_path / "a.pt"
    tensors = {
        "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.ones(3, device="meta"),
        "conjugated": torch.complex(torch.ones(3), torch.ones(3)).conj(),
        "expanded": torch.ones(1).expand(3),
        "fine": torch.ones(2),
    }
    torch.save(tensors, path)
    contents = read(path)
    assert list(contents.tensors) == ["fine"]
    assert contents.unreadable == {
        "quantised": "a quantised tensor",
        "sparse": "a sparse tensor",
        "meta": "a tensor on `meta`",
        "conjugated": "a conjugated or negated view",
        "expanded": "an expanded tensor, larger than its storage",
    }


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_model_in_several_files_is_read_by_its_index(kind, tmp_path):
    places = {}
    for part, name in enumerate(TENSORS):
        places[name] = f"part-{part % 3}.{kind}"
    for place in set(places.values()):
        held = {n: TENSORS[n] for n in TENSORS if places[n] == place}
        save = save_file if kind == "safetensors" else torch.save
        save(held, tmp_path / place)
    path = tmp_path / f"model.{kind}.index.json"
    _ = path.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert_same_bits(parity.read_tensors(path), dict(TENSORS))


def other_order(path):
    """The archive as a machine of the other order of bytes writes it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    other = "big" if sys.byteorder == "little" else "little"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            numbers = np.frombuffer(data, np.uint8).reshape(
                -1, 4 if "/data/" in name else 1
            )
            turned = numbers[:, ::-1].tobytes()
            archive.writestr(name, other if name.endswith("byteorder") else turned)


def test_a_torch_file_of_the_other_order_of_bytes_is_read(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(TENSORS, path)
    other_order(path)
    assert_same_bits(parity.read_tensors(path), dict(TENSORS))


def test_what_is_read_is_a_copy_that_needs_no_file(tmp_path):
    path = tmp_path / "a.safetensors"
    parity.write_tensors({"x": np.arange(3.0)}, path)
    found = parity.read_tensors(path)
    _ = path.write_bytes(b"")
    found["x"] += 1
    np.testing.assert_array_equal(found["x"], [1, 2, 3])


def test_a_state_dict_is_not_changed_by_the_file_of_another(tmp_path):
    tensors = copy.deepcopy(TENSORS)
    parity.write_tensors(tensors, tmp_path / "a.safetensors")
    assert_same_bits(dict(tensors), dict(TENSORS))


class Net(nnx.Module):
    """LSTMs of ours in a list, in a dictionary with numbers, and beside them."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.lstm = lstm_jax.LSTM(3, 2, rngs=rngs)
        self.layers = nnx.List([lstm_jax.LSTM(3, 2, rngs=rngs)])
        self.named = nnx.Dict({"a": nnx.Linear(2, 2, rngs=rngs)})


PICKLED = {
    "state": nnx.state,
    "module": lambda net: net,
    "plain state": lambda net: nnx.to_pure_dict(nnx.state(net)),
    "frozen": lambda net: freeze(nnx.to_pure_dict(nnx.state(net))),
}


@pytest.mark.parametrize("kind", PICKLED)
def test_a_pickled_module_of_nnx_has_the_names_of_its_leaves(kind, tmp_path):
    net, path = Net(), tmp_path / "a.pkl"
    _ = path.write_bytes(pickle.dumps(PICKLED[kind](net)))
    contents = read(path)
    lstms = parity.find_lstms(contents.tensors)
    assert [found.prefix for found in lstms] == ["layers.0.", "lstm."]
    assert_same_bits(
        dict(sorted(lstms[1].params.items())), dict(sorted(net.lstm.params().items()))
    )
    assert "named.a.kernel" in contents.tensors


def test_a_variable_that_holds_itself_is_harmless(tmp_path):
    held = (
        pickled.named("flax.nnx.variablelib.Param") + b")\x81q\x50}(X\x0a\x00\x00\x00"
    )
    held += b"_raw_valueh\x50ub"
    path = tmp_path / "a.pkl"
    _ = path.write_bytes(pickled.with_lstm(held))
    assert len(parity.read_tensors(path)) == 2
