"""The check passes what is right and fails, by name, what is wrong."""

import json
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import lstm_jax
import parity
from parity.judge.cases import CASES, DRAWS_PER_SHAPE, random_case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_within_the_budget(case):
    report = parity.check_case(case)
    assert report.ok, str(report)
    half = case.dtype in ("bfloat16", "float16")
    assert {row.budget for row in report.rows} == {4.0 if half else 32.0}


def test_draws_are_within_the_budget():
    # The seed is this day's own: any must pass.
    for index in range(0, 6 * DRAWS_PER_SHAPE, DRAWS_PER_SHAPE):
        report = parity.check_case(random_case(20261122, index))
        assert report.ok, str(report)


@pytest.mark.slow
def test_three_hundred_draws_are_within_the_budget():
    reports = [parity.check_case(random_case(2, index)) for index in range(300)]
    assert all(report.ok for report in reports)
    ratios = {}
    for dtype in parity.DTYPES:
        own = [report for report in reports if report.facts["dtype"] == dtype]
        rows = [row for report in own for row in report.rows]
        ratios[dtype] = parity.Report(dtype, rows).ratio_to_torch()
    assert 0.8 < ratios["float32"] < 1.25, ratios
    assert 0.8 < ratios["float64"] < 1.25, ratios
    # Torch rounds the cell and more of its sums to half types: 0.4 and 0.3, measured.
    assert 0.1 < ratios["bfloat16"] < 1, ratios
    assert 0.1 < ratios["float16"] < 1, ratios


@pytest.mark.parametrize("seed", range(5))
def test_three_hundred_draws_hit_each_option_ten_times(seed):
    cases = [random_case(seed, index) for index in range(300)]
    options = {
        "layers": lambda c: c.num_layers,
        "directions": lambda c: c.bidirectional,
        "projection": lambda c: c.proj_size > 0,
        "bias": lambda c: c.bias,
        "state": lambda c: c.given_state,
        "type": lambda c: c.dtype,
        "batch axes": lambda c: len(c.batch),
        "empty batch": lambda c: 0 in c.batch,
        "steps": lambda c: min(c.steps, 2) if c.steps <= 64 else "long",
        "scale": lambda c: c.scale > 1,
        "lengths": lambda c: c.lengths,
        "resets": lambda c: c.resets,
        "reset state": lambda c: c.resets and c.reset_state,
        "lengths and resets": lambda c: c.lengths and c.resets,
    }
    values = {"layers": 4, "batch axes": 3, "steps": 4, "type": 4}
    for name, option in options.items():
        found = [option(case) for case in cases]
        counts = {value: found.count(value) for value in set(found)}
        assert len(counts) == values.get(name, 2), (name, counts)
        assert min(counts.values()) >= 10, (name, counts)


def test_a_draw_does_not_depend_on_how_many_there_are():
    assert random_case(5, 17) == random_case(5, 17)
    assert random_case(5, 17) != random_case(6, 17)
    first, last = random_case(5, 0), random_case(5, DRAWS_PER_SHAPE - 1)
    assert first.spec == last.spec
    assert first.seed != last.seed


def test_wrongly_converted_weights_are_named_with_their_gates():
    module = torch.nn.LSTM(5, 4, num_layers=2)
    params = parity.from_torch(module.state_dict())
    i, f, g, o = jnp.split(params["weight_hh_l1"], 4)
    params["weight_hh_l1"] = jnp.concatenate([i, g, f, o])
    report = parity.check(module, params)
    assert not report.ok
    assert report.advice == [
        "The weights given differ in weight_hh_l1 (gates f, g).",
        (
            "First wrong: h_n at layer 1, forward; c_n at layer 1, forward; "
            "ys at time step 0."
        ),
    ]


def test_onnx_order_is_recognised():
    module = torch.nn.LSTM(5, 4)
    params = parity.from_torch(module.state_dict())
    for name, array in params.items():
        i, f, g, o = jnp.split(array, 4)
        params[name] = jnp.concatenate([i, o, f, g])
    report = parity.check(module, params)
    assert report.advice[0] == (
        "Reading the gates as i, o, f, g makes it pass. Is the source in the order of "
        "ONNX?"
    )


