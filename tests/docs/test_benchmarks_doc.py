"""The numbers of docs/benchmarks.md are those of the results beside it.

`python tests/docs/test_benchmarks_doc.py` prints the tables anew.
"""

import re
from functools import cache

import pytest

from parity.bench.results import store, table
from parity.bench.results.plots import figures
from parity.bench.runners import FLAX, OURS, TORCH
from tests.given import ROOT

DOCS = ROOT / "docs"
PAGE = DOCS / "benchmarks.md"
RUNS = sorted((DOCS / "benchmarks").glob("cpu-*.jsonl"))
# A column: its head, one of our runners, and the family of its rivals.
COLUMNS = {
    1: (
        ("torch", OURS, TORCH),
        ("Flax", OURS, FLAX),
        ("torch, 512 bits", "lstm_jax 512", TORCH),
    ),
    2: (
        ("torch", OURS, TORCH),
        ("Flax", OURS, FLAX),
        ("torch, devices by jit", "lstm_jax devices", TORCH),
        ("torch, devices by shard_map", "lstm_jax shard_map", TORCH),
        ("the same, 512 bits", "lstm_jax shard_map 512", TORCH),
    ),
}


@cache
def measurements_of(file):
    return store.measurements(store.read_lines(file))


def measured(cores):
    """The measurements of each run on so many cores."""
    runs = map(measurements_of, RUNS)
    return [[one for one in run if one.key["cores"] == cores] for run in runs]


def span(values):
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def found(cores, mode, column):
    """For each run, the ratios of a column by case."""
    _, ours, other = column
    return [
        table.ratios([g for g in run if g.key["mode"] == mode], ours, other)
        for run in measured(cores)
    ]


def drawn(cores):
    """The table of so many cores, as Markdown."""
    columns = COLUMNS[cores]
    lines = [f"| | {' | '.join(head for head, _, _ in columns)} |"]
    lines.append(f"|---|{'---|' * len(columns)}")
    before: list[list[dict]] = []  # ratios of the mode before, by column and run
    for mode in ("forward", "backward", "step"):
        each = [found(cores, mode, column) for column in columns]
        for case in each[0][0]:
            cells = [span([run[case] for run in runs]) for runs in each]
            lines.append(f"| {case}, {mode} | {' | '.join(cells)} |")
        if len(each[0][0]) > 1:
            lines.append(mean_line(f"{mode}, geometric mean", each))
        if mode == "backward":
            lines.append(mean_line("both, geometric mean", beside(before, each)))
        before = each
    return "\n".join(lines)


def beside(one, two):
    """The ratios of two modes as those of one, by column and run."""
    pairs = [zip(*runs, strict=True) for runs in zip(one, two, strict=True)]
    return [[dict(enumerate([*a.values(), *b.values()])) for a, b in p] for p in pairs]


def mean_line(name, each):
    """The geometric means of each column, the span of its runs."""
    means = [[table.geometric_mean([*run.values()]) for run in runs] for runs in each]
    return f"| **{name}** | {' | '.join(f'**{span(mean)}**' for mean in means)} |"


@pytest.mark.parametrize("cores", COLUMNS)
def test_the_tables_are_those_of_the_results(cores):
    text = PAGE.read_text("utf-8")
    mark = f"<!-- {cores} of 2 cores -->"
    assert text.split(mark)[1].strip() == drawn(cores)


def test_no_runner_was_wrong_and_every_sample_is_there():
    for run in [*measured(1), *measured(2)]:
        assert len(run) == 15
        for measurement in run:
            timed = [one for one in measurement.runners.values() if not one.skipped]
            assert all(len(one.samples) == 5 for one in timed)
            reasons = {
                one.skipped for one in measurement.runners.values() if one.skipped
            }
            assert all("is not divided" in reason for reason in reasons)


def test_the_plots_are_those_of_the_results():
    files = [RUNS[0], DOCS / "benchmarks" / "curves.jsonl"]
    found = [one for file in files for one in measurements_of(file)]
    names = {name for name, _ in figures(found)}
    shown = set(re.findall(r"\(images/bench/([^)]+)\)", PAGE.read_text("utf-8")))
    assert shown
    assert shown <= names
    assert shown == {path.name for path in (DOCS / "images" / "bench").iterdir()}


def test_the_first_line_says_whether_a_gpu_number_exists():
    devices = {one.key["device"] for run in RUNS for one in measurements_of(run)}
    first = PAGE.read_text("utf-8").splitlines()[0]
    assert ("no GPU number exists" in first) == ("gpu" not in devices)


if __name__ == "__main__":
    for cores in COLUMNS:
        mark = f"<!-- {cores} of 2 cores -->"
        print(mark, drawn(cores), mark, sep="\n")
