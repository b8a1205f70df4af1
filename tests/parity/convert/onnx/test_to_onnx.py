"""`to_onnx`: what is written runs in onnxruntime, and comes back bit for bit."""

from typing import Any

import numpy as np
import onnx
import pytest
from flax import nnx

import lstm_jax
import parity
from parity.convert.onnx.lint import RULES
from parity.judge.cases import Case
from parity.judge.exact import of_oracle
from parity.judge.tolerance import Exact
from tests.given.onnx_models import B, H, I, T, drawn, same, session

MOST = 8.0  # roundings
SINGLE: dict[str, Any] = {}
STACK = {"num_layers": 3, "bidirectional": True}
THREE = {"num_layers": 3}


def model_names(model):
    parts = (model.graph.input, model.graph.output)
    return [[value.name for value in part] for part in parts]


def case_of(steps=T, rows=B, lengths=False, **options):
    sizes: dict[str, Any] = {"input_size": I, "hidden_size": H, "steps": steps}
    sizes |= {"batch": (rows,), "lengths": lengths}
    return Case(name="onnx", **sizes, **options)


def worst(case, exact: dict[Any, Exact], outputs) -> float:
    names = ("ys", "h_n", "c_n")
    return max(
        case.distance(name, found, exact[name, ""]).error
        for name, found in zip(names, outputs, strict=True)
    )


@pytest.mark.parametrize(
    "options",
    [SINGLE, THREE, STACK, {"bias": False}, {"bias": False, **STACK}],
    ids=str,
)
@pytest.mark.parametrize("lengths", [False, True])
def test_it_runs_at_every_batch_and_length(options, lengths):
    run = session(parity.to_onnx(drawn(**options), lengths=lengths, state=True))
    for rows, steps in ((1, 1), (B, T), (8, 2)):
        case = case_of(steps, rows, lengths, **options)
        problem = case.draw(drawn(**options))
        assert problem.state is not None
        h, c = problem.state
        given = {"xs": problem.xs, "h": h, "c": c}
        if lengths:
            assert problem.lengths is not None
            given["lengths"] = problem.lengths.astype(np.int32)
        assert worst(case, of_oracle(problem), run.run(None, given)) < MOST


@pytest.mark.parametrize("options", [SINGLE, THREE])
@pytest.mark.parametrize("piece", [1, 7, 64])
def test_pieces_give_the_numbers_of_the_whole(options, piece):
    run = session(parity.to_onnx(drawn(**options), streaming=True))
    case = case_of(64 + 3, **options)
    problem = case.draw(drawn(**options))
    assert problem.state is not None
    (h, c), parts = problem.state, []
    for at in range(0, len(problem.xs), piece):
        xs = problem.xs[at : at + piece]
        ys, h, c = run.run(["ys", "h_n", "c_n"], {"xs": xs, "h": h, "c": c})
        parts.append(ys)
    assert worst(case, of_oracle(problem), (np.concatenate(parts), h, c)) < MOST


