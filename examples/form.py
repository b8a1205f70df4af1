"""The form of every example: a command, a table, a verdict, a picture.

    python examples/NAME/train.py                      seed 0, under three minutes
    python examples/NAME/train.py --seeds 5 --record   what the README says

An example scores a model and its baselines. This module runs it for some seeds, prints
the table and says whether the model is better than the strongest baseline. Then it
compares the numbers with the recorded ones, unless they are the machine's.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Size = Literal["fast", "usual", "long"]
Verdict = Literal["better", "level", "worse"]
Numbers = dict[str, dict[str, list[float]]]  # row, score, one number for each seed
MODEL, RECORD = "model", "results.json"
BEGIN, END = "<!-- table: train.py{} -->\n", "<!-- end of table -->"


@dataclass(frozen=True)
class Outcome:
    """What one seed gave.

    Attributes:
        rows: Scores by their names, of "model" and of each baseline.
        losses: Of training, at its start and at its end.
        kept: What the picture is drawn from.
    """

    rows: dict[str, dict[str, float]]
    losses: tuple[float, float]
    kept: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Example:
    """An example.

    Attributes:
        folder: Where its `train.py` and `README.md` are.
        about: What it does: the text of `--help`.
        score: The score that the verdict is about; the others are shown beside it.
        best: Whether the lowest or the highest score is the best.
        run: Data, model, training and scores of one seed.
        draw: Writes the pictures and samples of the first seed to a folder.
        machine: Whether the scores are of the machine, such as times: they are not
            compared with the recorded ones.
        long: Whether there is a longer run that tells more.
    """

    folder: Path
    about: str
    score: str
    best: Literal["lowest", "highest"]
    run: Callable[[Size, int], Outcome]
    draw: Callable[[Outcome, Path], None]
    machine: bool = False
    long: bool = False

    def main(self, arguments: list[str] | None = None) -> list[Outcome]:
        """Run what the command line asks for, and print it.

        Raises:
            SystemExit: With 1, if a number is not within the recorded spread.
        """
        options = self._parse(arguments)
        outcomes = []
        for seed in range(options.seeds):
            outcomes.append(self.run(options.size, seed))
            begin, end = outcomes[-1].losses
            print(f"seed {seed}: loss {begin:.4g} to {end:.4g}", flush=True)
        out: Path = options.out or Path("reports") / "examples" / self.folder.name
        out.mkdir(parents=True, exist_ok=True)
        shown = options.record and options.size == "usual"
        self.draw(outcomes[0], self.folder if shown else out)
        numbers = gathered(outcomes)
        print(table(numbers), end="")
        print(self.sentence(numbers))
        if options.record:
            self._record(options.size, numbers)
        elif options.size != "fast" and not self.machine:
            self._compare(options.size, numbers)
        return outcomes

    def strongest(self, numbers: Numbers) -> str:
        """The baseline with the best median, of those that have the score."""
        scored = [name for name, scores in numbers.items() if self.score in scores]
        others = [name for name in scored if name != MODEL]
        pick = min if self.best == "lowest" else max
        return pick(others, key=lambda name: median(numbers[name][self.score]))

    def verdict(self, numbers: Numbers) -> Verdict:
        """Better or worse, where every seed is, than the strongest baseline."""
        limit = median(numbers[self.strongest(numbers)][self.score])
        sign = 1 if self.best == "lowest" else -1
        gains = [sign * (limit - found) for found in numbers[MODEL][self.score]]
        if min(gains) > 0:
            return "better"
        return "worse" if max(gains) < 0 else "level"

    def sentence(self, numbers: Numbers) -> str:
        """The verdict, in words."""
        words = {"better": "better than", "level": "level with", "worse": "worse than"}
        name = self.strongest(numbers)
        pair = [median(numbers[row][self.score]) for row in (MODEL, name)]
        return (
            f"{self.score}: the model ({pair[0]:.4g}) is {words[self.verdict(numbers)]}"
            f" the strongest baseline, {name} ({pair[1]:.4g})."
        )

    def recorded(self, size: Size = "usual") -> Numbers:
        """The numbers of the run that the README is about.

        Raises:
            FileNotFoundError: If nothing was recorded.
            KeyError: If no run of this size was.
        """
        return json.loads((self.folder / RECORD).read_text(encoding="utf-8"))[size]

    def _parse(self, arguments: list[str] | None) -> argparse.Namespace:
        form = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(description=self.about, formatter_class=form)
        size = parser.add_mutually_exclusive_group()
        helps = {"fast": "less than a minute: for the tests"}
        helps |= {"long": "longer, see README.md"} if self.long else {}
        for name, words in helps.items():
            kind: Any = {"action": "store_const", "dest": "size", "const": name}
            _ = size.add_argument(f"--{name}", help=words, **kind)
        _ = parser.add_argument("--seeds", type=int, default=1, help="how many; 1")
        _ = parser.add_argument("--out", type=Path, help="a folder for what it writes")
        _ = parser.add_argument(
            "--record", action="store_true", help="make the numbers those of README.md"
        )
        parser.set_defaults(size="usual")
        options = parser.parse_args(arguments)
        if options.seeds < 1:
            parser.error(f"--seeds {options.seeds} must be 1 or more. Use --seeds 5.")
        if options.record and options.size == "fast":
            parser.error("--record must be of a whole run. Use it without --fast.")
        return options

    def _record(self, size: Size, numbers: Numbers) -> None:
        path, readme = self.folder / RECORD, self.folder / "README.md"
        held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        held[size] = numbers
        _ = path.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
        begin = BEGIN.format(" --long" if size == "long" else "")
        text = readme.read_text(encoding="utf-8")
        before, found, rest = text.partition(begin)
        if not found or END not in rest:
            raise ValueError(f"{readme} must have the lines {begin.strip()} and {END}.")
        after = rest[rest.index(END) :]
        _ = readme.write_text(before + begin + table(numbers) + after, encoding="utf-8")

    def _compare(self, size: Size, numbers: Numbers) -> None:
        try:
            recorded = self.recorded(size)
        except (FileNotFoundError, KeyError):
            print("No such run is recorded: nothing is compared. Use --record.")
            return
        apart = outside(numbers, recorded)
        for row, score, found, least, most in apart:
            print(
                f"{row}, {score}: {found:.4g} is not within {least:.4g} to {most:.4g}"
            )
        if apart:
            raise SystemExit(1)
        print("Every number is within README.md's spread, or near: within half of it.")


def median(numbers: list[float]) -> float:
    """The number in the middle."""
    return statistics.median(numbers)


def gathered(outcomes: list[Outcome]) -> Numbers:
    """The numbers of all seeds, by row and score."""
    rows = outcomes[0].rows
    return {
        row: {score: [one.rows[row][score] for one in outcomes] for score in scores}
        for row, scores in rows.items()
    }


def outside(
    found: Numbers, recorded: Numbers
) -> list[tuple[str, str, float, float, float]]:
    """What is farther from the recorded spread than half of it: row, score, numbers."""
    apart = []
    for row, scores in recorded.items():
        for score, numbers in scores.items():
            slack = max((max(numbers) - min(numbers)) / 2, 1e-3 * abs(median(numbers)))
            least, most = min(numbers) - slack, max(numbers) + slack
            far = [one for one in found[row][score] if not least <= one <= most]
            apart += [(row, score, one, least, most) for one in far]
    return apart


def table(numbers: Numbers) -> str:
    """Rows and scores in Markdown: the median, the least and the most of the seeds."""
    scores = list(dict.fromkeys(name for row in numbers.values() for name in row))
    lines = [f"| | {' | '.join(scores)} |", "|---" * (len(scores) + 1) + "|"]
    for row, found in numbers.items():
        cells = [_cell(found.get(score, [])) for score in scores]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


def _cell(numbers: list[float]) -> str:
    if not numbers:
        return "-"
    words = [f"{number:.4g}" for number in (median(numbers), *_ends(numbers))]
    same = words[1] == words[2]
    return words[0] if same else f"{words[0]} ({words[1]} to {words[2]})"


def _ends(numbers: list[float]) -> tuple[float, float]:
    return min(numbers), max(numbers)
