"""Any framework of `parity.frameworks` that runs in JAX."""

from dataclasses import replace
from typing import Any

import jax

from parity.bench.jax_program import JaxModel, program
from parity.bench.program import Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.frameworks.framework import Framework
from parity.frameworks.layers import layers_of, params_of
from parity.frameworks.registry import FRAMEWORKS
from parity.judge.cases import Problem

# Losses that leave the numbers and the gradients what they are.
_SAME = ("two biases", "forget bias")


def build(
    work: Work,
    problem: Problem,
    settings: Settings,
    *,
    framework: str,
    device: str = "",
    dtype: str = "",
    backend: str = "xla",
) -> Program:
    """A framework's program.

    `device` and `dtype` are the only ones it has, if given; `backend` is what runs it.
    """
    if device and settings.device != device:
        raise Unsupported(f"it runs only on a {device}")
    if dtype and work.case.dtype != dtype:
        raise Unsupported(f"it runs only in {dtype}")
    model = model_of(FRAMEWORKS[framework], work, problem)
    return program(replace(model, backend=backend), work, problem, settings)


def model_of(row: Framework, work: Work, problem: Problem) -> JaxModel:
    """The framework's LSTM with the weights of the problem."""
    spec, layers = work.case.spec, layers_of(problem.params)
    losses = row.losses(replace(spec, resets=problem.resets is not None))
    others = [sentence for name, sentence in losses.items() if name not in _SAME]
    if others:
        raise Unsupported(" ".join(others))

    def descended(weights: Any) -> dict[str, Any]:
        named = params_of(row.to_lstm(weights))
        if "two biases" in losses:  # their sum moves twice as far as a single one
            return {k: a for k, a in named.items() if "bias" not in k}
        return named

    weights = row.from_lstm(layers)
    # What the library makes once is made here, before the compiler's time is taken.
    _ = jax.eval_shape(row.run, weights, problem.xs[:1])
    stream = None if spec.bidirectional else row.stream
    return JaxModel(
        weights=weights,
        run=row.run,
        gradients=lambda d_weights: params_of(row.gradients(layers, d_weights)),
        descended=descended,
        step=stream and stream.step,
        start=stream and stream.start(spec, problem.xs.shape[1]),
    )
