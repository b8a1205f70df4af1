"""Where torch is not installed, everything works or says in a sentence what to install.

One process, in which torch cannot be imported, runs every command and every public
function.
"""

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from typing import Any

import pytest

import lstm_jax
import parity
from tests.given import ROOT

INSTALL = "Use pip install 'lstm-jax[parity]'."
HIDE = "import sys; sys.modules['torch'] = None\n"

pytestmark = pytest.mark.slow
PROGRAM = """
import contextlib, io, json, os, sys
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
import lstm_jax.linen, parity
from parity.__main__ import main

found = {}

def tried(name, call):
    try:
        _ = call()
        found[name] = ""
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"

def command(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as error:
            code = error.code
    found[" ".join(words[:3])] = [code, out.getvalue(), err.getvalue()]

params = lstm_jax.init_params(jax.random.key(0), 3, 2)
xs = np.ones((4, 2, 3), np.float32)
lstm = lstm_jax.LSTM(3, 2, rngs=nnx.Rngs(0))
cell = lstm_jax.LSTMCell(3, 2, rngs=nnx.Rngs(0))
layer = lstm_jax.LayerParams(*(params[f"{n}_l0"] for n in lstm_jax.LayerParams._fields
                               if f"{n}_l0" in params))
state = lstm_jax.LSTMState(jnp.zeros((2, 2)), jnp.zeros((2, 2)))
fields = {"weight_ih": layer[0], "weight_hh": layer[1], "bias": None}
eqx_cell = type("LSTMCell", (), {**fields, "__module__": "equinox.nn"})()
def wrong(params, xs, state):
    ys, after = lstm_jax.lstm(params, xs, state)
    return ys + 1, after
case = parity.judge.cases.Case(name="", input_size=3, hidden_size=2, steps=4)
def act(carry, inputs):  # counts the steps of an episode
    carry = jnp.where(inputs[1], 0, carry) + 1
    return carry, carry
def replay(carry, inputs):
    return jax.lax.scan(act, carry, inputs)
done, acted = (jnp.array([[k] for k in ks]) for ks in ([0, 0, 1, 0], [3, 4, 1, 2]))
Auto = jax.sharding.AxisType.Auto
mesh = jax.make_mesh((1,), ("units",), axis_types=(Auto,))
rollout = lstm_jax.Rollout(jnp.array([2]), jnp.zeros((4, 1)), done, acted)
calls = {
    "check_resets": lambda: lstm_jax.check_resets(act, replay, rollout),
    "plot_gates": lambda: lstm_jax.plot_gates(lstm_jax.trace(params, xs), xs),
    "lstm": lambda: lstm_jax.lstm(params, xs),
    "lstm_step": lambda: lstm_jax.lstm_step(layer, xs[0], state),
    "init_params": lambda: params,
    "spec_of": lambda: lstm_jax.spec_of(params),
    "lengths_from_mask": lambda: lstm_jax.lengths_from_mask(np.ones((2, 4), bool)),
    "shard_units": lambda: lstm_jax.shard_units(params, mesh),
    "gather_units": lambda: lstm_jax.gather_units(lstm_jax.shard_units(params, mesh)),
    "trace": lambda: lstm_jax.trace(params, xs),
    "LSTM": lambda: lstm(xs),
    "LSTMCell": lambda: cell.step(xs[0], state),
    "LSTMModel": lambda: lstm_jax.LSTMModel(3, 2, 1, rngs=nnx.Rngs(0))(xs),
    "write_tensors": lambda: parity.write_tensors(params, "a.safetensors"),
    "read_tensors": lambda: parity.read_tensors("a.safetensors"),
    "find_lstms": lambda: parity.find_lstms(params),
    "from_torch": lambda: parity.from_torch(params),
    "to_torch": lambda: parity.to_torch(lstm),
    "to_torch of a mapping": lambda: parity.to_torch(params),
    "to_torch of None": lambda: parity.to_torch(None),
    "to_torch of linen": lambda: parity.to_torch(lstm_jax.linen.LSTM(3, 2)),
    "losses": lambda: parity.losses(lstm.spec, "keras"),
    "to_flax": lambda: parity.to_flax(lstm),
    "from_flax": lambda: parity.from_flax(parity.to_flax(lstm)),
    "to_haiku": lambda: parity.to_haiku(lstm),
    "from_haiku": lambda: parity.from_haiku(parity.to_haiku(lstm)),
    "to_cudnn": lambda: parity.to_cudnn(lstm),
    "from_cudnn": lambda: parity.from_cudnn(parity.to_cudnn(lstm), 3, 2),
    "to_equinox": lambda: parity.to_equinox(lstm),
    "from_equinox": lambda: parity.from_equinox(eqx_cell),
    "to_mlx": lambda: parity.to_mlx(lstm),
    "from_mlx": lambda: parity.from_mlx({"Wx": layer[0], "Wh": layer[1]}),
    "to_onnx": lambda: parity.to_onnx(lstm),
    "from_onnx": lambda: parity.from_onnx(parity.to_onnx(lstm)),
    "onnx_lint": lambda: parity.onnx_lint(parity.to_onnx(lstm)),
    "to_keras": lambda: parity.to_keras(params),
    "from_keras": lambda: parity.from_keras(parity.to_keras(params)),
    "check": lambda: parity.check(params).to_html(),
    "check_case": lambda: parity.check_case(case),
    "check_against": lambda: parity.check_against(os.environ["GOLDEN"]),
    "check_training": lambda: parity.check_training(steps=1),
    "check_training of a typo": lambda: parity.check_training("deep"),
    "reduce_failure": lambda: parity.reduce_failure(params, run=wrong, steps=1),
}
for name, call in calls.items():
    tried(name, call)
command("--version")
command("inspect", "a.safetensors")
command("convert", "a.safetensors", "b.npz")
command("convert", "a.safetensors", "b.pt")
command("convert", "a.safetensors", "c.pt", "--to", "safetensors")
command("check", "a.safetensors", "--dtype", "float32", "--html", "a.html")
command("check", "--random", "1", "--seed", "3")
command("train", "--steps", "1")
command("train", "--list")
command("bench", "--list")
command("bench", "--device", "gpu")
found["rate"] = __import__("parity.bench.rate").bench.rate.product_rate(
    "cpu", 1, "float32", "highest") > 0
found["torch's runner"] = parity.bench.runners.RUNNERS["torch"].library.missing()
found["no steps"] = parity.check(params, steps=0).without_torch
found["no rows"] = parity.check(params, batch=0).without_torch
found["page"] = open("a.html", encoding="utf-8").read()
print(json.dumps(found))
"""
# Public names that are no functions, or that only hold what others give.
PLAIN = {"LSTMSpec", "LSTMState", "LayerParams", "ParamKey", "Trace"}
PLAIN |= {"Found", "Report", "ResetCheck", "Rollout", "Row", "TrainingReport"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any) -> dict[str, Any]:
    """What came of each, in a process where torch is hidden, its children too."""
    where = tmp_path_factory.mktemp("without")
    _ = (where / "sitecustomize.py").write_text(HIDE)
    paths = f"{where}{os.pathsep}{ROOT}"
    environment = os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
    environment |= {"GOLDEN": str(ROOT / "tests" / "given" / "golden.npz")}
    environment |= {"CUDA_VISIBLE_DEVICES": ""}  # as on a machine without a GPU
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# What some functions need beside torch, and its name at pip.
LIBRARIES = {"to_equinox": "equinox", "to_mlx": "'lstm-jax[mlx]'"}
NEEDED = f"to_torch: torch must be installed: what it returns is torch's. {INSTALL}"
BESIDE = f"torch must be installed: it trains beside JAX. {INSTALL}"


