"""docs/files.md: its commands and code run, and its tables are those of the code."""

import re
import shlex

import numpy as np
import pytest
import torch

from parity.__main__ import main
from parity.convert.meaning import MEANINGS
from parity.files import bounds
from parity.files.formats import FORMATS, written
from parity.files.pickle import machine
from parity.files.strangers import STRANGERS
from tests.given import ROOT, hostile, pickled
from tests.parity.files import test_hostile

TEXT = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")


MIB = 2**20
BOUNDS = {
    "instructions of a pickle": [bounds.MOST_INSTRUCTIONS],
    "bytes that constructors in a pickle make": [
        machine.BUILT,
        machine.BUILT_MORE // MIB,
    ],
    "header of safetensors, and an index": [bounds.MOST_HEADER // MIB],
    "what compressed members unpack to, together": [
        bounds.UNPACKED,
        bounds.UNPACKED_MORE // MIB,
    ],
    "tensors that share bytes, together": [bounds.SHARED, bounds.SHARED_MORE // MIB],
    "members of an archive": [bounds.MOST_MEMBERS],
    "files of an index": [bounds.MOST_SHARDS],
    "depth of a tree": [bounds.MOST_DEPTH],
    "places in a tree": [bounds.MOST_NAMES],
    "memory that one of the hostile files may take in the tests": [
        test_hostile.MOST_MEMORY // MIB
    ],
}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def table(*rows):
    """A table of Markdown; the first row is its head."""
    head, *lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *lines, "\n"])


def test_the_table_of_formats_is_drawn_from_the_rows():
    rows = [
        ("format", "`--from`", "usual suffixes", "in memory", "written with `--to`")
    ]
    for row in FORMATS:
        suffixes = " ".join(f"`{suffix}`" for suffix in row.suffixes)
        meaning = MEANINGS.get(row.name)
        meant = meaning is not None and meaning.write is not None
        to = "yes" if row in written().values() or meant else ""
        to += ", with torch" * row.needs_torch
        rows.append((row.words, f"`{row.name}`", suffixes, row.memory, to))
    assert len(rows) > 8
    assert table(*rows) in TEXT, table(*rows)


def test_the_table_of_strangers_is_drawn_from_the_rows():
    rows = [("what it is", "what to do")]
    rows += [(stranger.name, stranger.cure) for stranger in STRANGERS]
    assert len(rows) > 9
    assert table(*rows) in TEXT, table(*rows)


def test_the_bounds_are_those_of_the_code():
    (section,) = re.findall(r"^## Bounds$(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]*\d[^|]*) \|$", section, re.MULTILINE))
    found = {
        what: [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", number)]
        for what, number in rows.items()
    }
    assert found == BOUNDS


def test_the_number_of_hostile_files_is_that_of_the_test():
    made = dict(hostile.made("canary", test_hostile.SEED))
    assert f"makes {len(made)} such files" in TEXT
    inert = len(list(test_hostile.inert())) * len(pickled.CONTAINERS)
    assert f" {inert} files with classes" in TEXT.replace("\n", " ")


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A directory with the files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    lstm = torch.nn.LSTM(5, 4).state_dict()
    model = {f"encoder.{name}": tensor for name, tensor in lstm.items()}
    torch.save(model | {"head.weight": torch.ones(3)}, "model.pt")
    checkpoint = {f"model.lstm.{name}": tensor for name, tensor in lstm.items()}
    torch.save(checkpoint, "checkpoint.ckpt")
    torch.save(model, "model.ckpt")
    return tmp_path


def test_every_command_runs(there):
    lines = [line for block in blocks("") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("python -m parity ")]
    assert len(commands) == 9
    for line in commands:
        words = shlex.split(line, comments=True)[3:]
        assert main([*words, "--force"] if words[0] == "convert" else words) == 0


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_every_block_of_python_runs(there):
    for suffix in ("msgpack", "orbax"):
        arguments = ["checkpoint.ckpt", f"lstm.{suffix}", "--prefix", "model.lstm"]
        assert main(["convert", *arguments]) == 0
    names = {"path": there / "lstm.orbax", "xs": np.ones((7, 3, 5), np.float32)}
    exec("import parity; from pathlib import Path", names)
    found = blocks("python")
    assert len(found) == 2
    for block in found:
        exec(compile(block, "files.md", "exec"), names)
