"""Onnxruntime: the graph that `parity.to_onnx` writes, with an `LSTM` node a layer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime

from parity.bench.program import Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.convert.onnx.target import to_onnx
from parity.judge.cases import Problem
from parity.judge.tensors import OUTPUTS, Array


def build(work: Work, problem: Problem, settings: Settings) -> Program:
    """A program of onnxruntime on a CPU, which has no gradients."""
    if settings.device != "cpu":
        raise Unsupported("its package for CPUs is the one that is measured")
    if work.mode not in ("forward", "step"):
        raise Unsupported("it has no gradients")
    if problem.resets is not None:
        raise Unsupported("it has no resets")
    streaming = work.mode == "step"
    try:
        model = to_onnx(problem.params, streaming=streaming)
    except NotImplementedError as error:
        raise Unsupported(str(error)) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.cores
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    call, values = (_stream if streaming else _infer)(session, problem)
    facts = {"backend": "MLAS", "threads": settings.cores}
    return Program(call=call, finish=lambda _: None, values=values, facts=facts)


CallAndValues = tuple[Callable[[], Any], Callable[[Problem], Mapping[str, Array]]]


def _infer(session: Any, problem: Problem) -> CallAndValues:
    given = {"xs": np.asarray(problem.xs)}

    def call() -> Any:
        return session.run(None, given)

    def values(problem: Problem) -> Mapping[str, Array]:
        found = session.run(None, {"xs": np.asarray(problem.xs)})
        return dict(zip(OUTPUTS, found, strict=True))

    return call, values


def _stream(session: Any, problem: Problem) -> CallAndValues:
    _, h, c = session.get_inputs()
    _, rows, _ = problem.xs.shape
    zeros = [np.zeros((one.shape[0], rows, one.shape[2]), np.float32) for one in (h, c)]
    xs, state = np.asarray(problem.xs), zeros

    def step(x: Array, state: list[Array]) -> list[Array]:
        given = dict(zip((h.name, c.name), state, strict=True))
        return session.run(None, {"xs": x, **given})

    def call() -> Any:
        nonlocal state
        y, *state = step(xs[:1], state)
        return y

    def values(problem: Problem) -> Mapping[str, Array]:
        state, ys = zeros, []
        for x in np.asarray(problem.xs):
            y, *state = step(x[None], state)
            ys.append(y[0])
        return {"ys": np.stack(ys)}

    return call, values
