"""The examples: their form, what was recorded of them, and that a fast run learns."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from examples import form
from tests.given import ROOT

FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/train.py"))
NAMES = [folder.name for folder in FOLDERS]

# What the model is, beside the strongest of its baselines, in the recorded runs.
VERDICTS: dict[str, form.Verdict] = {
    "melody": "better",
    "next_word": "better",
    "patient": "better",
    "stocks": "worse",
    "activity": "worse",
    "cores_as_devices": "level",
    "long_sequence": "better",
    "recurrent_rl": "better",
    "steps": "better",
}


def example(name: str) -> form.Example:
    return importlib.import_module(f"examples.{name}.train").EXAMPLE


def test_every_example_has_a_verdict() -> None:
    assert sorted(VERDICTS) == NAMES


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_an_example_is_a_short_script_a_readme_a_record_and_a_picture(
    folder: Path,
) -> None:
    lines = (folder / "train.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"python examples/{folder.name}/train.py" in readme
    assert example(folder.name).folder == folder
    pictures = list(folder.glob("*.png"))
    assert pictures
    for picture in pictures:
        assert f"({picture.name})" in readme
        assert 5_000 < picture.stat().st_size < 300_000
    page = ROOT / "docs" / "uses" / f"{folder.name}.md"
    assert f"examples/{folder.name}/README.md" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_the_readme_is_that_of_the_record(name: str) -> None:
    readme = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    made = example(name)
    for size in ("usual", "long") if made.long else ("usual",):
        begin = form.BEGIN.format(" --long" if size == "long" else "")
        written = readme.split(begin)[1].split(form.END)[0]
        assert written == form.table(made.recorded(size))
    seeds = {len(n) for row in made.recorded().values() for n in row.values()}
    assert seeds == {5}


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_of_the_record_has_not_changed(name: str) -> None:
    made = example(name)
    assert made.verdict(made.recorded()) == VERDICTS[name]
    readme = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    assert made.sentence(made.recorded()) in " ".join(readme.split())


def test_the_page_of_the_uses_has_every_verdict() -> None:
    page = (ROOT / "docs" / "uses" / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[.*\]\((\w+)\.md\) .* \| (\w*) ?\|$", page, re.MULTILINE)
    assert dict(rows) == {**VERDICTS, "gradient_reach": ""}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_a_fast_run_falls(name: str, tmp_path: Path, capsys: Any) -> None:
    made = example(name)
    (outcome,) = made.main(["--fast", "--out", str(tmp_path)])
    assert outcome.losses[1] < outcome.losses[0]
    assert form.MODEL in outcome.rows
    assert list(tmp_path.glob("*.png"))
    assert made.score in capsys.readouterr().out


def numbers(model: Any, other: Any) -> form.Numbers:
    return {"model": {"RMSE": model}, "ridge": {"RMSE": other}}


def made_up(best: Any = "lowest") -> form.Example:
    run: Any = None
    return form.Example(Path("made_up"), "", "RMSE", best, run, run)


@pytest.mark.parametrize(
    ("model", "expected"),
    [([1, 2], "better"), ([4, 5], "worse"), ([2, 4], "level"), ([3, 3], "level")],
)
def test_better_is_better_with_every_seed(model: list[float], expected: str) -> None:
    assert made_up().verdict(numbers(model, [3, 3])) == expected
    turned = {"better": "worse", "worse": "better", "level": "level"}[expected]
    assert made_up("highest").verdict(numbers(model, [3, 3])) == turned


def test_the_strongest_baseline_is_the_one_compared() -> None:
    found = numbers([2.0], [3.0]) | {"persistence": {"RMSE": [1.0]}}
    assert made_up().strongest(found) == "persistence"
    assert made_up().verdict(found) == "worse"


def test_a_row_without_the_score_is_no_baseline() -> None:
    found = {**numbers([2], [3]), "truth": {"whole, %": [1.0]}}
    assert made_up().strongest(found) == "ridge"
    assert made_up().verdict(found) == "better"
    assert form.table(found).endswith("| truth | - | 1 |\n")


def test_a_number_far_from_the_recorded_ones_is_told() -> None:
    recorded = numbers([1.0, 2.0], [3.0, 3.0])
    assert form.outside(numbers([2.5], [3.0]), recorded) == []
    assert form.outside(numbers([2.6], [3.0]), recorded) == [
        ("model", "RMSE", 2.6, 0.5, 2.5)
    ]
    assert len(form.outside(numbers([1.5], [3.01]), recorded)) == 1


def test_a_table_says_the_median_and_the_ends() -> None:
    assert form.table(numbers([1, 2, 4], [3, 3, 3])) == (
        "| | RMSE |\n|---|---|\n| model | 2 (1 to 4) |\n| ridge | 3 |\n"
    )


def test_a_record_is_what_the_readme_says(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    _ = readme.write_text(f"a\n{form.BEGIN.format('')}old\n{form.END}\nb\n")

    def run(_: form.Size, seed: int) -> form.Outcome:
        rows = {"model": {"RMSE": 1.0 + seed}, "ridge": {"RMSE": 4.0}}
        return form.Outcome(rows, (2.0, 1.0))

    made = form.Example(tmp_path, "", "RMSE", "lowest", run, lambda *_: None)
    _ = made.main(["--seeds", "3", "--record", "--out", str(tmp_path)])
    assert made.recorded()["model"]["RMSE"] == [1.0, 2.0, 3.0]
    table = form.table(made.recorded())
    text = f"a\n{form.BEGIN.format('')}{table}{form.END}\nb\n"
    assert readme.read_text() == text
    _ = made.main(["--out", str(tmp_path)])
    _ = (tmp_path / form.RECORD).write_text('{"usual": {"ridge": {"RMSE": [5.0]}}}')
    with pytest.raises(SystemExit, match="1"):
        _ = made.main(["--out", str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seeds", "0"], "--seeds 0 must be 1 or more. Use --seeds 5."),
        (["--fast", "--record"], "--record must be of a whole run."),
    ],
)
def test_what_cannot_be_run_is_refused(
    arguments: list[str], told: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit, match="2"):
        _ = made_up().main(arguments)
    assert told in capsys.readouterr().err
