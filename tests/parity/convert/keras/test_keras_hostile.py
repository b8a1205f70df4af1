"""Hostile files of Keras: exit code 2, one sentence, no code run, nothing written.

The seed is another one each time; a failure names it.
"""

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parity.__main__ import main
from tests.given import ROOT
from tests.given.keras_files import NAMES
from tests.given.keras_hostile import hostile, weights

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
LARGE = ("more than a file may", "texts", "JSON")  # these take seconds to write
MOST_MEMORY = 256 * 2**20  # that all of them may ask for
REFUSED = re.compile(r"python -m parity: [^\n]+\.\n")


@pytest.fixture
def seed() -> int:
    return secrets.randbits(32)


def written(files: dict[str, bytes], place: Path) -> list[Path]:
    paths = [place / re.sub(r"[^\w.-]", "_", name) for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        _ = path.write_bytes(data)
    assert len(set(paths)) == len(files)
    return paths


def test_one_of_each_kind_is_refused(
    seed: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = hostile(seed, str(tmp_path / "canary"), leave_out=LARGE)
    few = {
        name: files[name]
        for files in kinds.values()
        for name in [[*files][seed % len(files)]]
    }
    assert len(few) >= 8
    paths = written(few, tmp_path)
    for path in paths:
        assert main(["check", str(path)]) == 2, (seed, path.name)
        error = capsys.readouterr().err
        assert REFUSED.fullmatch(error), (seed, path.name, error)
    assert sorted(tmp_path.iterdir()) == sorted(paths), seed


def to_secret(file: Any) -> None:
    file["x"] = h5py.ExternalLink("secret.h5", "/x")


def to_itself(file: Any) -> None:
    file["x"] = h5py.SoftLink(f"/lstm/{NAMES[0]}")


@pytest.mark.parametrize("change", [to_secret, to_itself])
def test_a_link_is_not_followed_though_it_leads_somewhere(
    change: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as file:
        file["x"] = np.ones(3, np.float32)
    _ = Path("model.h5").write_bytes(weights(change))
    assert main(["inspect", "--all", "model.h5"]) == 2
    assert capsys.readouterr().err == (
        "python -m parity: model.h5 cannot be read as HDF5: it has a link at 'x', and "
        "no link is followed. Copy what it means into the file with h5copy.\n"
    )


PROGRAM = r"""
import contextlib, io, json, re, resource, sys
from pathlib import Path
import h5py
from parity.__main__ import main

(size,) = re.findall(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())
most = 1024 * int(size) + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
found = {}
for path in sorted(Path().iterdir()):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(["check", path.name])
    found[path.name] = [code, said.getvalue()]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_each_is_refused_within_little_memory(seed: int, tmp_path: Path) -> None:
    place = tmp_path / "files"
    place.mkdir()
    kinds = hostile(seed, str(tmp_path / "canary"))
    assert len(kinds) >= 10
    paths = [path for files in kinds.values() for path in written(files, place)]
    assert len(paths) >= 140
    command = [sys.executable, "-c", PROGRAM, str(MOST_MEMORY)]
    path = {"PYTHONPATH": str(ROOT), "PATH": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        command, cwd=place, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (seed, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.keys() == {path.name for path in paths}
    for name, (code, error) in found.items():
        assert code == 2, (seed, name, error)
        assert REFUSED.fullmatch(error), (seed, name, error)
        assert "memory must be larger" not in error, (seed, name)
    assert sorted(place.iterdir()) == sorted(paths), seed
    assert [*tmp_path.iterdir()] == [place], seed
    for kind, files in kinds.items():
        print(f"hostile files: {len(files)} of {kind}")
