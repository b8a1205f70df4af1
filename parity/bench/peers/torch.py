"""Torch: `torch.nn.LSTM` itself."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.arrays import numpy_of, tensor_of
from parity.bench.expected import LEARNING_RATE
from parity.bench.program import Program, Unsupported
from parity.bench.rate import set_tf32
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.frameworks.kinds.torch import lstm_of, to_torch
from parity.judge.cases import Problem
from parity.judge.tensors import OUTPUTS, Array


def build(work: Work, problem: Problem, settings: Settings) -> Program:
    """A program of torch."""
    if problem.resets is not None:
        raise Unsupported("it has no resets: a call for each step is no fair rival")
    torch.set_num_threads(settings.cores)
    set_tf32(settings.tf32)
    device = torch.device("cuda" if settings.device == "gpu" else "cpu")
    module = lstm_of(to_torch(problem.params)).to(device)
    make = {
        "forward": _infer,
        "backward": _differentiate,
        "train": _descend,
        "step": _stream,
    }
    call, values = make[work.mode](module, problem, device)
    on_gpu = settings.device == "gpu"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    facts = {
        "backend": "cudnn" if on_gpu else "mkldnn",
        "threads": torch.get_num_threads(),
    }
    return Program(
        call=call,
        finish=lambda _: wait(),
        values=values,
        facts=facts,
        peak=partial(_peak_bytes, call) if on_gpu else None,
    )


def _peak_bytes(call: Callable[[], Any]) -> int:
    """Bytes of the GPU's memory that a call takes."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _ = call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


CallAndValues = tuple[Callable[[], Any], Callable[[Problem], Mapping[str, Array]]]


def _infer(module: Any, problem: Problem, device: Any) -> CallAndValues:
    def run(problem: Problem) -> Any:
        return module(_on(device, problem.xs))

    xs = _on(device, problem.xs)

    @torch.inference_mode()
    def call() -> Any:
        return module(xs)

    @torch.inference_mode()
    def values(problem: Problem) -> Mapping[str, Array]:
        return _by_name(*run(problem))

    return call, values


def _differentiate(module: Any, problem: Problem, device: Any) -> CallAndValues:
    names = ["d_xs", *(f"d_{name}" for name, _ in module.named_parameters())]

    def run(xs: Any, cotangents: list[Any]) -> Any:
        ys, (h, c) = module(xs)
        inputs = [xs, *module.parameters()]
        return (ys, (h, c)), torch.autograd.grad((ys, h, c), inputs, cotangents)

    given = _leaves(problem, device)

    def values(problem: Problem) -> Mapping[str, Array]:
        outputs, gradients = run(*_leaves(problem, device))
        named = {k: _in_numpy(a) for k, a in zip(names, gradients, strict=True)}
        return _by_name(*outputs) | named

    return partial(run, *given), values


def _leaves(problem: Problem, device: Any) -> tuple[Any, list[Any]]:
    cotangents = [_on(device, a[0]) for a in problem.cotangents]
    return _on(device, problem.xs).requires_grad_(), cotangents


def _descend(module: Any, problem: Problem, device: Any) -> CallAndValues:
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)

    def run(xs: Any, cotangents: list[Any]) -> Any:
        optimizer.zero_grad()
        ys, (h, c) = module(xs)
        pairs = zip((ys, h, c), cotangents, strict=True)
        loss = torch.stack([(a * b).sum() for a, b in pairs]).sum()
        _ = loss.backward()
        _ = optimizer.step()
        return loss

    start = {name: _on(device, a) for name, a in problem.params.items()}
    xs = _on(device, problem.xs)
    cotangents = [_on(device, a[0]) for a in problem.cotangents]

    def values(problem: Problem) -> Mapping[str, Array]:
        _ = module.load_state_dict(start)
        _ = run(
            _on(device, problem.xs), [_on(device, a[0]) for a in problem.cotangents]
        )
        return {name: _in_numpy(a) for name, a in module.named_parameters()}

    return partial(run, xs, cotangents), values


def _stream(module: Any, problem: Problem, device: Any) -> CallAndValues:
    xs = _on(device, problem.xs)
    x, state = xs[:1], None

    @torch.inference_mode()
    def call() -> Any:
        nonlocal state
        y, state = module(x, state)
        return y

    @torch.inference_mode()
    def values(problem: Problem) -> Mapping[str, Array]:
        state, ys = None, []
        for x in _on(device, problem.xs):
            y, state = module(x[None], state)
            ys.append(_in_numpy(y[0]))
        return {"ys": np.stack(ys)}

    return call, values


def _on(device: Any, array: Array) -> Any:
    return tensor_of(array).to(device)


def _in_numpy(tensor: Any) -> Array:
    return numpy_of("", tensor.detach().cpu())


def _by_name(ys: Any, state: Any) -> dict[str, Array]:
    return {k: _in_numpy(a) for k, a in zip(OUTPUTS, (ys, *state), strict=True)}
