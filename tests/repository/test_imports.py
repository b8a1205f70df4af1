"""What an import loads, what runs without torch, and what the wheel holds."""

import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jaxtyping
import pytest

import lstm_jax
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


# What someone writes who uses the packages: a type checker must know both.
USER = """
import lstm_jax
import parity

model: lstm_jax.LSTM = lstm_jax.LSTMCell  # wrong
report = parity.check({}).no_such_name
"""
SEEN = [
    'Type "type[LSTMCell]" is not assignable to declared type "LSTM"',
    'Cannot access attribute "no_such_name" for class "Report"',
]


def seen_by_a_type_checker(place: Path, **options: Any) -> list[str]:
    """The first lines of what basedpyright says of a user's file outside the clone."""
    _ = (place / "user.py").write_text(USER)
    settings = json.dumps({"typeCheckingMode": "standard", **options})
    _ = (place / "pyrightconfig.json").write_text(settings)
    command = [sys.executable, "-m", "basedpyright", "--outputjson"]
    command += ["--pythonpath", sys.executable, "--project", str(place)]
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [one["message"].splitlines()[0] for one in found]


@pytest.mark.slow
def test_editors_resolve_the_documented_install(tmp_path: Path) -> None:
    assert seen_by_a_type_checker(tmp_path) == SEEN


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that the wheel was unpacked into, and nothing else."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
    build += ["--no-input", "--no-deps", "--wheel-dir", str(place), str(ROOT)]
    _ = subprocess.run(build, check=True, capture_output=True)
    (wheel,) = place.glob("lstm_jax-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(site: Path) -> None:
    names = {path.name for path in site.iterdir()}
    assert names == {*PACKAGES, f"lstm_jax-{lstm_jax.__version__}.dist-info"}
    for package in PACKAGES:
        ours = [path for path in (ROOT / package).rglob("*.*") if path.is_file()]
        kept = [p.relative_to(ROOT) for p in ours if p.suffix in (".py", ".css")]
        assert [path for path in kept if not (site / path).is_file()] == []
        assert (site / package / "py.typed").is_file()


@pytest.mark.slow
def test_the_wheel_is_used_outside_the_clone(site: Path, tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import lstm_jax, parity; "
    where = run(f"{code}print(lstm_jax.__file__, parity.__file__)", cwd=tmp_path)
    assert all(Path(path).is_relative_to(site) for path in where.split())
    check = (
        "from parity.__main__ import main; sys.exit(main(['check', '--random', '1']))"
    )
    assert "\nok: 1 of 1 LSTMs" in run(code + check, cwd=tmp_path)


@pytest.mark.slow
def test_editors_resolve_the_wheel(site: Path, tmp_path: Path) -> None:
    assert seen_by_a_type_checker(tmp_path, extraPaths=[str(site)]) == SEEN


def test_the_version_is_stated_once() -> None:
    assert run("import lstm_jax; print(lstm_jax.__version__)").strip() == (
        version("lstm-jax")
    )
    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {lstm_jax.__version__}\n" in cited
