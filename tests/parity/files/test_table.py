"""The tables of formats and strangers: one row is all that a format needs."""

import json

import numpy as np
import pytest
import torch

import parity
from parity.__main__ import main
from parity.files import formats
from parity.files.formats import FORMATS, Format
from parity.files.read import read
from parity.files.reading import Reading, starts
from parity.files.recognise import format_of, is_of, read_any
from parity.files.source import view_of
from parity.files.strangers import STRANGERS
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
        ("convert", "msgpack, onnx, orbax or toy."),
        ("convert", "Torch must be installed only to write its own format."),
        (
            "convert",
            "what DST is to be: torch, safetensors, npz, msgpack, onnx, orbax, toy",
        ),
    ],
)
def test_the_help_lists_a_format_of_the_table(command, said, toy, capsys):
    with pytest.raises(SystemExit):
        _ = main([command, "--help"])
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_cure_that_runs_torch_says_what_to_install():
    cures = {row.cure for row in STRANGERS if "python -m torch" in row.cure}
    (cure,) = cures
    assert cure == (
        "Turn its directory into a torch file, with torch (pip install "
        "'lstm-jax[parity]'): python -m torch.distributed.checkpoint.format_utils "
        "dcp_to_torch DIRECTORY FILE.pt."
    )


def test_errors_list_a_format_of_the_table(toy, tmp_path):
    path = tmp_path / "a.txt"
    _ = path.write_bytes(b"\xff" * 9)
    with pytest.raises(ValueError, match=r"\(torch, .*, orbax or toy\): it starts"):
        _ = read(path)


@pytest.mark.parametrize("start", [b"{", b"\x80\x02", b"\x81", b"<", b"\x1f\x8b"])
def test_a_length_of_safetensors_may_look_like_another_format(start, tmp_path):
    path = tmp_path / "a"
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    length = int.from_bytes(start, "little")
    header = json.dumps({"x": entry}, separators=(",", ":")).ljust(length).encode()
    _ = path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert path.read_bytes().startswith(start)
    assert list(parity.read_tensors(path)) == ["x"]


def test_the_one_directory_is_told_from_others(tmp_path):
    (orbax,) = (row for row in FORMATS if row.directory)
    assert not is_of(orbax, tmp_path)
    _ = (tmp_path / "_METADATA").write_text("{}")
    assert is_of(orbax, tmp_path)
    assert format_of(Reading(tmp_path, read_any)) is orbax
