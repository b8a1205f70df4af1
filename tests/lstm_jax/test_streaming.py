"""`lstm_jax.export.streaming`: parts of a sequence, in a process without `lstm_jax`."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from lstm_jax import LSTM, LSTMCell, LSTMModel
from lstm_jax.export import streaming
from tests.given import ROOT
from tests.given.inputs import B, H, I, P, T, assert_near, draw

PAGE = (ROOT / "docs" / "streaming.md").read_text(encoding="utf-8")
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


pytestmark = pytest.mark.usefixtures("float64")


def stack(**options: Any) -> LSTM:
    return LSTM(I, H, 2, param_dtype="float64", rngs=nnx.Rngs(0), **options)


def model(**options: Any) -> LSTMModel:
    return LSTMModel(I, H, 2, 2, param_dtype="float64", rngs=nnx.Rngs(0), **options)


def in_parts(program: Any, xs: Any, state: Any, axis: int = 0) -> tuple[Any, Any]:
    """The outputs of both parts, one after the other, and the last state."""
    state = tuple(state)
    outputs = []
    for part in np.split(xs, [3], axis):
        ys, state = program.call(part, state)
        outputs.append(ys)
    return np.concatenate(outputs, axis), state


@pytest.mark.parametrize("options", [{}, {"proj_size": P, "dropout": 0.5}])
def test_parts_give_the_whole_sequence_on_every_platform(options: Any) -> None:
    module = stack(**options)
    program = streaming(module)
    assert program.platforms == PLATFORMS
    xs = draw((T, B, I))
    found = in_parts(program, xs, module.initial_state((B,)))
    assert type(found[1]) is tuple
    ys, state = module(xs, deterministic=True)
    assert_near(found, (ys, tuple(state)))


def test_batch_first_is_kept_and_a_mapping_has_time_first() -> None:
    module = stack(batch_first=True)
    xs = draw((B, T, I))
    ys, state = module(xs)
    assert_near(
        in_parts(streaming(module), xs, module.initial_state((B,)), 1),
        (ys, tuple(state)),
    )
    program = streaming(module.params())
    assert [str(aval.shape) for aval in program.in_avals] == [
        f"(t, b, {I})",
        f"(2, b, {H})",
        f"(2, b, {H})",
    ]


def test_a_model_predicts_at_every_step_or_once_for_each_part() -> None:
    tokens = np.arange(B * T).reshape(B, T).astype("int32") % 9
    every = model(outputs="all", num_embeddings=9)
    found = in_parts(streaming(every), tokens, every.initial_state((B,)), 1)
    ys, state = every.with_state(tokens)
    assert_near(found, (ys, tuple(state)))
    last = model(outputs="last")
    xs, state = draw((B, T, I)), tuple(last.initial_state((B,)))
    once, _ = streaming(last).call(xs, state)
    assert_near(once, last(xs))


def test_weights_are_inside_or_an_argument() -> None:
    module = stack()
    other = LSTM(I, H, 2, param_dtype="float64", rngs=nnx.Rngs(1))
    program = streaming(module, weights="argument")
    xs, state = draw((T, B, I)), tuple(module.initial_state((B,)))
    ys, _ = program.call(other.params(), xs, state)
    assert_near(ys, other(xs)[0])
    before = streaming(module)
    module.load_params(other.params())
    assert not np.array_equal(before.call(xs, state)[0], ys)


def test_types_are_those_of_the_module() -> None:
    module = LSTM(I, H, dtype="bfloat16", rngs=nnx.Rngs(0))
    program = streaming(module)
    assert [aval.dtype.name for aval in program.in_avals] == [
        "bfloat16",
        "bfloat16",
        "float32",
    ]
    assert program.out_avals[1:] == program.in_avals[1:]


def test_what_has_an_end_or_a_mean_is_no_stream() -> None:
    both = LSTM(I, H, bidirectional=True, rngs=nnx.Rngs(0))
    said = (
        "export.streaming: bidirectional must be False: the reverse direction starts "
        "from the end of the sequence. Run the whole sequence instead."
    )
    with pytest.raises(ValueError, match=re.escape(said)):
        _ = streaming(both)
    said = (
        "export.streaming: outputs='mean' must be 'last', 'final' or 'all': the mean "
        "of a sequence is not known from a part of it. Call the model on the whole "
        "sequence."
    )
    with pytest.raises(ValueError, match=re.escape(said)):
        _ = streaming(model(outputs="mean"))


def test_wrong_arguments_are_named() -> None:
    said = (
        "export.streaming: weights='outside' must be one of 'inside', 'argument': no "
        "other is known. Use 'inside'."
    )
    with pytest.raises(ValueError, match=re.escape(said)):
        _ = streaming(model(), weights="outside")
    said = (
        "export.streaming: source must be an LSTM, an LSTMModel or a mapping of "
        "torch's names to arrays, not LSTMCell: its batch and time are left free. Give "
        "its parameters under the names of a stack, such as weight_ih_l0."
    )
    cell = LSTMCell(I, H, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match=re.escape(said)):
        _ = streaming(cell)
    program = streaming({f"{name}_l0": a for name, a in cell.params().items()})
    assert str(program.in_avals[0].shape) == f"(t, b, {I})"


WITHOUT = "import sys; sys.modules['lstm_jax'] = None; exec(sys.stdin.read())"


@pytest.mark.slow
def test_the_client_of_the_page_runs_without_lstm_jax(tmp_path: Path) -> None:
    _ = pytest.importorskip("flatbuffers", reason="flatbuffers is not installed")
    module = LSTM(I, H, 2, rngs=nnx.Rngs(0))
    _ = (tmp_path / "stream.bin").write_bytes(streaming(module).serialize())
    xs = draw((40, 1, I)).astype("float32")
    np.save(tmp_path / "recording.npy", xs)
    [client] = re.findall(r"```python\n(# client.py.*?)```", PAGE, re.DOTALL)
    command = [sys.executable, "-c", WITHOUT]
    _ = subprocess.run(command, input=client.encode(), cwd=tmp_path, check=True)
    found = np.load(tmp_path / "outputs.npy")
    error = np.abs(found - jax.device_get(module(xs)[0])).max()
    assert error <= 16 * np.finfo("float32").eps
