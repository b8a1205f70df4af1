"""Trained LSTMs that ordinary packages carry: found, proved and converted both ways."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import parity
from parity.__main__ import main
from tests.test_convert import assert_same_bits


@pytest.fixture(scope="module")
def silero():
    """The voice detector's safetensors file, read out of the installed package."""
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "silero_vad_16k.safetensors"


def test_silero_vad_is_found_and_proved(silero, capsys):
    assert main(["check", str(silero)]) == 0
    out = capsys.readouterr().out
    assert "LSTMCell at 'lstm_cell.'" in out
    assert "128 -> 128" in out
    assert "ok: 1 of 1 LSTMs and 31 of 31 comparisons" in out


def test_silero_vad_is_proved_in_float64_and_over_many_steps(silero):
    (found,) = parity.find_lstms(parity.read_tensors(silero))
    for dtype in ("float32", "float64"):
        assert parity.check(found.lstm_params, steps=45, batch=2, dtype=dtype).ok


def test_silero_vad_is_converted_both_ways(silero, tmp_path):
    tensors = parity.read_tensors(silero)
    (found,) = parity.find_lstms(tensors)
    params = parity.from_torch(tensors, prefix=found.prefix)
    assert_same_bits(params, found.params)
    cell = torch.nn.LSTMCell(128, 128)
    keys = cell.load_state_dict(parity.to_torch(params))
    assert not keys.missing_keys
    ours = parity.from_torch(cell)
    path = tmp_path / "cell.safetensors"
    parity.write_tensors(ours.params(), path)
    back = parity.read_tensors(path)
    assert_same_bits({name: back[name] for name in params}, params)
    x, h, c = (torch.randn(2, 128) for _ in range(3))
    state = ours.step(x.numpy(), (h.numpy(), c.numpy()))
    with torch.no_grad():
        theirs = cell(x, (h, c))
    for a, b in zip(state, theirs, strict=True):
        # Sums of 256 products of float32, on values of about one.
        assert abs(torch.tensor(a.tolist()) - b).max() < 1e-5
