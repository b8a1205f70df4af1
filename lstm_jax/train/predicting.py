"""Predictions of a model on windows, in the targets' own units."""

from collections.abc import Sequence
from dataclasses import astuple
from functools import lru_cache
from typing import Any, Literal

import jax
import numpy as np
import pandas as pd
from flax import nnx

from lstm_jax.model import LSTMModel
from lstm_jax.train.batch import Batch, Rows
from lstm_jax.train.chunks import streams_of
from lstm_jax.train.loop.program import fresh
from lstm_jax.train.table.dataset import Dataset
from lstm_jax.train.table.recipe import Recipe
from lstm_jax.train.table.windows import Windows

BATCH = 64  # rows of every call: a row's prediction is that of any other table with it
STEPS = 2**17  # at most, of a call: those of long windows are fewer rows
CHUNK = 1024  # steps of a call, where the state is carried through a series


def model_for(
    dataset: Dataset,
    *,
    hidden_size: int = 64,
    num_layers: int = 1,
    dropout: float = 0.0,
    quantiles: Sequence[float] = (),
    outputs: Literal["last", "all"] = "last",
    remat: int | Literal["sqrt"] | None = None,
    seed: int = 0,
) -> LSTMModel:
    """A new model for the windows of a table.

    Its head is zero, so that it begins as the persistence where the windows predict the
    change, and as the training mean where they predict the level.

    Args:
        dataset: What `windows` returned: I features, O outputs.
        hidden_size: `H`, units of each layer.
        num_layers: `L`.
        dropout: Between the layers.
        quantiles: Levels of the loss `pinball(quantiles)`: a prediction for each.
        outputs: "last" for a prediction at the end of each window, "all" for one at
            every row, as `fit(..., truncate=...)` needs it.
        remat: Rows between the states that are kept for the backward pass, or "sqrt"
            for the root of the window: less memory, the same training. None keeps all.
        seed: Of the weights.

    Returns:
        A model of `(*B, T, I)` to `(*B, O)`, or `(*B, O * Q)` with Q quantiles; with
        `outputs="all"` there is T before O.

    Raises:
        ValueError: If a size is out of range.

    Example:
        >>> import pandas as pd
        >>> from lstm_jax import train
        >>> table = pd.DataFrame({"flow": np.sin(np.arange(60.0))})
        >>> made = train.windows(table, target="flow", window=5, horizon=2)
        >>> model = train.model_for(made, hidden_size=8)
        >>> model(made.test.take(np.arange(3)).xs).tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    recipe = dataset.recipe
    model = LSTMModel(
        len(recipe.feature_names),
        hidden_size,
        len(recipe.output_names) * max(len(quantiles), 1),
        num_layers,
        dropout=dropout,
        outputs=outputs,
        remat=remat,
        forget_bias=1.0,
        rngs=nnx.Rngs(seed),
    )
    head = {n: a * 0 for n, a in model.params().items() if n.startswith("fc.")}
    model.load_params({**model.params(), **head})
    return model


def run_model(model: Any, rows: Rows) -> np.ndarray:
    """The model's outputs for every sample, `(n, ...)`, at least one.

    Samples go through the model `BATCH` at a time, or fewer where they are long, the
    last ones with others beside them, so that the outputs of a sample do not depend on
    how many there are.
    """
    graph, state = nnx.split(model)
    program, numbers, made = _program(graph), np.arange(len(rows)), []
    size = min(max(STEPS // rows.take(numbers[:1]).xs.shape[1], 1), BATCH)
    for start in range(0, len(rows), size):
        some = numbers[start : start + size]
        batch = rows.take(np.resize(some, size))
        made.append(np.asarray(program(state, batch.xs, batch.lengths))[: len(some)])
    return np.concatenate(made)


@lru_cache(maxsize=16)
def _program(graph: Any) -> Any:
    def run(state: Any, xs: Any, lengths: Any) -> Any:
        masks = {} if lengths is None else {"lengths": lengths}
        model = nnx.merge(graph, state)
        model.eval()
        return model(xs, **masks)

    return jax.jit(run)


def reads_series(model: Any) -> bool:
    """Whether a model predicts at every row of a series, not at the end of windows."""
    return getattr(model, "outputs", None) == "all"


def run_series(model: Any, windows: Windows) -> np.ndarray:
    """The model's outputs at the last row of each window, `(n, O)`, at least one.

    The state is carried through each series from its first row on, `CHUNK` rows and up
    to `BATCH` series at a time.
    """
    graph, params = nnx.split(model)
    program, source = _carrying(graph), windows.source
    batches = streams_of(windows, CHUNK, BATCH)
    firsts = [stretch.first for stretch in windows.stretches()]
    state = model.initial_state((len(batches.lanes),))
    found = np.zeros((len(source.targets), model.output_size), np.float32)
    for number, batch in enumerate(batches):
        outputs, state = program(params, batch, state)
        outputs = np.asarray(outputs)
        for lane, places in enumerate(batches.lanes):
            if number < len(places):
                stream, start, stop = astuple(places[number])
                rows = slice(firsts[stream] + start, firsts[stream] + stop)
                found[rows] = outputs[lane, : stop - start]
    return found[windows.ends]


@lru_cache(maxsize=16)
def _carrying(graph: Any) -> Any:
    def run(params: Any, batch: Batch, state: Any) -> Any:
        model = nnx.merge(graph, params)
        model.eval()
        state = fresh(state, batch.reset)
        return model.with_state(batch.xs, state, lengths=batch.lengths)

    return jax.jit(run)


def outputs_of(model: Any, rows: Rows) -> str:
    """The shape of a model's outputs for n samples, in words."""
    graph, state = nnx.split(model)
    batch = rows.take(np.arange(1))
    made = jax.eval_shape(_program(graph), state, batch.xs, batch.lengths)
    shape = getattr(made, "shape", None)
    at_every_row = int(reads_series(model))
    return "several" if shape is None else _shown(shape[1 + at_every_row :])


