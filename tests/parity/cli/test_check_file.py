"""`check FILE`: types, LSTMs that cannot be checked, and the user's own sequences."""

import json
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.__main__ import main
from parity.judge import tolerance
from parity.judge.cases import Case
from parity.verify.prepared import prepared

RNG = np.random.default_rng(0)


def save(path, **modules):
    """A file with modules at prefixes."""
    tensors = torch.nn.ModuleDict(modules).state_dict()
    parity.write_tensors(tensors, path)
    return str(path)


@pytest.fixture
def file(tmp_path):
    return save(tmp_path / "model.safetensors", lstm=torch.nn.LSTM(3, 2))


def checked_types(path):
    return [report["facts"]["dtype"] for report in json.loads(path.read_text())]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_an_lstm_is_checked_in_its_own_type_and_in_float64(dtype, tmp_path, capsys):
    lstm = torch.nn.LSTM(3, 2).to(getattr(torch, dtype))
    file, report = save(tmp_path / "f.safetensors", lstm=lstm), tmp_path / "r.json"
    assert main(["check", file, "--json", str(report)]) == 0
    assert checked_types(report) == list(dict.fromkeys([dtype, "float64"]))
    assert "ok: 1 of 1 LSTMs" in capsys.readouterr().out


def test_a_named_type_is_the_only_one(file, tmp_path, capsys):
    report = tmp_path / "r.json"
    assert main(["check", file, "--dtype", "bfloat16", "--json", str(report)]) == 0
    assert checked_types(report) == ["bfloat16"]


def test_a_large_lstm_is_left_out_of_float64_unless_asked_for(
    monkeypatch, file, tmp_path, capsys
):
    monkeypatch.setattr("parity.cli.check_file.MOST_FOR_FLOAT64", 50)
    report = tmp_path / "r.json"
    assert main(["check", file, "--json", str(report)]) == 0
    assert checked_types(report) == ["float32"]
    assert (
        "LSTM at 'lstm.': it has 56 parameters, so float64 is left out: the oracle "
        "would take minutes. Ask for it with --dtype float64" in capsys.readouterr().out
    )
    asked = ["check", file, "--dtype", "float64", "--json", str(report)]
    assert main(asked) == 0
    assert checked_types(report) == ["float64"]


def test_another_type_is_checked_in_float32_and_says_so(tmp_path, capsys):
    tensors = torch.nn.LSTM(3, 2).state_dict()
    narrow = {name: a.to(torch.float8_e4m3fn) for name, a in tensors.items()}
    path, report = tmp_path / "f8.safetensors", tmp_path / "r.json"
    parity.write_tensors(narrow, path)
    assert main(["check", str(path), "--json", str(report)]) == 0
    assert checked_types(report) == ["float32", "float64"]
    assert (
        "LSTM at '': its type is float8_e4m3fn, so it is checked in float32"
        in capsys.readouterr().out
    )


def test_mixed_types_are_checked_in_the_wider(tmp_path, capsys):
    tensors = torch.nn.LSTM(3, 2).state_dict()
    tensors["bias_ih_l0"] = tensors["bias_ih_l0"].bfloat16()
    path, report = tmp_path / "mixed.safetensors", tmp_path / "r.json"
    parity.write_tensors(tensors, path)
    assert main(["check", str(path), "--json", str(report)]) == 0
    assert checked_types(report) == ["float32", "float64"]
    assert "its type is bfloat16, float32, so it is checked in float32" in (
        capsys.readouterr().out
    )


