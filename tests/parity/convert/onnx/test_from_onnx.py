"""`from_onnx`: LSTM nodes as exporters write them, and what is refused by name."""

import io
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import lstm_jax
import parity
from parity.arrays import same_bits
from parity.files.bounds import SHARED_MORE
from tests.given.libraries import file_of
from tests.given.onnx_models import B, H, I, T, drawn, external, model, single

pytestmark = pytest.mark.usefixtures("unoptimised")


def assert_same(module, params):
    found = module.params()
    assert found.keys() == params.keys()
    for name, array in found.items():
        assert same_bits(np.asarray(array), params[name]), name


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"bias": False}])
@pytest.mark.parametrize("opset", [7, 14, 22])
def test_a_single_node_is_one_layer(options, opset):
    params = drawn(**options)
    way = "bidirectional" if "bidirectional" in options else "forward"
    module = parity.from_onnx(single(params, opset, direction=way))
    assert isinstance(module, lstm_jax.LSTM)
    assert not module.batch_first
    assert_same(module, params)


def test_the_layout_is_the_order_of_the_batch():
    assert parity.from_onnx(single(drawn(), layout=1)).batch_first


def test_the_size_may_be_left_out():
    assert_same(parity.from_onnx(single(drawn(), hidden_size=None)), drawn())


def test_torchs_names_of_activations_are_those_of_any_case():
    names = ["sigmoid", "TANH", "Tanh"]
    assert_same(parity.from_onnx(single(drawn(), activations=names)), drawn())


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"activations": ["Relu", "Tanh", "Tanh"]},
        "its activations are Relu, Tanh, Tanh, not Sigmoid, Tanh, Tanh",
    ),
    ({"clip": 3.0}, "it clips its gates at 3"),
    ({"input_forget": 1}, "its input and forget gates are coupled (input_forget)"),
    ({"hidden_size": 5}, "its hidden_size is 5, and its R has 4 columns"),
    ({"layout": 2}, "its layout is 2, neither 0 nor 1"),
    ({"direction": "sideways"}, "its direction is 'sideways'"),
    (
        {"direction": "bidirectional"},
        "the shape of its W is [1, 16, 5], not [2, 16, 5]",
    ),
    (
        {"extra": {"P": np.ones((1, 3 * H), "f")}},
        "it has peepholes (P), and torch's LSTM has none",
    ),
]


@pytest.mark.parametrize(("values", "reason"), REFUSED, ids=str)
def test_another_function_is_refused_by_name(values, reason):
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.from_onnx(single(drawn(), **values))
    assert str(caught.value) == (
        f"from_onnx: the LSTM node 'the node': {reason}. It is another function, or "
        "not whole: convert an LSTM as torch's."
    )


def test_peepholes_of_zero_are_none():
    zeros = {"P": np.zeros((1, 3 * H), "f")}
    assert_same(parity.from_onnx(single(drawn(), extra=zeros)), drawn())


DIFFERS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"direction": "reverse"},
        "reverse",
        "runs in reverse only: a module needs its inputs turned around",
    ),
    (
        {"extra": {"h": np.ones((1, B, H), "f"), "c": np.zeros((1, B, H), "f")}},
        "initial state",
        "starts from a state of its own: a module starts at zero",
    ),
    (
        {"extra": {"lengths": np.array([7, 2, 3], np.int32)}},
        "lengths",
        "has lengths of its own: a module is given them at each call",
    ),
]


@pytest.mark.parametrize(("values", "name", "sentence"), DIFFERS, ids=str)
def test_what_a_caller_must_do_is_allowed_by_name(values, name, sentence):
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.from_onnx(single(drawn(), **values))
    assert str(caught.value) == (
        f"from_onnx: the LSTM node 'the node' {sentence}. Use allow={name!r}, and do "
        "so."
    )
    found = parity.from_onnx(single(drawn(), **values), allow=name)
    assert_same(found, drawn())
    with pytest.raises(ValueError, match="must name") as caught:
        _ = parity.from_onnx(single(drawn()), allow=name)
    assert str(caught.value) == (
        "from_onnx: allow must name what differs in this model, not "
        f"{name!r}: there is none. Leave it out."
    )


def test_a_state_of_zeros_is_none():
    zeros = {name: np.zeros((1, B, H), "f") for name in ("h", "c")}
    assert_same(parity.from_onnx(single(drawn(), extra=zeros)), drawn())


