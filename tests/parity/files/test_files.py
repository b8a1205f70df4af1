"""Files: safetensors without torch, torch state dicts, and what can be wrong."""

import gzip
import io
import os
import pickle
from typing import Any

import jax
import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.files.formats import names_read, one_of
from parity.files.kinds import safetensors
from tests.parity.frameworks.test_convert import assert_same_bits

MODULE = torch.nn.LSTM(5, 4, 2, bidirectional=True, proj_size=2)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str
)
def test_safetensors_are_written_and_read_bit_for_bit(dtype, tmp_path):
    path = tmp_path / "lstm.safetensors"
    tensors = {name: a.to(dtype) for name, a in MODULE.state_dict().items()}
    parity.write_tensors(tensors, path)
    found = parity.read_tensors(path)
    assert_same_bits(dict(sorted(found.items())), dict(sorted(tensors.items())))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_jax_writes_what_torch_reads_and_the_other_way(tmp_path):
    from safetensors.flax import load_file
    from safetensors.torch import load_file as load_torch, save_file

    path = tmp_path / "lstm.safetensors"
    params = lstm_jax.init_params(jax.random.key(0), 5, 4, dtype="bfloat16")
    parity.write_tensors(params, path)
    module = torch.nn.LSTM(5, 4).bfloat16()
    keys = module.load_state_dict(load_torch(path))
    assert not keys.missing_keys
    save_file(module.state_dict(), path)
    ys, _ = lstm_jax.lstm(load_file(path), np.ones((7, 3, 5), np.float32))
    expected, _ = lstm_jax.lstm(params, np.ones((7, 3, 5), np.float32))
    np.testing.assert_array_equal(ys, expected)


def test_a_failed_write_leaves_the_old_file(tmp_path, no_jaxtyping):
    path = tmp_path / "lstm.safetensors"
    parity.write_tensors({"x": np.ones(3)}, path)
    with pytest.raises(TypeError):
        parity.write_tensors({"x": np.ones(3), "y": "no"}, path)
    assert list(parity.read_tensors(path)) == ["x"]
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


class Evil:
    """Pickles as a call."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file was run')",))


def write(path, kind):
    """A file with one thing wrong."""
    if kind == "empty":
        path.touch()
    elif kind == "garbage":
        _ = path.write_bytes(b"\xff" * 64)
    elif kind == "code":
        _ = path.write_bytes(pickle.dumps({"x": Evil()}, protocol=2))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "gzip":
        _ = path.write_bytes(gzip.compress(b"x"))
    elif kind == "cut":
        whole = path.with_name(f"whole{path.suffix}")
        parity.write_tensors({"x": np.ones(64)}, whole)
        _ = path.write_bytes(whole.read_bytes()[:-9])
    elif kind == "directory":
        path.mkdir()
    return path


BAD = {
    ("a.safetensors", "missing"): (
        FileNotFoundError,
        "{}: there is no such file. Check the path; quote it if it has spaces.",
    ),
    ("a.safetensors", "directory"): (
        IsADirectoryError,
        (
            "{} is a directory: weights are read from one file. Name the file in it, "
            "such as model.safetensors."
        ),
    ),
    ("a.pt", "empty"): (
        ValueError,
        "{} is empty: a download or a copy was cut off. Fetch it again.",
    ),
    ("a.safetensors", "garbage"): (
        ValueError,
        (
            "{} cannot be read as safetensors: its header would have "
            "18446744073709551615 bytes, and the file has 64. Fetch or save it again."
        ),
    ),
    ("a.safetensors", "cut"): (
        ValueError,
        (
            "{} cannot be read as safetensors: its tensors need 512 bytes and it has "
            "503. Fetch or save it again."
        ),
    ),
    ("a.txt", "garbage"): (
        ValueError,
        (
            "{} must be a file of weights ({formats}): it starts with the bytes ff ff "
            "ff ff, unlike any of these. Fetch it again, or give another file."
        ),
    ),
    ("a.pt", "code"): (
        ValueError,
        (
            "{} cannot be read as a pickle: its pickle would call builtins.exec, which "
            "can run a program. Do not open it with anything else, and ask who made it."
        ),
    ),
    ("a.pt", "pipe"): (
        OSError,
        (
            "{} must be a plain file, not a pipe or a device: its bytes are looked at "
            "more than once. Write them to a file first."
        ),
    ),
    ("a.npz", "gzip"): (
        ValueError,
        (
            "{} must be a file of weights that is read here: it is gzip. Unpack it "
            "with gunzip first."
        ),
    ),
}


@pytest.mark.parametrize(("name", "kind"), BAD)
def test_a_bad_file_is_one_sentence(name, kind, tmp_path):
    error, sentence = BAD[name, kind]
    path = write(tmp_path / name, kind)
    with pytest.raises(error) as caught:
        _ = parity.read_tensors(path)
    assert str(caught.value) == sentence.format(path, formats=one_of(names_read()))


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_only_safetensors_are_written(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ValueError, match="suffix") as caught:
        parity.write_tensors({}, path)
    assert str(caught.value) == (
        f"{path}: suffix '{suffix}' must be .safetensors: it is the format "
        "that is written. Rename it; for torch's own format, use "
        "torch.save(parity.to_torch(params), path), which needs torch "
        "(pip install 'lstm-jax[parity]')."
    )


def test_a_type_that_safetensors_has_not_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="safetensors") as caught:
        parity.write_tensors({"x": np.ones(3, np.complex128)}, path)
    assert str(caught.value) == (
        "x.dtype=complex128 must be a type of safetensors: it is the format that is "
        "written. Convert it first, or write another format."
    )
    assert not path.exists()


def refusal_of(error, tensors, path):
    with pytest.raises(error) as caught:
        parity.write_tensors(tensors, path)
    return str(caught.value)


def test_what_nobody_could_read_replaces_no_good_file(tmp_path):
    path = tmp_path / "a.safetensors"
    parity.write_tensors({"x": np.ones(3)}, path)
    before = path.read_bytes()
    assert refusal_of(ValueError, {"__metadata__": np.ones(3)}, path) == (
        "'__metadata__' must not be the name of a tensor: safetensors keeps its texts "
        "there. Rename it first, or write another format."
    )
    assert refusal_of(ValueError, {"1": np.ones(3), 1: np.zeros(3)}, path) == (
        "write_tensors: '1' must be the name of one tensor: a file has texts as names, "
        "and two of yours are this one. Rename one."
    )
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("changed", [b"\0" * 24, b"\0"])
def test_what_is_read_back_otherwise_takes_no_place(changed, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    monkeypatch.setattr(safetensors, "bytes_of", lambda _: changed)
    assert refusal_of(OSError, {"x": np.ones(3)}, path) == (
        f"write_tensors: {path} was not read back as it was written, so it was not "
        "made. Is the disk whole?"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "no" / "a.safetensors"
    assert refusal_of(FileNotFoundError, {"x": np.ones(3)}, path) == (
        f"write_tensors: {path.parent} must be a directory: a.safetensors is to be "
        "written there. Make it first, or give another place."
    )


@pytest.mark.usefixtures("no_jaxtyping")
def test_only_a_path_is_read():
    file: Any = io.BytesIO(b"x")
    with pytest.raises(TypeError) as caught:
        _ = parity.read_tensors(file)
    assert str(caught.value) == (
        "read_tensors: path must be the path of a file, not BytesIO: the file is "
        "mapped. Write it to a file first."
    )
