"""Hostile files: one sentence, exit code 2, no code run, nothing written.

`pytest tests/parity/files/test_hostile.py` prints how many of each kind there were.
"""

import io
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

import parity
from parity.__main__ import main
from parity.files.read import read
from tests.given import ROOT, hostile, pickled

# A wrong type is seen in other tests; here the checks would be most of the time.
pytestmark = pytest.mark.usefixtures("no_jaxtyping")
SEED = 3
MOST_MEMORY = 96 * 2**20  # that any one file may take
LSTM = {
    name: torch.linspace(-1, 1, tensor.numel()).reshape(tensor.shape)
    for name, tensor in torch.nn.LSTM(3, 2).state_dict().items()
}


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(*arguments, file, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def good():
    """Good files by name, small."""
    from flax.serialization import msgpack_serialize

    arrays: dict[str, Any] = {f"lstm.{n}": a.numpy() for n, a in LSTM.items()}
    tensors = {f"lstm.{name}": tensor for name, tensor in LSTM.items()}
    module = torch.nn.LSTM(3, 2)
    _ = module.load_state_dict(LSTM)
    npz, packed = io.BytesIO(), io.BytesIO()
    np.savez(npz, **arrays)
    np.savez_compressed(packed, **arrays)
    return {
        "new.pt": saved(torch.save, {"state_dict": tensors}),
        "old.pt": saved(torch.save, tensors, _use_new_zipfile_serialization=False),
        "whole.pt": saved(torch.save, module),
        "torch.pkl": pickle.dumps(tensors),
        "numpy.pkl": pickle.dumps(arrays),
        "numpy2.pkl": pickle.dumps(arrays, 2),
        "good.safetensors": save(arrays),
        "good.npz": npz.getvalue(),
        "packed.npz": packed.getvalue(),
        "good.msgpack": msgpack_serialize({"lstm": dict(LSTM_ARRAYS)}),
    }


LSTM_ARRAYS = {name: tensor.numpy() for name, tensor in LSTM.items()}


@pytest.fixture(scope="module")
def counts(request):
    """How many files there were of each kind, printed at the end."""
    found: Counter[str] = Counter()
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        for kind, number in found.items():
            print(f"hostile files: {number} {kind}")


@pytest.fixture
def place(tmp_path, good):
    """A directory with good files in it, and one for what is written."""
    for name in ("good.safetensors", "new.pt"):
        _ = (tmp_path / name).write_bytes(good[name])
    _ = (tmp_path / "garbage.pt").write_bytes(b"\xff" * 99)
    (tmp_path / "out").mkdir()
    return tmp_path


def outcome(path, out, capsys):
    """Exit codes of `inspect` and `convert`, and the sentence; the rest is checked."""
    codes, error = [], ""
    for arguments in (["inspect", path], ["convert", path, out / "x.safetensors"]):
        codes.append(main([str(argument) for argument in arguments]))
        error = capsys.readouterr().err
        if codes[-1] == 2:
            assert re.fullmatch(r"python -m parity: [^\n]+\.\n", error), (
                path.name,
                error,
            )
            assert "Traceback" not in error
            assert not list(out.iterdir()), path.name
        else:
            assert error == ""
    for one in out.iterdir():
        one.unlink()
    return codes, error


def memory(kind, anew=False):
    """Bytes of this process, now (VmRSS) or the most (VmHWM), counted anew or not."""
    if anew:
        _ = Path("/proc/self/clear_refs").write_text("5")
    (line,) = re.findall(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(line)


def run_all(files, place, capsys, said=None):
    """Codes by name of each file, after a run of it under watch; `said` is filled."""
    found, said = {}, {} if said is None else said
    for name, data in files:
        path = place / re.sub(r"[^\w.-]", "_", name)
        _ = path.write_bytes(data)
        before = memory("VmRSS", anew=True)
        found[name], said[name] = outcome(path, place / "out", capsys)
        assert memory("VmHWM") - before < MOST_MEMORY, name
        path.unlink()
    return found


def refused(found):
    return [name for name, codes in found.items() if codes == [2, 2]]


# All of them, or in `make test` every tenth.
@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_hostile_files_are_refused(every, place, counts, capsys):
    canary = place / "canary"
    said = {}
    made = [*hostile.made(str(canary), SEED)]
    assert len(made) > 500
    found = run_all(made[::every], place, capsys, said)
    assert [name for name in found if name not in refused(found)] == []
    assert not canary.exists()
    for name in {name for name, _ in hostile.programs(str(canary))} & found.keys():
        program = name.rpartition("-")[0].replace("__builtin__", "builtins")
        assert (
            f"its pickle would call {program}, which can run a program. " in said[name]
        )
    counts["made and refused"] = len(found)


def test_files_cut_off_are_refused(place, good, counts, capsys):
    found = run_all(hostile.cut(good, SEED), place, capsys)
    assert [name for name in found if name not in refused(found)] == []
    counts["cut off and refused"] = len(found)
    assert len(found) > 90


def test_a_changed_bit_is_refused_or_harmless(place, good, counts, capsys):
    found = run_all(hostile.flipped(good, SEED, 30), place, capsys)
    bad = len(refused(found))
    counts["with a bit changed, refused"] = bad
    counts["with a bit changed, harmless (not counted)"] = len(found) - bad
    assert len(found) == 30 * len(good)
    assert 0 < bad < len(found)


def test_the_good_files_are_good(place, good, capsys):
    found = run_all(good.items(), place, capsys)
    assert found == {name: [0, 0] for name in good}


class Canary:
    """Leaves a file when it is called, imported, made, or given a state."""

    def __setstate__(self, state):
        raise SystemExit("code of the file was run")


def inert():
    """Files whose classes are not known: names of them are kept, and nothing else."""
    name = f"{Canary.__module__}.Canary"
    kind = pickled.named(name)
    state = pickled.value({"__class__": "x", "__dict__": {"y": 1}, "__init__": 2})
    yield "state", kind + b")\x81" + state + b"b"
    yield "call", pickled.call(name, pickled.value("x"))
    yield "state of a class", kind + state + b"b"
    yield "result", pickled.call(name) + b"(" + pickled.value(1) + b"tR"
    yield (
        "method",
        pickled.call(
            "builtins.getattr", pickled.call(name), pickled.value("__setstate__")
        ),
    )
    yield "slots", kind + b")\x81" + b"N" + state + b"\x86b"
    yield "keywords", kind + b")" + state + b"\x92"
    yield "elements", kind + b")\x81(" + state + state + b"e"
    yield "entries", kind + b")\x81(" + state[:0] + pickled.value("a") + state + b"u"
    yield "memo", b"N" + b"r" + b"\xff\xff\xff\x7f"
    yield "unknown module", pickled.call("no_such_module.Thing", pickled.value("x"))
    yield "module with a program", pickled.call("antigravity.fly")
    yield "itself", b"]q\x63h\x63a"


@pytest.mark.parametrize("wrap", pickled.CONTAINERS)
def test_unknown_classes_are_inert_and_their_neighbours_found(
    wrap, place, counts, capsys
):
    wrapped = {
        f"{name}-{wrap}": pickled.CONTAINERS[wrap](pickled.with_lstm(fragment))
        for name, fragment in inert()
    }
    found = run_all(wrapped.items(), place, capsys)
    assert found == {name: [0, 0] for name in wrapped}
    assert "antigravity" not in sys.modules
    counts["inert and read"] += len(found)


def test_a_placeholder_has_the_name_of_its_class(place):
    path = place / "a.pkl"
    _ = path.write_bytes(pickled.with_lstm(pickled.call("antigravity.fly")))
    assert read(path).unknown == ("antigravity.fly",)
    assert len(parity.read_tensors(path)) == 2


ALL = r"""
import contextlib, io, re, resource, sys
from pathlib import Path
from typing import Any
import jax, flax.serialization, msgpack, torch
import parity
from parity.__main__ import main
from tests.given import hostile, pickled

place = Path(sys.argv[1])
(size,) = re.findall(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())
most = 1024 * int(size) + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
codes = []
for name, data in hostile.made(str(place / "canary"), 3):
    path = place / re.sub(r"[^\w.-]", "_", name)
    _ = path.write_bytes(data)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        codes.append(main(["inspect", str(path)]))
    assert "memory must be larger" not in said.getvalue(), name
    path.unlink()
print(len(codes), set(codes))
"""


@pytest.mark.slow
def test_no_file_asks_for_memory_it_has_not(place):
    """The address space is bounded: what is promised is not even asked for."""
    command = [sys.executable, "-c", ALL, str(place), str(256 * 2**20)]
    root = ROOT
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d{3} \{2\}\n", done.stdout)
