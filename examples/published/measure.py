"""Small published tasks: lstm_jax, torch from the same weights, the published figures.

    python examples/published/measure.py                    the table, of the record
    python examples/published/measure.py --record vowels    train one task, and keep it

Both start from the same weights, read the same batches in the same order and take the
same steps of Adam. The test part is read once, after training.
"""

import argparse
import importlib.metadata
import json
from itertools import islice
from pathlib import Path
from statistics import mean, median
from typing import Any

from examples.published import adding, mnist_1d, vowels
from examples.published.learners import LEARNERS
from examples.published.task import Task

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent.parent / "docs" / "published.md"
TASKS: dict[str, Task] = {
    "adding_200": adding.SHORT,
    "adding_600": adding.LONG,
    "mnist_1d": mnist_1d.TASK,
    "vowels": vowels.TASK,
}
OURS, TORCH = LEARNERS
COMPARED = (10, 100)  # first steps, over which the two curves are compared
MEAN_OF = 100  # steps of each mean of the losses that is kept
BEGIN, END = "<!-- table: measure.py -->\n", "<!-- end of table -->"
Record = dict[str, Any]


def trained(task: Task, name: str, seed: int) -> tuple[float, list[float]]:
    """The score on the test part, and the loss of each step."""
    learner: Any = LEARNERS[name]
    made = learner(task, task.model(seed))
    losses = [made.step(batch) for batch in islice(task.batches(seed), task.steps)]
    test = task.test()
    return task.scored(made.outputs(test), test.ys), losses


def add(record: Record, task: Task, seed: int) -> None:
    """Train both with a seed, and add their numbers to the record."""
    curves = []
    for name in (OURS, TORCH):
        score, losses = trained(task, name, seed)
        starts = range(0, len(losses), MEAN_OF)
        means = [mean(losses[k : k + MEAN_OF]) for k in starts]
        held = record.setdefault(name, {"score": [], "losses": []})
        held["score"].append(score)
        held["losses"].append([float(f"{one:.4g}") for one in means])
        curves.append(losses)
    apart = [abs(one - other) for one, other in zip(*curves, strict=True)]
    held = record.setdefault("apart", {str(steps): [] for steps in COMPARED})
    for steps in COMPARED:
        held[str(steps)].append(max(apart[:steps]))


def recorded() -> Record:
    """What was recorded, by the name of the task."""
    path = FOLDER / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(name: str) -> None:
    """Train a task with all of its seeds; each is kept as it comes."""
    task, record = TASKS[name], {"versions": versions()}
    for seed in range(task.seeds):
        add(record, task, seed)
        text = json.dumps({**recorded(), name: record}, indent=1) + "\n"
        _ = (FOLDER / "results.json").write_text(text, encoding="utf-8")
        print(name, seed, *(record[who]["score"][-1] for who in LEARNERS), flush=True)


def versions() -> dict[str, str]:
    """Of the packages that the numbers depend on."""
    names = ("jax", "optax", "torch")
    return {name: importlib.metadata.version(name) for name in names}


def table(record: Record) -> str:
    """A line for each task: median, least and most; ours, torch's and the published."""
    lines = [
        "| task | score | `lstm_jax` | torch | published | apart in 10 | in 100 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task in TASKS.items():
        if name not in record:
            continue
        held = record[name]
        cells = [cell(task, held[who]["score"]) for who in LEARNERS]
        figures = [f"{one.model} {shown(task, one.number)}" for one in task.published]
        words = [task.name, task.score, *cells, ", ".join(figures) or "none found"]
        words += [f"{max(found):.0e}" for found in held["apart"].values()]
        lines.append(f"| {' | '.join(words)} |")
    return "".join(f"{line}\n" for line in lines)


def cell(task: Task, scores: list[float]) -> str:
    """The median, and the least and the most where there are several."""
    ends = f" ({shown(task, min(scores))} to {shown(task, max(scores))})"
    return shown(task, median(scores)) + ends * (len(scores) > 1)


def shown(task: Task, score: float) -> str:
    """A score for a reader."""
    return f"{100 * score:.1f} %" if task.score == "accuracy" else f"{score:.3g}"


def write() -> None:
    """Put the table of the record in the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest[rest.index(END) :]
    text = before + BEGIN + table(recorded()) + after
    _ = PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """What the command line asks for."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    text = "train these and keep their numbers: results.json, docs/published.md"
    _ = parser.add_argument("--record", nargs="+", choices=TASKS, default=(), help=text)
    options = parser.parse_args()
    for name in options.record:
        keep(name)
    if options.record:
        write()
    print(table(recorded()), end="")


if __name__ == "__main__":
    main()