def two_nodes(between: list[Any], **values: Any) -> onnx.ModelProto:
    """The same node twice, with nodes between `Y` of one and `X2` of the other."""
    first = single(drawn(), **values)
    node, other = first.graph.node[0], onnx.NodeProto()
    other.CopyFrom(node)
    other.name, other.output[0] = "second", "Y2"
    other.input[0], other.input[1] = "X2", "W2"
    first.graph.node.extend([*between, other])
    array = np.random.default_rng(3).uniform(-1, 1, (1, 4 * H, H)).astype("f")
    first.graph.initializer.append(onnx.numpy_helper.from_array(array, "W2"))
    return first


def squeezed(axes: list[int]) -> list[Any]:
    return [helper.make_node("Squeeze", ["Y"], ["X2"], axes=axes)]


def turned(*perm: int) -> list[Any]:
    """`Squeeze`, then a `Transpose` of what is left."""
    nodes = squeezed([1])
    nodes[0].output[0] = "Z"
    return [*nodes, helper.make_node("Transpose", ["Z"], ["X2"], perm=perm)]


def test_nodes_that_feed_each_other_are_layers():
    module = parity.from_onnx(two_nodes(squeezed([1]), opset=11))
    assert module.spec.num_layers == 2
    assert parity.from_onnx(two_nodes(squeezed([1]), opset=11), node="second")