def test_the_first_wrong_time_step_is_named():
    def late(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return ys.at[5].multiply(1.001), after

    report = parity.check(torch.nn.LSTM(5, 4), run=late)
    assert report.advice == ["First wrong: ys at time step 5."]


def test_a_wrong_gradient_names_layer_direction_and_gate():
    @jax.custom_vjp
    def scaled(bias):
        return bias

    def backward(_, gradient):
        return (gradient.at[9].multiply(1.01),)  # H = 4: gate g

    _ = scaled.defvjp(lambda bias: (bias, None), backward)

    def run(params, xs, state):
        name = "bias_ih_l1_reverse"
        return lstm_jax.lstm({**params, name: scaled(params[name])}, xs, state)

    report = parity.check(torch.nn.LSTM(5, 4, 2, bidirectional=True), run=run)
    assert {row.tensor for row in report.rows if not row.ok} == {"d_bias_ih_l1_reverse"}
    assert report.advice == [
        "First wrong: d_bias_ih_l1_reverse at layer 1, reverse, gate g."
    ]


def test_a_function_that_returns_other_shapes_fails_without_gradients():
    def run(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return ys[:-1], after

    report = parity.check(torch.nn.LSTM(5, 4), run=run)
    assert not report.ok
    assert report.messages()[0] == (
        "FAIL ys: is float32[6, 3, 4], must be float32[7, 3, 4]."
    )


def test_outputs_without_gradients_are_checked_too():
    """Where nothing is differentiated another program may run."""

    @jax.custom_jvp
    def spoilt(ys):
        return 1.01 * ys

    @spoilt.defjvp
    def _right(primals, tangents):
        return primals[0], tangents[0]

    def run(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return spoilt(ys), after

    report = parity.check(torch.nn.LSTM(3, 4), run=run)
    assert {row.tensor for row in report.rows if not row.ok} == {"ys"}


def test_a_silent_detour_through_fewer_bits_fails():
    def half(params, xs, state):
        return lstm_jax.lstm(params, xs, state, dtype="bfloat16")

    report = parity.check(torch.nn.LSTM(5, 4), run=half)
    assert not report.ok
    assert report.messages()[0].startswith(
        "FAIL ys: is bfloat16[7, 3, 4], must be float32"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.nn.LSTM(5, 4, 2, bidirectional=True, batch_first=True),
        lambda: torch.nn.LSTMCell(5, 4),
        lambda: torch.nn.LSTM(5, 4).half(),
        lambda: torch.nn.LSTM(5, 4).bfloat16(),
        lambda: lstm_jax.LSTM(5, 4, proj_size=2, rngs=nnx.Rngs(0)),
        lambda: lstm_jax.LSTMCell(5, 4, rngs=nnx.Rngs(0)),
        lambda: lstm_jax.init_params(jax.random.key(0), 5, 4),
        lambda: torch.nn.LSTM(5, 4).state_dict(),
    ],
)
def test_modules_cells_and_mappings_are_checked(make):
    report = parity.check(make(), batch=(2, 2), steps=3)
    assert report.ok, str(report)
    assert all(row.torch is not None for row in report.rows)


@pytest.mark.parametrize("dtype", parity.DTYPES)
@pytest.mark.parametrize("own", [torch.float16, torch.float64])
def test_weights_of_any_type_are_checked_in_every_type(own, dtype):
    report = parity.check(torch.nn.LSTM(5, 4).to(own), dtype=dtype)
    assert report.ok, str(report)


@pytest.mark.parametrize("batch", [0, (), 1])
def test_empty_and_unbatched_inputs_are_checked(batch):
    assert parity.check(torch.nn.LSTM(5, 4), batch=batch).ok
    assert parity.check(torch.nn.LSTM(5, 4), batch=batch, steps=0).ok


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_lengths_and_resets_are_checked_with_any_batch(batch):
    module = torch.nn.LSTM(5, 4, 2, proj_size=2)
    masks: Any = {"lengths": True, "resets": True, "reset_state": True}
    report = parity.check(module, batch=batch, **masks)
    assert report.ok, str(report)
    assert {"d_reset_h", "d_reset_c"} < {row.tensor for row in report.rows}
    assert all(row.torch is not None for row in report.rows)


def test_a_function_of_ones_own_is_given_the_masks():
    def run(params, xs, state, *, lengths, resets):
        assert (lengths.shape, resets.shape, resets.dtype) == ((3,), (7, 3), bool)
        return lstm_jax.lstm(params, xs, state, lengths=lengths, resets=resets)

    assert parity.check(torch.nn.LSTM(5, 4), run=run, lengths=True, resets=True).ok


def test_what_is_checked_is_not_changed():
    module = torch.nn.LSTM(5, 4)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert parity.check(module).ok
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert module.get_parameter(name).grad is None


def test_a_check_of_nothing_is_not_ok():
    report = parity.Report("nothing", [])
    assert not report.ok
    assert report.messages() == ["FAIL: nothing was compared."]


def test_a_report_is_a_table_json_and_markdown():
    report = parity.check(torch.nn.LSTM(5, 4))
    tensors = [row.tensor for row in report.worst()]
    assert tensors[:6] == ["ys", "h_n", "c_n", "d_xs", "d_h0", "d_c0"]
    assert tensors[6:] == [f"d_{name}" for name in torch.nn.LSTM(5, 4).state_dict()]
    assert len(report.rows) == 3 + 4 * 7
    for tensor in tensors:
        assert tensor in str(report)
        assert f"| {tensor}" in report.to_markdown()
    found = json.loads(report.to_json())
    assert found["ok"] is True
    assert len(found["rows"]) == len(report.rows)
    assert found["facts"]["hidden_size"] == 4


def test_json_keeps_what_is_not_finite():
    report = parity.check(
        torch.nn.LSTM(5, 4), run=partial(lstm_jax.lstm, dtype="float16")
    )
    found = json.loads(report.to_json())
    assert found["ok"] is False
    assert found["rows"][0]["found"]["error"] == "inf"


def test_bad_arguments_of_check_are_one_sentence(no_jaxtyping):
    with pytest.raises(TypeError) as caught:
        _ = parity.check(3)
    assert str(caught.value) == (
        "check: module must be an LSTM, an LSTMCell or a mapping, not int: its weights "
        "are compared. Use a state dict of torch's names."
    )
    with pytest.raises(ValueError, match="dtype") as caught:
        _ = parity.check(torch.nn.LSTM(5, 4), dtype="float8_e5m2")
    assert str(caught.value) == (
        "check: dtype='float8_e5m2' must be one of float32, float64, bfloat16, "
        "float16: the tolerance is known for these. Use 'float32'."
    )
    with pytest.raises(ValueError, match="bidirectional") as caught:
        _ = parity.check(torch.nn.LSTM(5, 4, bidirectional=True), resets=True)
    assert str(caught.value) == (
        "check: resets=True must not be asked of a bidirectional LSTM: its reverse "
        "direction would see the next sequence. Use lengths."
    )
    with pytest.raises(ValueError, match="reset_state") as caught:
        _ = parity.check(torch.nn.LSTM(5, 4), reset_state=True)
    assert str(caught.value) == (
        "check: reset_state=True must come with resets: it is the state after one. "
        "Use resets=True."
    )


def test_the_check_runs_without_torch(monkeypatch):
    monkeypatch.setattr("parity.verify.sides.torch.has_torch", lambda: False)
    report = parity.check(lstm_jax.init_params(jax.random.key(0), 5, 4))
    assert report.ok
    assert all(row.torch is None for row in report.rows)
    assert np.isnan(report.ratio_to_torch())


def test_a_function_that_changed_is_checked_anew():
    right = True

    def run(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return (ys if right else 2 * ys), after

    params = lstm_jax.init_params(jax.random.key(0), 5, 4)
    assert parity.check(params, run=run).ok
    right = False
    assert not parity.check(params, run=run).ok


def test_weights_that_overflow_the_type_are_refused():
    params = torch.nn.LSTM(5, 4).double().state_dict()
    params["bias_ih_l0"][2] = 1e300
    with pytest.raises(ValueError, match="finite") as caught:
        _ = parity.check(params)
    assert str(caught.value) == (
        "check: bias_ih_l0 must be finite: it holds 1 values that are not, the first "
        "at [2]. Repair the weights first."
    )
    assert parity.check(params, dtype="float64").rows


def test_quantised_weights_are_refused():
    params = dict(torch.nn.LSTM(5, 4).state_dict())
    params["weight_hh_l0"] = params["weight_hh_l0"].to(torch.int8)
    with pytest.raises(TypeError) as caught:
        _ = parity.check(params)
    assert str(caught.value) == (
        "check: weight_hh_l0.dtype=int8 must be a floating type: the equations are "
        "real. Convert a quantised model back first."
    )


@pytest.mark.parametrize("name", ["batch", "steps", "seed"])
def test_sizes_below_zero_are_refused(name):
    sizes: Any = {name: -1}
    with pytest.raises(ValueError, match=name) as caught:
        _ = parity.check(torch.nn.LSTM(5, 4), **sizes)
    assert str(caught.value) == (
        f"check: {name}=-1 must be a whole number of 0 or more: arrays of that size "
        "are drawn. Use the default."
    )


def test_a_function_that_returns_no_pair_is_told_so():
    def outputs_alone(_params, xs, _state):
        return xs

    def in_one_row(_params, xs, _state):
        return xs, xs, None

    for run, found in (
        (outputs_alone, "an array"),
        (in_one_row, "(an array, an array, NoneType)"),
    ):
        with pytest.raises(TypeError) as caught:
            _ = parity.check(torch.nn.LSTM(5, 4), run=run)
        assert str(caught.value).splitlines()[0] == (
            f"check: run must return (ys, (h, c)), not {found}: outputs and the state "
            "after are compared. Return both."
        )


def test_converted_modules_are_weights_too():
    module = torch.nn.LSTM(5, 4)
    assert parity.check(module, parity.from_torch(module)).ok
