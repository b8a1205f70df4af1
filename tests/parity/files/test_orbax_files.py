"""Checkpoints of Orbax: what is in them, and what is said of damaged ones."""

import json
import re

import numpy as np
import pytest
import torch

import parity
from parity.__main__ import main
from parity.files.read import read

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


@pytest.fixture
def checkpoint(tmp_path):
    """A good one."""
    parity.write_tensors(torch.nn.LSTM(3, 2).state_dict(), tmp_path / "a.safetensors")
    path = tmp_path / "a.orbax"
    assert main(["convert", str(tmp_path / "a.safetensors"), str(path)]) == 0
    return path


def test_a_tree_of_many_kinds_is_read(tmp_path):
    import orbax.checkpoint as ocp

    arrays = {"whole": np.arange(3), "half": np.ones(4, np.float16)}
    tree = {**arrays, "list": [np.ones(2), {"x": np.ones(3)}], "number": 3, "empty": {}}
    variables = {
        "a": {"value": np.ones(5)},
        "b": {"value": np.ones(5), "c": np.ones(6)},
    }
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "a", tree | variables)
    found = read(tmp_path / "a").tensors
    assert {name: array.shape for name, array in found.items()} == {
        "whole": (3,),
        "half": (4,),
        "list.0": (2,),
        "list.1.x": (3,),
        "number": (),
        "a": (5,),
        "b.value": (5,),
        "b.c": (6,),
    }
    assert found["whole"].dtype == np.arange(3).dtype
    np.testing.assert_array_equal(found["whole"], arrays["whole"])


INDEXES = {
    "{": "its index is no JSON",
    "[]": "its index is no JSON object",
    "{}": "its index names no arrays",
    '{"tree_metadata": {"x": 7}}': "its index has an entry without a name or a type",
    '{"a": 1, "a": 2}': "it has the name 'a' twice",
    '{"a":' * 9000: "its index is nested too deep",
}


def refused(path, tmp_path, capsys):
    """The sentence with which `inspect` and `convert` refuse it."""
    _ = capsys.readouterr()
    before = sorted(tmp_path.iterdir())
    assert main(["inspect", str(path)]) == 2
    said = capsys.readouterr().err
    assert main(["convert", str(path), str(tmp_path / "b.pt")]) == 2
    assert capsys.readouterr().err == said
    assert sorted(tmp_path.iterdir()) == before
    start = f"python -m parity: {path} cannot be read as an Orbax checkpoint: "
    assert said.startswith(start)
    assert said.count("\n") == 1
    return re.sub(r" \(.*\)(?=\. )", "", said.removeprefix(start).rstrip())


@pytest.mark.parametrize("text", INDEXES)
def test_a_wrong_index_is_refused(text, checkpoint, tmp_path, capsys):
    _ = (checkpoint / "_METADATA").write_text(text)
    said = refused(checkpoint, tmp_path, capsys)
    assert said == f"{INDEXES[text]}. Fetch or save it again."


def index_of(key):
    held = {"key_metadata": [{"key": key}], "value_metadata": {"value_type": "x"}}
    return json.dumps({"tree_metadata": {"x": held}, "use_ocdbt": False})


@pytest.mark.parametrize("key", ["../x", "/etc", "..", ""])
def test_an_index_does_not_climb(key, checkpoint, tmp_path, capsys):
    _ = (checkpoint / "_METADATA").write_text(index_of(key))
    said = refused(checkpoint, tmp_path, capsys)
    assert (
        said
        == f"its index has the name {key!r}, outside of itself. Fetch or save it again."
    )


@pytest.mark.parametrize("key", ["none", "\x1b[31m"])
def test_an_array_that_is_not_there_is_refused(key, checkpoint, tmp_path, capsys):
    _ = (checkpoint / "_METADATA").write_text(index_of(key))
    said = refused(checkpoint, tmp_path, capsys)
    shown = key.replace("\x1b", "?")
    assert said == f"its array {shown!r} is damaged or gone. Fetch or save it again."


@pytest.mark.parametrize("cut", [0, 1, 50])
def test_a_file_cut_off_is_refused(cut, checkpoint, tmp_path, capsys):
    for file in [checkpoint / "manifest.ocdbt", *(checkpoint / "d").iterdir()]:
        whole = file.read_bytes()
        _ = file.write_bytes(whole[:cut])
        said = refused(checkpoint, tmp_path, capsys)
        assert re.fullmatch(
            r"its array '\w+' is damaged or gone\. Fetch or save it again\.", said
        )
        _ = file.write_bytes(whole)


def test_an_array_larger_than_its_files_is_refused(checkpoint, tmp_path, capsys):
    zarr = {
        "zarr_format": 2,
        "shape": [10**12],
        "chunks": [10**12],
        "dtype": "<f4",
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
    }
    (checkpoint / "x").mkdir()
    _ = (checkpoint / "x" / ".zarray").write_text(json.dumps(zarr))
    _ = (checkpoint / "_METADATA").write_text(index_of("x"))
    assert refused(checkpoint, tmp_path, capsys) == (
        "its arrays are more than 20 times its size. Look at it with Orbax, if you "
        "trust who made it."
    )


def test_a_directory_of_other_things_is_no_checkpoint(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: {tmp_path} is a directory: weights are read from one "
        "file. Name "
        "the file in it, such as model.safetensors.\n"
    )