@pytest.mark.parametrize("options", [SINGLE, THREE, STACK, {"bias": False}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_module_comes_back_as_it_was(options, dtype, tmp_path):
    params, path = drawn(dtype=dtype, **options), tmp_path / "x.onnx"
    module = lstm_jax.LSTM.from_params(params, batch_first=True, dropout=0.25)
    _ = parity.to_onnx(module, path)
    back = parity.from_onnx(path)
    assert isinstance(back, lstm_jax.LSTM)
    assert (back.batch_first, back.dropout) == (True, 0.25)
    assert same(back.params(), params)
    assert [p.name for p in tmp_path.iterdir()] == ["x.onnx"]


def test_the_config_of_a_changed_graph_is_not_believed():
    model = parity.to_onnx(lstm_jax.LSTMCell(I, H, rngs=nnx.Rngs(0)))
    assert isinstance(parity.from_onnx(model), lstm_jax.LSTMCell)
    model.graph.node[0].name = "another"
    assert isinstance(parity.from_onnx(model), lstm_jax.LSTM)
    model.metadata_props[0].value = '{"class": "LSTMModel", "options": {"outputs": 3}}'
    assert isinstance(parity.from_onnx(model), lstm_jax.LSTM)


def test_names_and_versions_are_a_contract():
    plain = parity.to_onnx(drawn())
    assert model_names(plain) == [["xs"], ["ys", "h_n", "c_n"]]
    full = parity.to_onnx(drawn(**STACK), lengths=True, state=True)
    assert model_names(full) == [["xs", "lengths", "h", "c"], ["ys", "h_n", "c_n"]]
    versions = {(m.opset_import[0].version, m.ir_version) for m in (plain, full)}
    assert versions == {(9, 4)}
    dims = [v.type.tensor_type.shape.dim for v in (*full.graph.input,)]
    shapes = [[d.dim_param or d.dim_value for d in one] for one in dims]
    state = [6, "batch", H]
    assert shapes == [["time", "batch", I], ["batch"], state, state]


def test_no_lower_version_holds_the_graph():
    model = parity.to_onnx(drawn(**STACK), state=True)
    model.opset_import[0].version, model.ir_version = 8, 3
    with pytest.raises(onnx.checker.ValidationError, match="in initializer but not"):
        onnx.checker.check_model(model)


def test_losses_are_refused():
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_onnx(drawn(proj_size=2))
    assert str(caught.value) == (
        "to_onnx: ONNX has no projection. It is a part of the function: convert an "
        "LSTM without one."
    )
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_onnx(drawn(bidirectional=True), streaming=True)
    assert str(caught.value) == (
        "to_onnx: streaming=True must be of one direction: the reverse one starts at "
        "the end of a sequence, which has not come yet. Leave streaming out, and give "
        "whole sequences."
    )
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_onnx(drawn(dtype="bfloat16"))
    assert str(caught.value) == (
        "to_onnx: the type of all parameters must be one of float32, float64, float16, "
        "not bfloat16: no runtime has another LSTM. Cast them first."
    )
    with pytest.raises(ValueError, match="torch's names") as caught:
        _ = parity.to_onnx(drawn() | {"fc.weight": np.ones((2, 2))})
    assert str(caught.value) == (
        "to_onnx: source must have torch's names of one LSTM, LSTMCell or LSTMModel: "
        "it has 'fc.weight'. Give the LSTM alone."
    )


def test_nothing_is_written_where_the_model_is_wrong(tmp_path, monkeypatch):
    def changed(model: Any, *_: Any, **__: Any) -> None:
        raise onnx.checker.ValidationError("wrong")

    monkeypatch.setattr(onnx.checker, "check_model", changed)
    with pytest.raises(onnx.checker.ValidationError):
        _ = parity.to_onnx(drawn(), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def lint_of(**options: Any) -> set[int]:
    """The places of the sentences that are said."""
    said = parity.onnx_lint(parity.to_onnx(drawn(), **options))
    return {k for k, rule in enumerate(RULES) if rule.sentence in said}


def test_the_lint_says_what_was_written():
    assert lint_of() == {0}
    assert lint_of(lengths=True) == lint_of(lengths=True, state=True) == {0, 2}
    half = parity.onnx_lint(parity.to_onnx(drawn(dtype="float16")))
    assert half[1] == (
        "onnxruntime runs an LSTM of float16 in float32 on a CPU, and other devices in "
        "half precision: compare the numbers on the device that you ship to."
    )
    double = parity.onnx_lint(parity.to_onnx(drawn(dtype="float64")))
    assert double[1:] == ["onnxruntime has no LSTM of float64: cast it to float32."]
    run = session(parity.to_onnx(drawn(dtype="float64")))
    with pytest.raises(Exception, match="does not support double"):
        _ = run.run(None, {"xs": np.zeros((T, B, I))})


def test_the_lint_is_right_about_lengths_of_zero():
    """Without the graph's own repair, onnxruntime forgets the state of such a row."""
    model = parity.to_onnx(drawn(), lengths=True, state=True)
    kept = [n for n in model.graph.node if n.op_type not in ("Where", "Equal")]
    kept = [n for n in kept if n.name != "empty_rows_Unsqueeze"]
    for node in kept:
        if node.op_type == "LSTM":
            node.output[1], node.output[2] = "h_n", "c_n"
    del model.graph.node[:]
    model.graph.node.extend(kept)
    assert RULES[1].sentence in parity.onnx_lint(model)
    given = {"xs": np.ones((T, B, I), "f"), "lengths": np.array([T, 0, 2], np.int32)}
    given |= {name: np.ones((1, B, H), "f") for name in ("h", "c")}
    found: Any = session(model).run(None, given)
    assert [state[0, 1].any() for state in found[1:]] == [False, False]


@pytest.mark.parametrize("kind", ["LSTM", "LSTMModel"])
def test_a_type_of_products_is_lost_by_name_and_dropout_comes_back(kind):
    options = {"num_layers": 2, "dropout": 0.5, "rngs": nnx.Rngs(0)}
    sizes = (I, H, 1) if kind == "LSTMModel" else (I, H)
    make = getattr(lstm_jax, kind)
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_onnx(make(*sizes, dtype="bfloat16", **options))
    assert str(caught.value) == (
        "to_onnx: ONNX multiplies in the type of its weights and inputs. Use "
        "allow='dtype' to convert without it."
    )
    allowed = parity.to_onnx(make(*sizes, dtype="bfloat16", **options), allow="dtype")
    assert parity.from_onnx(allowed).dropout == 0.5
