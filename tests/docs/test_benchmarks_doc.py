"""The numbers of docs/benchmarks.md and docs/native.md are those of the results there.

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
NATIVE, ONNXRUNTIME = "lstm_jax native", "onnxruntime"
# The columns of a page, by cores: the head, one of our runners, and the family of its
# rivals or a runner.
KERNEL = (
    ("torch", NATIVE, TORCH),
    ("onnxruntime", NATIVE, ONNXRUNTIME),
    ("XLA's program", NATIVE, "lstm_jax xla"),
)
COLUMNS = {
    "benchmarks": {
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
    },
    "native": {1: KERNEL, 2: KERNEL},
}
FILES = {"benchmarks": "cpu-*.jsonl", "native": "native-*.jsonl"}


@cache
def measurements_of(file):
    return store.measurements(store.read_lines(file))


def measured(page, cores):
    """The measurements of each run on so many cores."""
    files = sorted((DOCS / "benchmarks").glob(FILES[page]))
    runs = map(measurements_of, files)
    some = [[one for one in run if one.key["cores"] == cores] for run in runs]
    return [run for run in some if run]


def span(values):
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def found(run, mode, column):
    """The ratios of a column by case."""
    _, ours, other = column
    some = [one for one in run if one.key["mode"] == mode]
    if other in (TORCH, FLAX):
        return table.ratios(some, ours, other)
    each = {one.key["case"]: one.ratio(ours, other) for one in some}
    return {case: ratio for case, ratio in each.items() if ratio is not None}


def drawn(page, cores):
    """The table of so many cores, as Markdown."""
    columns = COLUMNS[page][cores]
    lines = [f"| | {' | '.join(head for head, _, _ in columns)} |"]
    lines.append(f"|---|{'---|' * len(columns)}")
    before: list[list[dict]] = []  # ratios of the mode before, by column and run
    for mode in ("forward", "backward", "step"):
        each = [
            [found(run, mode, column) for run in measured(page, cores)]
            for column in columns
        ]
        for case in each[0][0]:
            cells = [
                span([run[case] for run in runs]) if case in runs[0] else "-"
                for runs in each
            ]
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
    cells = [f"**{span(mean)}**" if mean[0] > 0 else "-" for mean in means]
    return f"| **{name}** | {' | '.join(cells)} |"


@pytest.mark.parametrize(
    ("page", "cores"), [(page, n) for page, each in COLUMNS.items() for n in each]
)
def test_the_tables_are_those_of_the_results(page, cores):
    text = (DOCS / f"{page}.md").read_text("utf-8")
    mark = f"<!-- {cores} of 2 cores -->"
    assert text.split(mark)[1].strip() == drawn(page, cores)


@pytest.mark.parametrize("page", COLUMNS)
def test_no_runner_was_wrong_and_every_sample_is_there(page):
    runs = [run for cores in COLUMNS[page] for run in measured(page, cores)]
    assert runs
    for run in runs:
        assert len(run) == 15
        for measurement in run:
            timed = [one for one in measurement.runners.values() if not one.skipped]
            assert all(len(one.samples) == 5 for one in timed)
            reasons = {
                one.skipped for one in measurement.runners.values() if one.skipped
            }
            known = ("is not divided", "it has no gradients")
            assert all(any(k in reason for k in known) for reason in reasons)


@pytest.mark.parametrize(
    ("page", "files", "folder"),
    [
        ("benchmarks", ["cpu-1", "curves"], "images/bench"),
        ("native", ["curves-native"], "images/bench/native"),
    ],
)
def test_the_plots_are_those_of_the_results(page, files, folder):
    paths = [DOCS / "benchmarks" / f"{file}.jsonl" for file in files]
    found = [one for path in paths for one in measurements_of(path)]
    names = {name for name, _ in figures(found)}
    text = (DOCS / f"{page}.md").read_text("utf-8")
    shown = set(re.findall(rf"\({folder}/([^)]+)\)", text))
    assert shown
    assert shown <= names
    assert shown == {path.name for path in (DOCS / folder).glob("*.png")}


def test_the_first_line_says_whether_a_gpu_number_exists():
    devices = {one.key["device"] for run in RUNS for one in measurements_of(run)}
    first = PAGE.read_text("utf-8").splitlines()[0]
    assert ("no GPU number exists" in first) == ("gpu" not in devices)


if __name__ == "__main__":
    for page, by_cores in COLUMNS.items():
        for cores in by_cores:
            mark = f"<!-- {cores} of 2 cores -->"
            print(page, mark, drawn(page, cores), mark, sep="\n")