def test_one_that_cannot_be_checked_does_not_stop_the_others(tmp_path, capsys):
    bad = torch.nn.LSTM(3, 2)
    with torch.no_grad():
        _ = bad.get_parameter("weight_hh_l0")[3, 1].fill_(torch.nan)
    quantised = {f"q.{n}": a.to(torch.int8) for n, a in bad.state_dict().items()}
    model = torch.nn.ModuleDict({"a": bad, "b": torch.nn.LSTM(4, 2)}).state_dict()
    cut = {"c.weight_ih_l0": torch.zeros(8, 3)}
    path = tmp_path / "some.safetensors"
    parity.write_tensors(model | quantised | cut, path)
    assert main(["check", str(path)]) == 2
    out, err = capsys.readouterr()
    assert "ok: 1 of 1 LSTMs" in out
    assert err == (
        "python -m parity: LSTM at 'c.': missing 'weight_hh_l0'. Give the keys of one "
        "torch.nn.LSTM, no more and no less.\n"
        "python -m parity: LSTM at 'a.': weight_hh_l0 must be finite: it holds 1 "
        "values "
        "that are not, the first at [3, 1]. Repair the weights first.\n"
        "python -m parity: LSTM at 'q.': bias_hh_l0.dtype=int8 must be a floating "
        "type: the "
        "equations are real. Convert a quantised model back first.\n"
    )
    assert main(["check", str(path), "--prefix", "b."]) == 0
    assert capsys.readouterr().err == ""


def npy(path, array):
    np.save(path, array)
    return str(path)


XS = RNG.standard_normal((6, 4, 3))


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_the_users_sequences_are_what_is_checked(
    dtype, file, tmp_path, capsys, monkeypatch
):
    given = []

    def seen(module, params, xs, run, options):
        given.append(xs)
        return prepared(module, params, xs, run, options)

    monkeypatch.setattr("parity.cli.check_file.prepared", seen)
    xs, report = XS.astype(dtype), tmp_path / "r.json"
    for options, array in ([], xs), (["--batch-first"], xs.swapaxes(0, 1)):
        path = npy(tmp_path / "xs.npy", array)
        arguments = ["check", file, "--dtype", "float32", "--input", path]
        assert main([*arguments, "--json", str(report), *options]) == 0
        np.testing.assert_array_equal(given.pop(), xs)
        facts = json.loads(report.read_text())[0]["facts"]
        assert (facts["steps"], facts["batch"]) == (6, [4])


@pytest.mark.parametrize("batch", [(), (2, 2), (0,)])
def test_xs_of_any_batch_are_compared(batch):
    given = []

    def seen(params, xs, state):
        given.append(xs.shape)
        return lstm_jax.lstm(params, xs, state)

    report = parity.check(torch.nn.LSTM(3, 2), xs=np.ones((5, *batch, 3)), run=seen)
    assert all(row.ok for row in report.rows)
    assert set(given) == {(5, *batch, 3)}
    assert report.facts["steps"] == 5


def test_xs_change_nothing_else():
    module = torch.nn.LSTM(3, 2)
    case = Case(name="", input_size=3, hidden_size=2)
    drawn = case.draw()
    again = case.draw(xs=np.ones((7, 3, 3)))
    for name, array in drawn.params.items():
        np.testing.assert_array_equal(again.params[name], array)
    np.testing.assert_array_equal(again.cotangents.ys, drawn.cotangents.ys)
    assert (again.xs == 1).all()
    kept = np.ones((7, 3, 3))
    assert parity.check(module, xs=kept, lengths=True).ok
    assert (kept == 1).all()


BAD_INPUTS = {
    "be (T, *B, I): its shape is (3,). Give sequences, time and features at least.": (
        np.ones(3)
    ),
    "be of a floating type: it is int64, and an LSTM takes real numbers. Embed or "
    "scale it first.": np.ones((4, 3), int),
    "be finite: the value at [2, 1] is nan, and every output after it would be NaN. "
    "Cut it out, or repair it.": np.where(np.arange(12).reshape(4, 3) == 7, np.nan, 1),
    "hold numbers: it holds an array of |O, not of numbers. Write one array of numbers "
    "with numpy.save.": np.array([{"a": 1}]),
}


@pytest.mark.parametrize("sentence", BAD_INPUTS)
def test_bad_input_is_one_sentence(sentence, file, tmp_path, capsys):
    path = npy(tmp_path / "xs.npy", BAD_INPUTS[sentence])
    assert main(["check", file, "--input", path]) == 2
    assert capsys.readouterr() == (
        "",
        f"python -m parity: check: --input {path} must {sentence}\n",
    )


