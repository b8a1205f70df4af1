"""The cases of ONNX itself, and what its quantisation makes of what is written."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import lstm_jax
import parity

pytestmark = pytest.mark.slow


def conformance() -> dict[str, Any]:
    """The cases of `onnx` for LSTM nodes, by name."""
    from onnx.backend.test.case.node import collect_testcases

    return {case.name: case for case in collect_testcases("LSTM")}


def with_weights(case: Any) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A case whose inputs but the first are kept in the model; all inputs by name."""
    (inputs, _), *_ = case.data_sets
    names = [value.name for value in case.model.graph.input]
    given = dict(zip(names, map(np.asarray, inputs), strict=True))
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for name in names[1:]:
        held = onnx.numpy_helper.from_array(given[name], name)
        model.graph.initializer.append(held)
    return model, given


def assert_gives(module: Any, case: Any, xs: np.ndarray, turned: bool) -> None:
    """Assert that a module has the outputs that a case has, of inputs turned around."""
    ys, state = module(xs[::-1] if turned else xs)
    ys = ys[::-1] if turned else ys
    made = [*case.model.graph.node[0].output]
    (_, outputs), *_ = case.data_sets
    for output, exact in zip(case.model.graph.output, outputs, strict=True):
        place = made.index(output.name)
        found = np.asarray([ys, *state][place])
        if module.batch_first and place:
            found = found.swapaxes(0, 1)
        shaped = np.asarray(exact).reshape(found.shape)
        np.testing.assert_allclose(found, shaped, rtol=1e-6, atol=1e-7)


@pytest.mark.filterwarnings("ignore")
def test_every_case_of_onnx_passes_or_is_refused_by_name():
    """Their weights are constant: a wrong order of gates would pass here."""
    passed, refused = [], {}
    for name, case in conformance().items():
        model, given = with_weights(case)
        turned = "reverse" in name
        try:
            module = parity.from_onnx(model, allow=("reverse",) * turned)
        except NotImplementedError as error:
            refused[name] = str(error)
            continue
        assert_gives(module, case, next(iter(given.values())), turned)
        passed.append(name)
    assert sorted(passed) == [
        "test_lstm_batchwise",
        "test_lstm_bidirectional",
        "test_lstm_defaults",
        "test_lstm_reverse",
        "test_lstm_with_initial_bias",
    ]
    assert refused == {
        "test_lstm_with_peepholes": (
            "from_onnx: the LSTM node 'Y_h': it has peepholes (P), and torch's LSTM "
            "has none. It is another function, or not whole: convert an LSTM as "
            "torch's."
        )
    }


def error_of_quantisation(spec: lstm_jax.LSTMSpec, folder: Any) -> float:
    """Of the largest output: how far 8 bits are from float32."""
    from onnxruntime.quantization import quantize_dynamic

    rng, bound = np.random.default_rng(0), spec.hidden_size**-0.5
    params = {
        n: rng.uniform(-bound, bound, s).astype("f") for n, s in spec.shapes().items()
    }
    exact, quantised = folder / "exact.onnx", folder / "quantised.onnx"
    _ = parity.to_onnx(params, exact)
    quantize_dynamic(exact, quantised)
    xs = rng.standard_normal((50, 8, spec.input_size), np.float32)
    found: list[Any] = []
    for path in (exact, quantised):
        session = onnxruntime.InferenceSession(path)
        found.append(session.run(["ys"], {"xs": xs})[0])
    return float(np.abs(found[1] - found[0]).max() / np.abs(found[0]).max())


def test_quantisation_costs_what_the_docs_say(tmp_path):
    spec = lstm_jax.LSTMSpec(input_size=32, hidden_size=64, num_layers=2)
    error = error_of_quantisation(spec, tmp_path)
    assert 0.1 < error < 0.25
    kinds = {n.op_type for n in onnx.load(tmp_path / "quantised.onnx").graph.node}
    assert "DynamicQuantizeLSTM" in kinds
    with pytest.raises(ValueError, match="must have an LSTM node: its nodes are Dyn"):
        _ = parity.from_onnx(tmp_path / "quantised.onnx")
