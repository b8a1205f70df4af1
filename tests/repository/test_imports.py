"""What an import loads, what runs without torch, and what the wheel holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jax.numpy as jnp
import jaxtyping
import pytest

from lstm_jax import LayerParams, LSTMState, lstm_step
from tests.given import ROOT

PACKAGES = ("lstm_jax", "parity")
ABSENT = "import sys; sys.modules['torch'] = None; "
HEAVY = ["torch", "keras", "tensorflow", "onnx", "matplotlib"]


def run(code: str, *, cwd: Path = ROOT) -> str:
    """Output of `code` in a new interpreter, where no hook is installed."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str, names: list[str]) -> list[str]:
    """Those of `names` that `code` leaves loaded."""
    found = f"print(*[name for name in {names} if name in sys.modules])"
    return run(f"import sys; {code}; {found}").split()


def test_lstm_jax_loads_no_framework_and_not_its_linen_modules() -> None:
    names = [*HEAVY, "parity", "lstm_jax.linen"]
    assert loaded("import lstm_jax", names) == []


def test_what_is_loaded_is_seen() -> None:
    assert loaded("import lstm_jax.linen", ["lstm_jax.linen"]) == ["lstm_jax.linen"]


def test_parity_loads_no_framework() -> None:
    assert loaded("import parity", HEAVY) == []


@pytest.mark.parametrize("module", ["lstm_jax", "lstm_jax.linen", "parity"])
def test_a_package_is_imported_where_torch_is_absent(module: str) -> None:
    assert run(f"{ABSENT}import {module}; print({module}.__name__)") == f"{module}\n"


def test_the_oracle_is_imported_where_torch_is_absent() -> None:
    assert run(f"{ABSENT}import parity.judge.oracle; print('ok')") == "ok\n"


def test_an_absent_torch_cannot_be_imported() -> None:
    with pytest.raises(AssertionError, match="import of torch halted"):
        _ = run(f"{ABSENT}import torch")


def test_annotations_are_checked_in_tests() -> None:
    state = LSTMState(jnp.zeros((5, 2)), jnp.zeros((5, 2)))
    params = LayerParams(jnp.zeros((8, 3)), jnp.zeros((8, 2)))
    with pytest.raises(jaxtyping.TypeCheckError, match=r"lstm_jax\.step\.lstm_step"):
        _ = lstm_step(params, jnp.zeros((5, 3), int), state)


@pytest.mark.usefixtures("no_jaxtyping")
def test_our_own_error_is_seen_with_the_checks_off() -> None:
    state = LSTMState(jnp.zeros((5, 2)), jnp.zeros((5, 2)))
    params = LayerParams(jnp.zeros((8, 3)), jnp.zeros((8, 2)))
    with pytest.raises(TypeError, match="must be a floating type"):
        _ = lstm_step(params, jnp.zeros((5, 3), int), state)


@pytest.mark.slow
def test_the_wheel_holds_every_file_and_is_imported(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    for package in PACKAGES:
        _ = shutil.copytree(ROOT / package, source / package)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        _ = shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
    build += ["--no-input", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    _ = subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("lstm_jax-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for package in PACKAGES:
        files = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")]
        missing = [path for path in files if not (site / path).is_file()]
        assert missing == []
        assert (site / package / "py.typed").is_file()
        code = f"import sys; sys.path.insert(0, {str(site)!r}); "
        where = run(f"{code}import {package}; print({package}.__file__)", cwd=tmp_path)
        assert Path(where).is_relative_to(site)
