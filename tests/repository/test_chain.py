"""The import chains of both packages, and the rooms that they connect.

A room is a module or a package directly below `lstm_jax` or `parity`. It may import the
rooms on the floors below its own, and none on its own floor or above: no circle.
"""

import ast
from pathlib import Path

import pytest

from tests.given import ROOT
from tests.repository.source import findings, imports, modules

FLOORS = {
    "lstm_jax": (
        ("__main__",),
        ("cli",),
        ("train",),
        ("export",),
        ("model",),
        ("nnx", "linen"),
        ("carry",),
        ("stack", "init", "tracing", "lengths", "pretrained", "rollouts"),
        ("call",),
        ("backends",),
        ("native",),
        ("scan", "step"),
        ("_checks",),
        ("_types", "terminal"),
    ),
    "parity": (
        ("__main__",),
        ("cli",),
        ("bench",),
        ("verify", "training"),
        ("convert",),
        ("frameworks", "report", "files"),
        ("names",),
        ("judge", "arrays", "machine"),
        ("show",),
    ),
}
LEAF = "lstm_jax.linen"  # nothing imports it
MOST_MODULES = 12
# Folders that hold nothing but a file for each row of a table.
PUBLIC_PACKAGES = {
    "backends",
    "export",
    "native",
    "nnx",
    "terminal",
}  # of lstm_jax: no functions
A_FILE_PER_ROW = {"parity/files/kinds", "parity/frameworks/kinds"}


def below(package: str, room: str) -> set[str]:
    """Rooms that `room` may import; '' is the package itself."""
    floors = FLOORS[package]
    places = [k for k, rooms in enumerate(floors) if room in rooms]
    first = places[0] + 1 if room else 0
    return {room, *(other for rooms in floors[first:] for other in rooms)} - {""}


def off_the_chain(name: str, text: str) -> list[str]:
    """Imports within a package that its chain forbids."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    if room and not any(room in rooms for rooms in FLOORS[package]):
        return [f"{room} has no place on the chain"]
    allowed, wrong = below(package, room), []
    for imported, _ in imports(text):
        parts = imported.split(".")
        up = parts[0] in ("", package) and not set(parts[1:2]) & allowed
        if up or (imported.startswith(LEAF) and not name.startswith(LEAF)):
            wrong.append(imported)
    return wrong


def folders() -> dict[str, list[Path]]:
    """The modules beside `__init__` in each folder of the packages."""
    found: dict[str, list[Path]] = {}
    for path in modules("lstm_jax", "parity"):
        if path.stem != "__init__":
            place = path.parent.relative_to(ROOT).as_posix()
            found.setdefault(place, []).append(path)
    return found


def public_functions(package: Path) -> set[str]:
    """Names that a package defines or imports `A as A`, and that are lower case."""
    tree = ast.parse((package / "__init__.py").read_text("utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {a.name for a in node.names if a.name == a.asname}
    return {name for name in names if name.islower()}


@pytest.mark.parametrize("package", FLOORS)
def test_every_import_goes_down_the_chain(package: str) -> None:
    paths = modules(package)
    assert len(paths) > 20
    assert findings(off_the_chain, paths) == []


def test_every_room_is_there() -> None:
    for package, floors in FLOORS.items():
        rooms = {room for rooms in floors for room in rooms}
        for room in rooms:
            place = ROOT / package / room
            assert place.is_dir() or place.with_suffix(".py").is_file(), place


def test_no_folder_is_crowded() -> None:
    sizes = {place: len(paths) for place, paths in folders().items()}
    crowded = {place for place, size in sizes.items() if size > MOST_MODULES}
    assert crowded <= A_FILE_PER_ROW


def test_no_module_bears_the_name_of_a_function_of_its_parent() -> None:
    for path in modules("lstm_jax", "parity"):
        package = path.parent.parent if path.stem == "__init__" else path.parent
        if (package / "__init__.py").exists():
            functions = public_functions(package) - PUBLIC_PACKAGES
            name = path.parent.name if path.stem == "__init__" else path.stem
            assert name not in functions, path


WRONG = [
    ("lstm_jax.step", "from lstm_jax.scan.layer import run_layer"),
    ("lstm_jax.stack", "from lstm_jax.init import draw"),
    ("lstm_jax.nnx", "from lstm_jax import linen"),
    ("lstm_jax", "def f():\n    from lstm_jax.linen import LSTM"),
    ("lstm_jax._types", "from lstm_jax import _checks"),
    ("lstm_jax.backends.xla", "import lstm_jax.stack"),
    ("lstm_jax.scan.layer", "from lstm_jax.backends.orders import choose"),
    ("lstm_jax.model", "import lstm_jax"),
    ("lstm_jax.model", "from lstm_jax import LSTM"),
    ("lstm_jax.model", "from . import nnx"),
    ("lstm_jax.tools", "import jax"),
    ("parity.report.report", "from parity.verify.mismatch import mismatch"),
    ("parity.judge.cases", "from parity.files import read"),
    ("parity.files.read", "def f():\n    from parity.frameworks import torch"),
    ("parity.cli.check", "import parity"),
    ("parity.tools", "import jax"),
]
RIGHT = [
    ("lstm_jax.linen", "from lstm_jax.init import draw"),
    ("lstm_jax.backends", "from lstm_jax.backends import xla"),
    ("lstm_jax", "from lstm_jax.stack import lstm as lstm"),
    ("parity.verify.verify", "from parity.verify import sides"),
    ("parity.bench.expected", "from parity.judge import tolerance"),
    ("parity", "from parity.verify.verify import check as check"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_the_rule_finds(name: str, text: str) -> None:
    assert off_the_chain(name, text)


@pytest.mark.parametrize(("name", "text"), RIGHT)
def test_the_rule_allows(name: str, text: str) -> None:
    assert off_the_chain(name, text) == []