def test_a_damaged_input_is_one_sentence(file, tmp_path, capsys):
    path = tmp_path / "xs.npy"
    _ = path.write_bytes(b"no header of any kind")
    assert main(["check", file, "--input", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: check: --input {path} cannot be read: its array 'xs.npy' "
        "has no "
        "header of NumPy's. Write it with numpy.save.\n"
    )
    whole = npy(path, np.ones((4, 3)))
    _ = path.write_bytes(path.read_bytes()[:-8])
    assert main(["check", file, "--input", whole]) == 2
    assert "cannot be read: " in capsys.readouterr().err


def test_features_that_do_not_fit_an_lstm_are_its_problem_alone(tmp_path, capsys):
    modules = {"a": torch.nn.LSTM(3, 2), "b": torch.nn.LSTM(4, 2)}
    file = save(tmp_path / "two.safetensors", **modules)
    assert main(["check", file, "--input", npy(tmp_path / "xs.npy", XS)]) == 2
    out, err = capsys.readouterr()
    assert "ok: 1 of 1 LSTMs" in out
    assert err == (
        "python -m parity: LSTM at 'b.': xs.shape=(6, 4, 3) must be (T, *B, 4): the "
        "LSTM "
        "takes 4 features. Put time first and features last.\n"
    )


def test_xs_that_need_more_memory_than_there_is_are_refused():
    many = np.broadcast_to(np.float32(1), (2**24, 2**10, 3))
    with pytest.raises(ValueError, match="GiB") as caught:
        _ = parity.check(torch.nn.LSTM(3, 2), xs=many)
    start, _, end = str(caught.value).partition(" must need less than ")
    assert start == "check: xs.shape=(16777216, 1024, 3)"
    held, _, end = end.partition(" GiB of memory, all there is: every step is kept, ")
    assert float(held) > 0
    assert end.startswith("and the check needs ")
    assert end.endswith(" GiB. Give fewer steps or rows.")


def test_xs_that_overflow_the_type_are_refused():
    xs = np.full((2, 1, 3), 1e6)
    with pytest.raises(ValueError, match="xs must be finite") as caught:
        _ = parity.check(torch.nn.LSTM(3, 2), xs=xs, dtype="float16")
    assert str(caught.value) == (
        "check: xs must be finite: it holds 6 values that are not, the first at "
        "[0, 0, 0]. Give numbers in the range of the type."
    )


def test_profiles_are_the_errors_of_each_step_and_row(monkeypatch):
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])

    def late(params, xs, state):
        ys, state = lstm_jax.lstm(params, xs, state)
        return ys.at[5:].multiply(jnp.float32(1.01)), state

    report = parity.check(torch.nn.LSTM(3, 2, 2), run=late, steps=9)
    rows = {row.tensor: row for row in report.worst()}
    ys = rows["ys"].profile
    assert len(ys) == len(rows["ys"].torch_profile) == 9
    assert max(ys[:5]) < 32 < min(ys[5:])
    assert max(ys) == rows["ys"].error
    assert len(rows["h_n"].profile) == 2
    assert max(rows["h_n"].torch_profile) == rows["h_n"].torch
    assert rows["d_h0"].profile == ()
    assert "profile" not in report.to_json()


def test_a_long_profile_keeps_its_peaks():
    value = np.ones((1300, 2))
    wrong = value.copy()
    wrong[777] += 1
    exact = tolerance.Exact(value, np.zeros(1300), steps=True)
    found = tolerance.profile(wrong.astype(np.float32), exact, "float32")
    assert len(found) == 512
    assert sum(error > 0 for error in found) == 1
    shorter = value[:2].astype(np.float32)
    assert tolerance.profile(shorter, exact, "float32") == ()


def test_no_bar_is_drawn_where_there_is_no_terminal(file, capsys):
    assert not sys.stderr.isatty()
    assert main(["check", file, "--dtype", "float32"]) == 0
    assert capsys.readouterr().err == ""
