"""`.onnx` files in `inspect`, `convert` and `check`."""

import importlib.util
import json
from pathlib import Path

import onnx
import pytest

import lstm_jax
import parity
from parity.__main__ import main
from tests.given.onnx_models import drawn, same, single

pytestmark = pytest.mark.usefixtures("no_jaxtyping")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command among a few files: its exit code, output and error."""
    monkeypatch.chdir(tmp_path)
    params = drawn(num_layers=2)
    parity.write_tensors(params, "a.safetensors")
    parity.write_tensors(drawn(bidirectional=True), "both.safetensors")
    two = {f"{p}.{n}": a for p in "xy" for n, a in drawn().items()}
    parity.write_tensors(two, "two.safetensors")
    module = lstm_jax.LSTM.from_params(params, batch_first=True)
    _ = parity.to_onnx(module, "good.onnx")
    lone = {f"encoder.{name}": array for name, array in drawn().items()}
    parity.write_tensors(lone, "lone.safetensors")
    node = single(drawn()).SerializeToString()
    _ = (tmp_path / "node.onnx").write_bytes(node)
    reverse = single(drawn(), direction="reverse").SerializeToString()
    _ = (tmp_path / "reverse.onnx").write_bytes(reverse)

    def run(command: str) -> tuple[int, str, str]:
        code = main(command.split())
        return code, *capsys.readouterr()

    return run


def test_inspect_names_the_lstm_and_its_options(run):
    code, out, err = run("inspect good.onnx")
    assert (code, err) == (0, "")
    assert "LSTMs in good.onnx, ONNX:" in out
    assert "5 -> 4, 2 layers" in out
    assert "options: LSTM(batch_first=True, dropout=0.0)" in out


def test_inspect_says_what_a_module_does_not_do(run):
    code, out, _ = run("inspect reverse.onnx --json -")
    sentence = (
        "the LSTM node 'the node' runs in reverse only: a module needs its inputs "
        "turned around"
    )
    assert (code, json.loads(out)["notes"]) == (0, [sentence])
    assert sentence in run("inspect reverse.onnx")[1].replace("\n", " ")
    assert sentence in run("convert reverse.onnx r.npz")[1].replace("\n", " ")


def test_convert_reads_one_and_writes_one(run):
    assert run("convert good.onnx a.npz")[0] == 0
    assert same(parity.read_tensors("a.npz"), drawn(num_layers=2))
    assert run("convert a.npz b.onnx")[0] == 0
    assert same(parity.from_onnx("b.onnx").params(), drawn(num_layers=2))
    assert run("convert a.npz named --to onnx")[0] == 0
    assert same(parity.from_onnx("named").params(), drawn(num_layers=2))
    assert run("convert two.safetensors x.onnx --prefix x")[0] == 0
    assert same(parity.from_onnx("x.onnx").params(), drawn())


def test_the_options_of_a_module_go_through_files(run):
    assert run("convert good.onnx a.safetensors --force")[0] == 0
    assert run("convert a.safetensors b.onnx")[0] == 0
    assert parity.from_onnx("b.onnx").batch_first


def test_a_lone_lstm_of_a_larger_model_needs_no_prefix(run):
    assert run("convert lone.safetensors lone.onnx")[0] == 0
    assert same(parity.from_onnx("lone.onnx").params(), drawn())


def test_options_of_a_node_come_with_its_module(run):
    code, out, _ = run("inspect node.onnx")
    assert (code, out.splitlines()[-1]) == (
        0,
        (
            "its options, batch_first among them, come with the module of "
            "parity.from_onnx(path)"
        ),
    )


def test_streaming_has_the_states_in_and_out(run):
    assert run("convert a.safetensors b.onnx --streaming")[0] == 0
    names = [value.name for value in onnx.load("b.onnx").graph.input]
    assert names == ["xs", "h", "c"]


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="compares with torch"
)
def test_check_runs_the_nodes_of_the_file_too(run):
    code, out, err = run("check good.onnx --dtype float32 --json a.json")
    assert (code, err) == (0, "")
    assert "onnxruntime ys" in out
    assert '"onnxruntime h_n"' in Path("a.json").read_text("utf-8")


REFUSED = {
    "convert a.safetensors d.npz --streaming": (
        "convert: --streaming must come with ONNX: no other format has a graph, and "
        "DST is npz. Leave it out, or use --to onnx."
    ),
    "convert two.safetensors d.onnx": (
        "convert: ONNX must be written of one LSTM, under its short names: SRC has "
        "LSTMs at 'x.', 'y.'. Use --prefix with one of these."
    ),
    "convert both.safetensors d.onnx --streaming": (
        "to_onnx: streaming=True must be of one direction: the reverse one starts at "
        "the end of a sequence, which has not come yet. Leave streaming out, and give "
        "whole sequences."
    ),
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_written_is_one_sentence(command, run, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert run(command) == (2, "", f"python -m parity: {REFUSED[command]}\n")
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_too_large_for_protobuf_is_refused(run, monkeypatch):
    monkeypatch.setattr("parity.convert.onnx.target._MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="protobuf ends there") as caught:
        _ = parity.to_onnx(drawn(num_layers=2))
    assert str(caught.value) == (
        "to_onnx: the parameters must have at most 1000 bytes, not 1344: protobuf ends "
        "there. Cast them to float16, or convert each layer."
    )
    monkeypatch.setattr("parity.files.kinds.onnx.MOST_ONNX", 1000)
    code, _, err = run("inspect good.onnx")
    assert code == 2
    assert "bytes, and protobuf ends at 1000. Save its tensors beside it: " in err
