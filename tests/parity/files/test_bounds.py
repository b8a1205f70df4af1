"""Files over a bound are refused, and a hostile one is refused at once."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

import parity
from tests.given import pickled

BOUNDS = {
    ("files.pickle.machine.MOST_INSTRUCTIONS", "a.pkl"): (
        "{} cannot be read as a pickle: its pickle has more than 1 instructions. Save "
        "only the weights."
    ),
    ("files.zip.MOST_MEMBERS", "a.npz"): (
        "{} cannot be read as a file of weights: its archive has more than 1 members. "
        "Fetch or save it again."
    ),
    ("files.kinds.index.MOST_SHARDS", "a.json"): (
        "{} cannot be read as an index of several files: its index names more than 1"
        " files. Fetch or save it again."
    ),
    ("files.tree.MOST_NAMES", "a.pkl"): (
        "{} cannot be read as a pickle: it has more than 1 entries, or endless names. "
        "Save only the weights."
    ),
    ("files.kinds.safetensors.MOST_HEADER", "a.safetensors"): (
        "{} cannot be read as safetensors: its header would have 152 bytes, and the "
        "file has 320. Fetch or save it again."
    ),
}


@pytest.mark.parametrize(("bound", "name"), BOUNDS)
def test_a_file_over_a_bound_is_refused(bound, name, tmp_path, monkeypatch):
    path = tmp_path / name
    monkeypatch.setattr(f"parity.{bound}", 1)
    if name == "a.npz":
        np.savez(path, a=np.ones(3), b=np.ones(3))
    held = {
        "a.pkl": pickled.whole(pickled.entries(a=pickled.array("lstm.weight_ih_l0"))),
        "a.json": json.dumps({"weight_map": {"a": "x", "b": "y"}}).encode(),
        "a.safetensors": save(pickled.TENSORS),
    }
    if name in held:
        _ = path.write_bytes(held[name])
    with pytest.raises(ValueError, match="cannot be read") as caught:
        _ = parity.read_tensors(path)
    assert str(caught.value) == BOUNDS[bound, name].format(path)


def test_a_name_that_is_there_twice_is_found_at_once(tmp_path):
    """Comparing each with each would take an hour."""
    path = tmp_path / "a.safetensors"
    names = [f'"{place}":0' for place in range(500_000)]
    header = ("{" + ",".join([*names, names[-1]]) + "}").encode()
    _ = path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="cannot be read") as caught:
        _ = parity.read_tensors(path)
    assert str(caught.value) == (
        f"{path} cannot be read as safetensors: it has the name '499999' twice. Fetch "
        "or save it again."
    )
