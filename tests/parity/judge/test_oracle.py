"""The oracle against torch in float64, finite differences, and its own laws."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from parity.judge import oracle, tolerance
from parity.judge.cases import CASES, Case
from parity.verify import sides

WIDE = np.longdouble
LENGTHS = np.array([4, 7, 0])


def drawn(**options):
    """Parameters, inputs, state and cotangents in extended precision."""
    case = Case(name="oracle", dtype="float64", **options)
    problem = case.draw()
    assert problem.state is not None
    params = {name: a.astype(WIDE) for name, a in problem.params.items()}
    state = [a.astype(WIDE) for a in problem.state]
    cotangents = [a[0].astype(WIDE) for a in problem.cotangents]
    return params, problem.xs.astype(WIDE), state, cotangents


# What is large is slow in extended precision, and runs the same lines.
SMALL = [case for case in CASES if case.steps < 1000 and case.hidden_size < 128]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_outputs_and_every_gradient_are_those_of_torch_in_float64(case):
    problem = Case(**{**vars(case), "dtype": "float64"}).draw()
    theirs = sides.of_torch(problem)
    right = sides.of_oracle(problem)
    assert theirs.keys() == right.keys()
    for key, exact in right.items():
        found = tolerance.distance(theirs[key], exact, "float64")
        assert found.error <= tolerance.BUDGETS["float64"], (key, found)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"num_layers": 2}])
def test_lengths_are_those_of_torch_packed_sequences(options):
    params, xs, state, cotangents = drawn(**options)
    lengths = np.array([4, 7, 1])
    result = oracle.forward(params, xs, *state, lengths=lengths)
    found = oracle.backward(result, *cotangents)
    module = torch.nn.LSTM(5, 4, **options).double()
    tensors = {k: torch.tensor(a.astype(np.float64)) for k, a in params.items()}
    _ = module.load_state_dict(tensors)
    x = torch.tensor(xs.astype(np.float64), requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(lengths), enforce_sorted=False
    )
    start = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in state]
    ys, (h, c) = module(packed, start)
    ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys)
    weights = [torch.tensor(a.astype(np.float64)) for a in cotangents]
    d_x, d_h, d_c = torch.autograd.grad((ys, h, c), (x, *start), weights)
    for ours, others in (
        (result.ys, ys), (result.h, h), (result.c, c),
        (found.xs, d_x), (found.h, d_h), (found.c, d_c),
    ):  # fmt: skip
        exact = tolerance.Exact(ours, np.zeros(1), steps=False)
        other = others.detach().numpy()
        assert (
            tolerance.distance(other, exact, "float64").error
            <= tolerance.BUDGETS["float64"]
        )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"proj_size": 2},
        {"num_layers": 2, "bidirectional": True, "proj_size": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("masks", ["none", "lengths", "resets"])
def test_gradients_are_finite_differences(options, masks):
    if masks == "resets" and options.get("bidirectional"):
        options = {**options, "bidirectional": False}
    params, xs, state, cotangents = drawn(**options)
    rng = np.random.default_rng(1)
    extra = {}
    if masks == "lengths":
        extra["lengths"] = LENGTHS
    if masks == "resets":
        extra["resets"] = rng.random(xs.shape[:2]) < 0.3
        drawn_state = (rng.standard_normal(a.shape).astype(WIDE) for a in state)
        extra["reset_state"] = tuple(drawn_state)
    arrays = {**params, "xs": xs, "h": state[0], "c": state[1]}
    if masks == "resets":
        arrays |= dict(zip(("reset_h", "reset_c"), extra["reset_state"], strict=True))

    def run(values):
        if masks == "resets":
            extra["reset_state"] = (values["reset_h"], values["reset_c"])
        weights = {name: values[name] for name in params}
        return oracle.forward(weights, values["xs"], values["h"], values["c"], **extra)

    def scalar(values):
        result = run(values)
        pairs = zip((result.ys, result.h, result.c), cotangents, strict=True)
        return sum((a * b).sum() for a, b in pairs)

    found = oracle.backward(run(arrays), *cotangents)
    gradients = {
        **found.params,
        **{n: getattr(found, n) for n in arrays if n not in params},
    }
    for name, array in arrays.items():
        direction = rng.standard_normal(array.shape).astype(WIDE)
        step = WIDE(1e-6)
        ahead = scalar({**arrays, name: array + step * direction})
        behind = scalar({**arrays, name: array - step * direction})
        slope = (gradients[name] * direction).sum()
        # The error of a central difference is step**2 times the third derivative.
        assert abs((ahead - behind) / (2 * step) - slope) < 1e-9 * (1 + abs(slope)), (
            name
        )


def test_each_run_and_each_set_of_cotangents_is_by_itself():
    params, xs, state, cotangents = drawn(num_layers=2, proj_size=2)
    scales = np.array([1, 2, 3], WIDE)
    repeated = [np.stack([a * s for s in scales], axis=1) for a in (xs, *state)]
    result = oracle.forward(params, *repeated)
    doubled = [np.stack([a, 2 * a], axis=1)[:, :, None] for a in cotangents]
    full = [np.broadcast_to(a, (*a.shape[:2], 3, *a.shape[3:])) for a in doubled]
    found = oracle.backward(result, *full)
    for k, scale in enumerate(scales):
        alone = oracle.forward(params, xs * scale, *(a * scale for a in state))
        assert_array_equal(result.ys[:, k], alone.ys)
        gradients = oracle.backward(alone, *cotangents)
        for name, gradient in gradients.params.items():
            exact = tolerance.Exact(gradient, np.zeros(1), steps=False)
            for times in (1, 2):
                one = (found.params[name][times - 1, k] / times).astype(np.float64)
                assert tolerance.distance(one, exact, "float64").error < 1


def test_a_row_of_length_zero_keeps_its_state_and_has_no_gradient():
    params, xs, state, cotangents = drawn()
    xs[:, 2] = np.nan
    result = oracle.forward(params, xs, *state, lengths=LENGTHS)
    found = oracle.backward(result, *cotangents)
    assert_array_equal(result.h[:, 2], state[0][:, 2])
    assert_array_equal(result.ys[:, 2], 0)
    assert_array_equal(found.xs[:, 2], 0)
    assert_array_equal(found.h[:, 2], cotangents[1][:, 2])
    assert all(np.isfinite(a).all() for a in found.params.values())
