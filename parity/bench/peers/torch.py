"""Torch: `torch.nn.LSTM` itself."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.arrays import numpy_of, tensor_of
from parity.bench.rate import set_tf32
from parity.bench.runner import Array, Build, Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.verify import RATE
from parity.bench.works import Work
from parity.frameworks.torch import lstm_of
from parity.judge.cases import Problem


def builder() -> Build:
    """Programs of torch."""
    return _build


def _build(work: Work, problem: Problem, settings: Settings) -> Program:
    if problem.resets is not None:
        raise Unsupported("it has no resets: a call for each step is no fair rival")
    torch.set_num_threads(settings.cores)
    set_tf32(settings.tf32)
    device = torch.device("cuda" if settings.device == "gpu" else "cpu")
    module = lstm_of({k: tensor_of(a) for k, a in problem.params.items()}).to(device)
    make = {"forward": _forward, "backward": _backward, "train": _train, "step": _step}
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
        peak=partial(_peak, call) if on_gpu else None,
    )


def _peak(call: Callable[[], Any]) -> int:
    """Bytes of the GPU's memory that a call takes."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _ = call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


Pair = tuple[Callable[[], Any], Callable[[Problem], Mapping[str, Array]]]


def _forward(module: Any, problem: Problem, device: Any) -> Pair:
    def run(problem: Problem) -> Any:
        return module(_on(device, problem.xs))

    xs = _on(device, problem.xs)

    @torch.inference_mode()
    def call() -> Any:
        return module(xs)

    @torch.inference_mode()
    def values(problem: Problem) -> Mapping[str, Array]:
        return _outputs(*run(problem))

    return call, values


def _backward(module: Any, problem: Problem, device: Any) -> Pair:
    names = ["d_xs", *(f"d_{name}" for name, _ in module.named_parameters())]

    def run(xs: Any, weights: list[Any]) -> Any:
        ys, (h, c) = module(xs)
        inputs = [xs, *module.parameters()]
        return (ys, (h, c)), torch.autograd.grad((ys, h, c), inputs, weights)

    given = _differentiable(problem, device)

    def values(problem: Problem) -> Mapping[str, Array]:
        outputs, gradients = run(*_differentiable(problem, device))
        named = {k: _array(a) for k, a in zip(names, gradients, strict=True)}
        return _outputs(*outputs) | named

    return partial(run, *given), values


def _differentiable(problem: Problem, device: Any) -> tuple[Any, list[Any]]:
    weights = [_on(device, a[0]) for a in problem.cotangents]
    return _on(device, problem.xs).requires_grad_(), weights


def _train(module: Any, problem: Problem, device: Any) -> Pair:
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)

    def run(xs: Any, weights: list[Any]) -> Any:
        optimizer.zero_grad()
        ys, (h, c) = module(xs)
        pairs = zip((ys, h, c), weights, strict=True)
        loss = torch.stack([(a * b).sum() for a, b in pairs]).sum()
        _ = loss.backward()
        _ = optimizer.step()
        return loss

    start = {name: _on(device, a) for name, a in problem.params.items()}
    xs = _on(device, problem.xs)
    weights = [_on(device, a[0]) for a in problem.cotangents]

    def values(problem: Problem) -> Mapping[str, Array]:
        _ = module.load_state_dict(start)
        _ = run(
            _on(device, problem.xs), [_on(device, a[0]) for a in problem.cotangents]
        )
        return {name: _array(a) for name, a in module.named_parameters()}

    return partial(run, xs, weights), values


def _step(module: Any, problem: Problem, device: Any) -> Pair:
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
            ys.append(_array(y[0]))
        return {"ys": np.stack(ys)}

    return call, values


def _on(device: Any, array: Array) -> Any:
    return tensor_of(array).to(device)


def _array(tensor: Any) -> Array:
    return numpy_of("", tensor.detach().cpu())


def _outputs(ys: Any, state: Any) -> dict[str, Array]:
    return {"ys": _array(ys), "h_n": _array(state[0]), "c_n": _array(state[1])}