def test_every_public_function_works_or_says_what_to_install(
    found: dict[str, Any],
) -> None:
    public = {
        name
        for package in (lstm_jax, parity)
        for name, value in vars(package).items()
        if callable(value) and not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public - PLAIN <= found.keys()
    refused = {name: said for name, said in found.items() if said and name in public}
    for name, package in LIBRARIES.items():
        library = name.removeprefix("to_")
        if importlib.util.find_spec(library) is None:
            said = f"{name}: {library} is not installed: pip install {package}"
            assert refused.pop(name) == f"ModuleNotFoundError: {said}"
    assert refused == {
        "to_torch": f"ModuleNotFoundError: {NEEDED}",
        "check_training": f"ModuleNotFoundError: check_training: {BESIDE}",
    }
    assert found["to_torch of a mapping"] == f"ModuleNotFoundError: {NEEDED}"


def test_a_wrong_source_is_refused_before_torch_is_asked_for(
    found: dict[str, Any],
) -> None:
    start = (
        "TypeError: to_torch: source must be an LSTM, LSTMCell or LSTMModel of "
        "lstm_jax, or a mapping, not "
    )
    assert found["to_torch of None"] == (
        f"{start}NoneType: it must have torch's names. Give a dict of torch's names to "
        "arrays."
    )
    assert found["to_torch of linen"] == (
        f"{start}LSTM: its weights are variables. Use to_torch(variables['params'])."
    )


def test_a_typo_is_refused_before_torch_is_asked_for(found: dict[str, Any]) -> None:
    assert found["check_training of a typo"].startswith(
        "ValueError: check_training: model='deep' must be one of plain, "
    )


def test_every_command_works_or_says_what_to_install(found: dict[str, Any]) -> None:
    codes = {name: said[0] for name, said in found.items() if isinstance(said, list)}
    refused = {"convert a.safetensors b.pt", "bench --device gpu", "train --steps 1"}
    assert {name for name, code in codes.items() if code} == refused
    code, out, err = found["convert a.safetensors b.pt"]
    assert (code, out) == (2, "")
    assert err == (
        "python -m parity: convert: torch must be installed: it writes a torch file. "
        "Use pip install 'lstm-jax[parity]', or --to safetensors.\n"
    )
    code, out, err = found["bench --device gpu"]
    assert (code, out) == (2, "")
    assert err == (
        "python -m parity: bench: --device gpu must be a GPU that jax finds: it finds "
        "none. Install jax and torch for CUDA, or use --device cpu.\n"
    )
    assert found["--version"][1].endswith(", torch not installed\n")
    assert found["torch's runner"] == (
        "torch is not installed: pip install 'lstm-jax[parity]'"
    )
    assert found["rate"] is True


def test_what_torch_would_not_run_either_is_named_so(found: dict[str, Any]) -> None:
    refused = "torch takes no sequences without steps or rows, so it was not run"
    assert (found["no steps"], found["no rows"]) == (refused, refused)


def test_no_report_claims_torch(found: dict[str, Any]) -> None:
    for name in ("check a.safetensors --dtype", "check --random 1"):
        out = found[name][1]
        assert "equal to the exact oracle" in out or "JAX with the exact oracle" in out
        assert "torch is not installed, so it was not run" in out
        assert "torch's" not in out
    assert "Equal to the exact oracle" in found["page"]
    assert "same as torch" not in found["page"].lower()
