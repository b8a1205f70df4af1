"""What is imported is declared, and what is declared is imported."""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.given import ROOT
from tests.repository.source import imports, modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"lstm_jax", "parity"}
# Rooms of lstm_jax that need the extra, or `plot`, which is a part of it.
NEEDS_TRAIN = ("train", "cli", "__main__", "tracing")
FRAMEWORKS = ("parity", "equinox", "haiku", "keras", "mlx", "onnx")
BY_NAME = re.compile(r'import_module\("(\w+)[\w.]*"\)')
# Packages whose import has another name.
IMPORTED_AS = {
    "dm-haiku": "haiku",
    "lstm-jax": "lstm_jax",
    "orbax-checkpoint": "orbax",
}
# What these install, and is used through them or with their files.
COME_WITH = {
    "jax": {"jaxlib"},
    "flax": {"msgpack", "optax", "orbax", "tensorstore"},
    "onnx": {"google"},
}


def declared(extra: str = "") -> set[str]:
    """The imports that the package, or one of its extras, declares."""
    listed: Any = PROJECT["dependencies"]
    if extra:
        listed = PROJECT["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=! ]", line)[0] for line in listed}
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def imported(package: str, *, only_on_top: bool) -> set[str]:
    """Packages of others that a package of ours imports."""
    return imported_by(modules(package), only_on_top=only_on_top)


def imported_by(paths: Iterable[Path], *, only_on_top: bool = False) -> set[str]:
    """Packages of others that these files import."""
    found: set[str] = set()
    for path in paths:
        for name, top in imports(path.read_text("utf-8")):
            if top or not only_on_top:
                found.add(name.partition(".")[0])
        found |= set(BY_NAME.findall(path.read_text("utf-8")))
    return found - set(sys.stdlib_module_names) - OURS


def in_training(path: Path) -> bool:
    """Whether a module of `lstm_jax` may need the extra `train`."""
    return path.relative_to(ROOT / "lstm_jax").with_suffix("").parts[0] in NEEDS_TRAIN


def test_what_is_imported_everywhere_is_declared_and_nothing_else() -> None:
    come = {name for names in COME_WITH.values() for name in names}
    without = [path for path in modules("lstm_jax") if not in_training(path)]
    ours = imported_by(without) - come
    assert ours <= declared()
    assert declared() <= ours | imported("parity", only_on_top=True)


def test_training_imports_its_extra_and_nothing_else() -> None:
    ours = imported_by(filter(in_training, modules("lstm_jax")))
    extra = declared("train") | declared("plot")
    assert ours <= declared() | extra
    assert extra - OURS <= ours


def test_parity_imports_what_is_declared() -> None:
    extras = PROJECT["optional-dependencies"].keys() - {"test", "models"}
    known = declared().union(*map(declared, extras), *COME_WITH.values())
    assert imported("parity", only_on_top=False) <= known
    frameworks = set[str]().union(*map(declared, FRAMEWORKS))
    frameworks |= COME_WITH["onnx"] | {"optax"}
    assert imported("parity", only_on_top=True) <= declared() | frameworks


def test_every_extra_is_imported() -> None:
    used = imported("parity", only_on_top=False)
    for extra in ("plot", *FRAMEWORKS):
        assert declared(extra) & used


def test_tests_import_frameworks_of_the_slow_tests_by_name() -> None:
    """`make lint` runs where they are not installed, and looks for what is imported."""
    extras = ("parity", "onnx", "test", "test-without-torch")
    ours = set[str]().union(*map(declared, extras))
    theirs = set[str]().union(*map(declared, FRAMEWORKS)) - declared() - ours
    for path in modules("tests"):
        for name, _ in imports(path.read_text("utf-8")):
            assert name.partition(".")[0] not in theirs, f"{path}: {name}"
