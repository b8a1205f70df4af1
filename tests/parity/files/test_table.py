"""The tables of formats and strangers: one row is all that a format needs."""

import io
import json
import pickle

import numpy as np
import pytest
import torch
from flax.serialization import msgpack_serialize
from safetensors.numpy import save

import parity
from parity.__main__ import main
from parity.files import formats
from parity.files.formats import FORMATS, Format
from parity.files.read import read
from parity.files.reading import Reading, starts
from parity.files.source import view_of
from parity.files.strangers import STRANGERS
from tests.given import pickled
from tests.parity.frameworks.test_convert import assert_same_bits

LSTM = torch.nn.LSTM(3, 2).state_dict()
ARRAYS = {name: LSTM[name].numpy() for name in sorted(LSTM)}


def read_toy(reading):
    """A line of JSON with shapes, then the numbers, of float32."""
    head, _, numbers = bytes(reading.source.view).partition(b"\n")
    found, at = {}, 0
    for name, shape in json.loads(head[4:]).items():
        found[name] = view_of(numbers, np.dtype("float32"), shape, None, at)
        at += found[name].size
    return found


def write_toy(tensors, path, done):
    shapes = {tensor.name: tensor.array.shape for tensor in tensors}
    with path.open("wb") as file:
        _ = file.write(b"TOY!" + json.dumps(shapes).encode() + b"\n")
        for tensor in tensors:
            _ = file.write(tensor.value().tobytes())
            done()


TOY = Format(
    name="toy",
    words="a toy",
    suffixes=(".toy",),
    is_it=starts(b"TOY!"),
    read=read_toy,
    write=write_toy,
)


@pytest.fixture
def toy(monkeypatch):
    """The table with a row more."""
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, TOY))


def test_a_format_is_one_row(toy, tmp_path, capsys):
    paths = [tmp_path / name for name in ("x.safetensors", "y.toy", "z.safetensors")]
    parity.write_tensors(LSTM, paths[0])
    assert main(["convert", *map(str, paths[:2])]) == 0
    assert main(["convert", *map(str, paths[1:]), "--from", "toy"]) == 0
    assert f"wrote {paths[1]}: toy, 4 tensors" in capsys.readouterr().out
    assert paths[2].read_bytes() == paths[0].read_bytes()
    assert_same_bits(dict(sorted(parity.read_tensors(paths[1]).items())), ARRAYS)
    assert main(["inspect", str(paths[1])]) == 0
    assert f"LSTMs in {paths[1]}, a toy:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("inspect", "an Orbax checkpoint or a toy."),
        ("convert", "msgpack, orbax or toy."),
        ("convert", "what DST is to be: torch, safetensors, npz, msgpack, orbax, toy"),
    ],
)
def test_the_help_lists_a_format_of_the_table(command, said, toy, capsys):
    with pytest.raises(SystemExit):
        _ = main([command, "--help"])
    assert said in " ".join(capsys.readouterr().out.split())


def test_errors_list_a_format_of_the_table(toy, tmp_path):
    path = tmp_path / "a.txt"
    _ = path.write_bytes(b"\xff" * 9)
    with pytest.raises(ValueError, match=r"\(torch, .*, orbax or toy\): it starts"):
        _ = read(path)


def torch_bytes(**options):
    file = io.BytesIO()
    torch.save(LSTM, file, **options)
    return file.getvalue()


def npz_bytes():
    file = io.BytesIO()
    np.savez(file, **ARRAYS)
    return file.getvalue()


# A file of each format that is a file, by what it is in words.
GOOD = {
    "a torch file": torch_bytes(),
    "an old torch file": torch_bytes(_use_new_zipfile_serialization=False),
    "TorchScript": pickled.torch_zip(pickled.with_lstm(b"N"), **{"code/x.py": b""}),
    "safetensors": save(ARRAYS),
    "an index of several files": b'{"weight_map": {}}',
    "npz": npz_bytes(),
    "a pickle": pickle.dumps(ARRAYS),
    "msgpack": msgpack_serialize(dict(ARRAYS)),
}
FIRST_BYTES = {
    "TorchScript from before torch 1.4": pickled.archive({"a/model.json": b"{}"}),
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "GGUF": b"GGUF\3",
    "one array without a name": b"\x93NUMPY\1\0",
    "gzip": b"\x1f\x8b\x08",
    "Zstandard": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh91AY&SY",
    "xz": b"\xfd7zXZ\0",
    "a pointer of Git LFS": b"version https:" + bytes(9),
    "a page of the web": b"<!doctype html>",
}
SUFFIXES = ("", ".pt", ".safetensors", ".msgpack", ".json")


def test_there_is_a_file_of_each_row():
    assert {row.words for row in FORMATS if not row.directory} == set(GOOD)
    assert [stranger.name for stranger in STRANGERS] == list(FIRST_BYTES)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("words", GOOD)
def test_a_format_is_told_by_its_bytes(words, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    _ = path.write_bytes(GOOD[words])
    assert formats.format_of(Reading(path, formats.read_any)).words == words


@pytest.mark.parametrize("start", [b"{", b"\x80\x02", b"\x81", b"<", b"\x1f\x8b"])
def test_a_length_of_safetensors_may_look_like_another_format(start, tmp_path):
    path = tmp_path / "a"
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    length = int.from_bytes(start, "little")
    header = json.dumps({"x": entry}, separators=(",", ":")).ljust(length).encode()
    _ = path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert path.read_bytes().startswith(start)
    assert list(parity.read_tensors(path)) == ["x"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda stranger: stranger.name)
def test_a_stranger_is_refused_by_name_with_a_way_out(stranger, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    held = FIRST_BYTES[stranger.name]
    _ = path.write_bytes(held if held[:2] == b"PK" else held + bytes(2048))
    with pytest.raises(ValueError, match="read here") as caught:
        _ = read(path)
    assert str(caught.value) == (
        f"{path} must be a file of weights that is read here: it is {stranger.name}. "
        f"{stranger.cure}"
    )


def test_the_one_directory_is_told_from_others(tmp_path):
    (orbax,) = (row for row in FORMATS if row.directory)
    assert not formats.is_of(orbax, tmp_path)
    _ = (tmp_path / "_METADATA").write_text("{}")
    assert formats.is_of(orbax, tmp_path)
    assert formats.format_of(Reading(tmp_path, formats.read_any)) is orbax
