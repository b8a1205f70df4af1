"""Hostile models of ONNX: one sentence, exit code 2, nothing written, memory bounded.

Each run draws other files; the seed is in the failure.
"""

import os
import random

import pytest

from parity.__main__ import main
from tests.given.onnx_hostile import external, hostile
from tests.parity.files.test_hostile import refused, run_all

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
# Another seed in each process, or that of the environment, to run one again.
SEED = int(os.environ.get("HOSTILE_SEED", random.randrange(2**32)))


@pytest.fixture
def place(tmp_path):
    """A folder with what hostile models point at, and one for what is written."""
    folder = tmp_path / "models"
    (folder / "out").mkdir(parents=True)
    (folder / "folder").mkdir()
    _ = (folder / "weights.bin").write_bytes(bytes(320))
    secret = tmp_path / "secret.bin"
    _ = secret.write_bytes(bytes(320))  # as many as are asked for
    (folder / "link.bin").symlink_to(secret)
    return folder


# All of them, or in `make test` a few of each kind.
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_hostile_models_are_refused(every, place, capsys):
    kinds = hostile(SEED)
    assert len(kinds) >= 6
    assert sum(map(len, kinds.values())) >= 60
    for kind, files in kinds.items():
        chosen = [*files.items()][::every]
        found = run_all(chosen, place, capsys)
        wrong = [name for name in found if name not in refused(found)]
        assert wrong == [], f"HOSTILE_SEED={SEED}: {kind}"


OUTSIDE = ("../secret.bin", "link.bin", "a/../../secret.bin")


@pytest.mark.parametrize("location", OUTSIDE)
def test_a_file_outside_is_not_read_though_it_would_fit(location, place, capsys):
    for inside in ("weights.bin", location):
        _ = (place / "x.onnx").write_bytes(external(inside))
        (place / "a").mkdir(exist_ok=True)
        code = main(["inspect", str(place / "x.onnx")])
        assert code == (0 if inside == "weights.bin" else 2)
    assert capsys.readouterr().err == (
        f"python -m parity: {place / 'x.onnx'} cannot be read as ONNX: its tensors are "
        f"in {location!r}, outside of its folder. Do not load it, and ask who made "
        "it.\n"
    )