def test_nodes_that_feed_each_other_otherwise_are_not():
    crossed = two_nodes(turned(1, 0, 2), opset=11)
    with pytest.raises(ValueError, match="must name one LSTM") as caught:
        _ = parity.from_onnx(crossed)
    assert str(caught.value) == (
        "from_onnx: node=None must name one LSTM: there are 'second', 'the node'. Use "
        "one of these."
    )
    assert parity.from_onnx(crossed, node="second").spec.input_size == H
    assert parity.from_onnx(crossed, node="the node").spec.input_size == I
    with pytest.raises(ValueError, match="must be an LSTM node") as caught:
        _ = parity.from_onnx(crossed, node="third")
    assert str(caught.value) == (
        "from_onnx: node='third' must be an LSTM node: there are 'second', 'the "
        "node'. Use one of these."
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2}, {"num_layers": 3, "bidirectional": True, "bias": False}],
    ids=str,
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_what_torch_exports_comes_back(options, batch_first):
    import torch

    params = drawn(**options)
    arguments = {"num_layers": 1, **options}
    module = torch.nn.LSTM(I, H, batch_first=batch_first, **arguments).eval()
    tensors = {name: torch.tensor(array) for name, array in params.items()}
    assert not module.load_state_dict(tensors).missing_keys
    file, axes = io.BytesIO(), {"x": {0: "first", 1: "second"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export: Any = torch.onnx.export
        _ = export(
            module,
            (torch.zeros(T, B, I),),
            file,
            dynamo=False,
            input_names=["x"],
            dynamic_axes=axes,
        )
    found = parity.from_onnx(onnx.load_model_from_string(file.getvalue()))
    assert found.batch_first == batch_first
    assert_same(found, params)


def test_weights_may_be_made_of_constants():
    """As torch writes them where it folds nothing: parts, joined and given an axis."""
    whole = single(drawn(), opset=13)
    graph = whole.graph
    held = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    nodes, tensors = [], {"zero": np.array([0]), "axis": np.array([1])}
    for name, array in held.items():
        tensors |= {f"{name}a": array[0, :3], f"{name}b": array[0, 3:]}
        parts = [f"{name}a", f"{name}b"]
        nodes.append(helper.make_node("Concat", parts, [f"{name}c"], axis=0))
        nodes.append(helper.make_node("Unsqueeze", [f"{name}c", "zero"], [name]))
    made = model([*nodes, graph.node[0]], tensors, opset=13)
    assert_same(parity.from_onnx(made), drawn())


def test_a_weight_that_grows_without_end_is_refused():
    """Twice itself, twenty times over."""
    whole = single(drawn(), opset=13)
    whole.graph.node[0].input[1] = "W15"
    whole.graph.initializer[0].name = "W0"
    for k in range(15):
        pair = [f"W{k}"] * 400
        node = helper.make_node("Concat", pair, [f"W{k + 1}"], axis=2)
        whole.graph.node.insert(k, node)
    with pytest.raises(NotImplementedError, match="much larger than what") as caught:
        _ = parity.from_onnx(whole)
    assert "its W is no constant: it is computed, and" in str(caught.value)
    assert SHARED_MORE == 2**20


def test_a_weight_that_is_an_input_is_refused():
    whole = single(drawn())
    del whole.graph.initializer[0]
    with pytest.raises(NotImplementedError, match="no constant: it is an input of"):
        _ = parity.from_onnx(whole)


def test_other_sources_are_refused(tmp_path):
    with pytest.raises(TypeError) as caught:
        _ = parity.from_onnx(3)
    assert str(caught.value) == (
        "from_onnx: source must be a path or an onnx.ModelProto, not int: LSTM nodes "
        "are read from it. Use onnx.load(path, load_external_data=False)."
    )
    path = tmp_path / "x.safetensors"
    parity.write_tensors(drawn(), path)
    with pytest.raises(ValueError, match="must be a model of ONNX") as caught:
        _ = parity.from_onnx(path)
    assert str(caught.value) == (
        f"from_onnx: {path} must be a model of ONNX: it is safetensors. Use "
        "parity.read_tensors(path)."
    )
    node = helper.make_node("Relu", ["X"], ["Y"])
    with pytest.raises(ValueError, match="must have an LSTM node") as caught:
        _ = parity.from_onnx(model([node], {}))
    assert str(caught.value) == (
        "from_onnx: source must have an LSTM node: its nodes are Relu. Export it with "
        "LSTM nodes, as torch.onnx.export(..., dynamo=False) and parity.to_onnx write "
        "them."
    )


def test_tensors_beside_a_model_are_read_from_its_folder_only(tmp_path):
    weight = onnx.numpy_helper.to_array(single(drawn()).graph.initializer[0])
    _ = (tmp_path / "weights.bin").write_bytes(b"1234" + weight.tobytes())
    told = {"offset": "4", "length": str(weight.nbytes)}
    proto = external("weights.bin", **told)
    path = tmp_path / "x.onnx"
    _ = path.write_bytes(proto)
    assert_same(parity.from_onnx(path), drawn())
    with pytest.raises(ValueError, match="no folder") as caught:
        _ = parity.from_onnx(onnx.load_model_from_string(proto))
    assert str(caught.value) == (
        "from_onnx: source cannot be read as ONNX: its tensors are in 'weights.bin', "
        "and a model in memory has no folder. Give the path of the file."
    )


def test_without_onnx_the_install_is_named(tmp_path, monkeypatch):
    path = tmp_path / "x.onnx"
    _ = path.write_bytes(single(drawn()).SerializeToString())
    monkeypatch.setattr("parity.files.kinds.onnx.find_spec", lambda _: None)
    sentence = (
        "onnx must be installed: it is an ONNX model. Use pip install 'lstm-jax[onnx]'."
    )
    with pytest.raises(ModuleNotFoundError) as caught:
        _ = parity.from_onnx(path)
    assert str(caught.value) == f"{path}: {sentence}"
    for function, why in ((parity.to_onnx, "makes"), (parity.from_onnx, "parses")):
        with pytest.raises(ModuleNotFoundError) as caught:
            _ = function(drawn())
        assert str(caught.value) == (
            f"{function.__name__}: onnx must be installed: it {why} the model. Use pip "
            "install 'lstm-jax[onnx]'."
        )


def test_silero_vad_is_one_training_in_every_file():
    """The graph makes the weights of its nodes of torch's, by slices and joins."""
    jit = parity.read_tensors(file_of("silero_vad", "data", "silero_vad.jit"))
    cell = parity.from_torch(jit, prefix="_model.decoder.rnn.")
    path = file_of("silero_vad", "data", "silero_vad.onnx")
    node = "If_0_then_branch__Inline_0__/decoder/rnn/LSTM"
    found = parity.from_onnx(path, node=node).params()
    assert {n.removesuffix("_l0") for n in found} == cell.keys()
    for name, array in found.items():
        held = np.asarray(cell[name.removesuffix("_l0")])
        assert same_bits(np.asarray(array), held), name


def test_silero_vad_runs_in_steps_as_in_onnxruntime(tmp_path):
    """45 steps, each from the state of the last: h 1.9e-5 and c 5.8e-5 is their own."""
    import onnxruntime

    path = file_of("silero_vad", "data", "silero_vad_16k_sequence.onnx")
    module = parity.from_onnx(path)
    streaming = parity.to_onnx(module, tmp_path / "x.onnx", streaming=True)
    run = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    xs = np.random.default_rng(0).standard_normal((45, 1, 128), np.float32)
    h = c = np.zeros((1, 1, 128), np.float32)
    ours: Any = (h, c)
    for x in xs:
        y, h, c = run.run(None, {"xs": x[None], "h": h, "c": c})
        ys, ours = lstm_jax.lstm(module.params(), x[None], ours)
        assert np.abs(y - np.asarray(ys)).max() < 1.9e-5
    assert np.abs(h - np.asarray(ours[0])).max() < 1.9e-5
    assert np.abs(c - np.asarray(ours[1])).max() < 5.8e-5
    assert streaming.graph.name == "lstm_jax"