def asked_of(recipe: Recipe, quantiles: Sequence[float]) -> str:
    """The shape of the outputs that windows of this recipe ask of a model, in words."""
    return _shown((len(recipe.output_names) * max(len(quantiles), 1),))


def _shown(shape: Sequence[int]) -> str:
    return f"({', '.join(['n', *map(str, shape)])})"


def predict(model: Any, windows: Windows, quantiles: Sequence[float] = ()) -> Any:
    """Predictions for every window, in the targets' own units.

    Args:
        model: What `model_for` made, trained.
        windows: n windows of the recipe that it was trained on.
        quantiles: Levels of the model, where it predicts quantiles.

    Returns:
        float64 `(n, horizon', targets)`, or `(n, horizon', targets, Q)`; horizon' is
        the horizon, or 1 where it is 0.
    """
    if not len(windows):
        shape = windows.truth().shape
        return np.zeros((*shape, len(quantiles)) if quantiles else shape)
    run = run_series if reads_series(model) else run_model
    outputs = run(model, windows)
    if quantiles:
        outputs = outputs.reshape(len(outputs), -1, len(quantiles))
    return windows.unscaled(outputs)


def as_table(
    recipe: Recipe,
    windows: Windows,
    predicted: np.ndarray,
    quantiles: Sequence[float] = (),
) -> pd.DataFrame:
    """Predictions as a long table: a row for each window and step ahead.

    Returns:
        `group` (where there are groups), `time` (the time predicted for), `step` (0 for
        the window's last row), and for each target its truth, NaN where there is none,
        `<target>_predicted`, and with quantiles `<target>_q10` and so on: the
        prediction is their median.
    """
    count, steps = predicted.shape[:2]
    roles = recipe.roles
    columns: dict[str, Any] = {}
    if roles.group:
        columns["group"] = np.repeat(windows.groups, steps)
    columns["time"] = windows.times_ahead().reshape(-1)
    columns["step"] = np.tile(np.arange(steps) + (recipe.horizon > 0), count)
    truth, levels = windows.truth(), tuple(quantiles)
    for k, target in enumerate(roles.target):
        columns[target] = truth[:, :, k].reshape(-1)
        central = predicted[:, :, k]
        if levels:
            central = central[..., levels.index(0.5)]
        columns[f"{target}_predicted"] = central.reshape(-1)
        for j, level in enumerate(levels):
            name = f"{target}_q{100 * level:g}"
            columns[name] = predicted[:, :, k, j].reshape(-1)
    return pd.DataFrame(columns)
