"""The folder of a run: config.json, model.safetensors, checkpoints, metrics.jsonl."""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lstm_jax import pretrained
from lstm_jax.train.saved import checkpoints
from lstm_jax.train.saved.checkpoints import Named, UnreadableError
from lstm_jax.train.saved.writing import write_whole

CONFIG, SECTION, METRICS, CHECKPOINTS = (
    pretrained.CONFIG,
    "training",
    "metrics.jsonl",
    "checkpoints",
)
Row = dict[str, Any]


@dataclass
class Folder:
    """A run's files. What is written appears whole, or not at all."""

    path: Path
    said: list[str] = field(default_factory=list)

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are, one folder for each step."""
        return self.path / CHECKPOINTS

    def is_run(self) -> bool:
        """Whether there is a run in it."""
        return self.path.is_dir() and SECTION in self._config()

    def section(self) -> dict[str, Any]:
        """The section `training` of the config."""
        return self._config()[SECTION]

    def _config(self) -> dict[str, Any]:
        path = self.path / CONFIG
        if not path.is_file():
            return {}
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            config = None
        if not isinstance(config, dict):
            raise ValueError(
                f"fit: {str(path)!r} must be a config: it is no JSON object. Use "
                "another folder."
            )
        return config

    def begin(self, model: Any, section: Mapping[str, Any]) -> None:
        """Write model and config beside the folder, then rename: both, or neither."""
        self.refuse_other()
        with self.writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
            try:
                model.save_pretrained(new)
                config = json.loads((new / CONFIG).read_text(encoding="utf-8"))
                write_whole(
                    new / CONFIG, json.dumps(config | {SECTION: section}, indent=2)
                )
                _ = new.rename(self.path)
            finally:
                shutil.rmtree(new, ignore_errors=True)

    def refuse_other(self) -> None:
        """Refuse a folder that holds a run, or anything else."""
        shown = str(self.path)
        if self.is_run():
            raise ValueError(
                f"fit: folder={shown!r} must hold no run: it would be overwritten. Use "
                f"resume({shown!r}, ...) to go on with it, or another folder."
            )
        if self.path.exists() and not (self.path.is_dir() and _is_empty(self.path)):
            raise ValueError(
                f"fit: folder={shown!r} must be new or empty: a run is a folder of its "
                "own. Use another folder."
            )

    def has_checkpoints(self) -> bool:
        """Whether a checkpoint was written, whether or not it reads."""
        return bool(checkpoints.steps_of(self.checkpoints))

    def restore(self) -> tuple[int, Named] | None:
        """The last checkpoint that reads, and its step; None where there is none."""
        for step in checkpoints.steps_of(self.checkpoints):
            place = self.checkpoints / str(step)
            try:
                return step, checkpoints.load(place)
            except UnreadableError as error:
                self.said.append(
                    f"The checkpoint {str(place)!r} is passed over, and stays where it "
                    f"is: {error}."
                )
        return None

    def keep(self, step: int, named: Named) -> None:
        """Write a checkpoint."""
        with self.writing():
            checkpoints.save(self.checkpoints.resolve(), step, named)

    def keep_model(self, model: Any) -> None:
        """Replace the weights."""
        with self.writing():
            model.save_pretrained(self.path)

    def add(self, row: Row) -> None:
        """Add a line to metrics.jsonl."""
        with self.writing():
            write_whole(self.path / METRICS, "".join(map(_line, [*self.rows(), row])))

    def rows(self) -> list[Row]:
        """The lines of metrics.jsonl."""
        path = self.path / METRICS
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return [self._row(k, line) for k, line in enumerate(text.splitlines(), 1)]

    def _row(self, number: int, line: str) -> Row:
        with suppress(ValueError):
            if isinstance(row := json.loads(line), dict):
                return row
        raise ValueError(
            f"fit: {str(self.path / METRICS)!r} must hold a JSON object in each line, "
            f"as fit writes it: line {number} is none. Remove this line."
        )

    def cut(self, step: int) -> list[Row]:
        """Remove the lines of metrics.jsonl past this step, and return the others."""
        rows = [row for row in self.rows() if row["step"] <= step]
        if rows != self.rows():
            with self.writing():
                write_whole(self.path / METRICS, "".join(map(_line, rows)))
        return rows

    def write(self, name: str, text: str) -> None:
        """Replace a file of text."""
        with self.writing():
            write_whole(self.path / name, text)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say what cannot be written in one sentence."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OSError(
                f"fit: folder={str(self.path)!r} must be writable: {reason}. What was "
                "written before stays whole. Free space or use another folder."
            ) from None


class ReadFolder(Folder):
    """A run's files, as a process sees them while another process writes them."""

    def begin(self, model: Any, section: Mapping[str, Any]) -> None:
        """Write nothing."""

    def keep(self, step: int, named: Named) -> None:
        """Write nothing."""

    def keep_model(self, model: Any) -> None:
        """Write nothing."""

    def add(self, row: Row) -> None:
        """Write nothing."""

    def cut(self, step: int) -> list[Row]:
        """The lines of metrics.jsonl up to this step."""
        return [row for row in self.rows() if row["step"] <= step]

    def write(self, name: str, text: str) -> None:
        """Write nothing."""


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _is_empty(path: Path) -> bool:
    return next(path.iterdir(), None) is None
