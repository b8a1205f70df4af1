"""What a command says of a run that has ended."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm_jax.terminal import Screen, width
from lstm_jax.train import Run

_TORCH = """
import torch
from safetensors.torch import load_file

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM({inputs}, {hidden}, {layers}, batch_first=True)
        self.fc = torch.nn.Linear({hidden}, {outputs})

    def forward(self, xs):
        return self.fc(self.lstm(xs)[0]{last})

model = Model()
model.load_state_dict(load_file({path!r}))
# Of made = lstm_jax.train.load({folder!r}).recipe.windows(table)
# it takes {takes},
# and gives what made.unscaled turns into the unit of the target."""
_AT_THE_END = {"last": "[:, -1]", "takes": "the windows, made.take(rows).xs"}
_AT_EVERY_ROW = {
    "last": "",
    "takes": "whole series, the xs of made.stretches(), and predicts at every row",
}


def resuming(folder: Path) -> str:
    """The line that goes on with a run."""
    return f"python -m lstm_jax resume {shlex.quote(str(folder))}"


@contextmanager
def resumable(folder: Path, first: bool = True) -> Iterator[None]:
    """Where a signal ends the run, the first process says how it goes on."""
    try:
        yield
    except SystemExit:
        if first:
            said = f"Stopped, with a checkpoint. Go on by: {resuming(folder)}"
            Screen(stderr=True).print(said)
        raise


def show_nothing(_: str) -> None:
    """Show nothing: another process does."""


def end(run: Run, show: Callable[[str], None], *, torch: bool = False) -> None:
    """Say what the run is worth, and where it is."""
    show("")
    if run.scores is not None:
        show(run.scores.text(width()))
    folder = run.folder or Path()
    show(f"\nThe run is in {folder}: model.safetensors, scores.json, two pictures.")
    show(
        f"Predict with: python -m lstm_jax predict {shlex.quote(str(folder))} NEW.csv "
        "--out predicted.csv"
    )
    if torch:
        show(in_torch(run))


def in_torch(run: Run) -> str:
    """The lines that load the model of a run in PyTorch."""
    spec = run.model.spec
    folder = run.folder or Path()
    path = str(folder / "model.safetensors")
    sizes = {
        "inputs": spec.input_size,
        "hidden": spec.hidden_size,
        "layers": spec.num_layers,
        "outputs": run.model.output_size,
    }
    reads = _AT_EVERY_ROW if run.model.outputs == "all" else _AT_THE_END
    return _TORCH.format(path=path, folder=str(folder), **sizes, **reads)
