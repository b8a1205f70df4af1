"""The side of torch: `torch.nn.LSTM`, packed where there are lengths."""

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from parity.judge.cases import SETS, Problem
from parity.judge.tensors import (
    Array,
    Key,
    Primals,
    by_key,
    by_name,
    flatten_batch,
    primals_of,
)
from parity.report.rows import NOT_INSTALLED

if TYPE_CHECKING:
    import torch


def has_torch() -> bool:
    """Whether torch can be imported."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def torch_not_run(problem: Problem) -> str:
    """Why torch does not run on a problem; empty where it does."""
    if 0 in problem.xs.shape[:-1]:
        return "torch takes no sequences without steps or rows, so it was not run"
    return "" if has_torch() else NOT_INSTALLED


def of_torch(problem: Problem) -> dict[Key, Array]:
    """What `torch.nn.LSTM` gives; empty where it does not run."""
    if torch_not_run(problem):
        return {}

    from parity.arrays import tensor_of
    from parity.frameworks.kinds.torch import lstm_of

    axes, dtype = problem.xs.ndim - 2, problem.xs.dtype
    module = lstm_of({name: tensor_of(a) for name, a in problem.params.items()})

    def leaf(array: Array) -> Any:
        return tensor_of(flatten_batch(array, axes).astype(dtype)).requires_grad_()

    def leaves(state: Any) -> Any:
        return None if state is None else tuple(map(leaf, state))

    xs, state = leaf(problem.xs), leaves(problem.state)
    fresh = leaves(problem.reset_state)
    outputs = _outputs_of(module, problem, xs, state, fresh)
    inputs = by_name(Primals(dict(module.named_parameters()), xs, state, fresh))
    shapes = by_name(primals_of(problem))
    sets = []
    for k in range(len(SETS)):
        weights = [leaf(a[k]).detach() for a in problem.cotangents]
        found = _gradients(outputs, weights, list(inputs.values()))
        shaped = zip(inputs, found, strict=True)
        sets.append({name: _array_like(a, shapes[name]) for name, a in shaped})
    pairs = zip(outputs, problem.cotangents, strict=True)
    return by_key([_array_like(a.detach(), b[0]) for a, b in pairs], sets)


def _gradients(outputs: Any, weights: list[Any], inputs: list[Any]) -> Any:
    """Gradients of the weighted outputs; zeros where no output depends on an input."""
    import torch

    pairs = zip(outputs, weights, strict=True)
    differentiable = [pair for pair in pairs if pair[0].requires_grad]
    if not differentiable:
        return [torch.zeros_like(a) for a in inputs]
    values, factors = zip(*differentiable, strict=True)
    return torch.autograd.grad(
        values,
        inputs,
        factors,
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )


def _array_like(tensor: "torch.Tensor", like: Array) -> Array:
    """A tensor in the shape and type of an array."""
    from parity.arrays import numpy_of

    return numpy_of("", tensor).reshape(like.shape).astype(like.dtype)


def _outputs_of(
    module: Any, problem: Problem, xs: Any, state: Any, fresh: Any
) -> tuple[Any, Any, Any]:
    """Outputs and the state after: packed for lengths, step by step for resets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported")
        if problem.resets is not None:
            return _step_by_step(module, problem, xs, state, fresh)
        if problem.lengths is not None:
            return _packed(module, problem.lengths.reshape(-1), xs, state)
        ys, (h, c) = module(xs, state)
        return ys, h, c


def _zeros_for(module: Any, xs: Any) -> tuple[Any, Any]:
    """A state of zeros for the module."""
    rows = module.num_layers * (1 + module.bidirectional)
    output = module.proj_size or module.hidden_size
    h = xs.new_zeros(rows, xs.shape[1], output)
    return h, xs.new_zeros(rows, xs.shape[1], module.hidden_size)


def _packed(module: Any, lengths: Array, xs: Any, state: Any) -> tuple[Any, Any, Any]:
    """Torch cannot pack rows of length 0: they keep their state, and give zeros."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    h, c = state or _zeros_for(module, xs)
    features = (1 + module.bidirectional) * h.shape[-1]
    ys = xs.new_zeros(*xs.shape[:2], features)
    rows = torch.from_numpy(np.flatnonzero(lengths))
    if not len(rows):
        return ys, h + 0, c + 0
    packed = pack_padded_sequence(
        xs[:, rows], torch.from_numpy(lengths[rows.numpy()]), enforce_sorted=False
    )
    found, (h_n, c_n) = module(packed, (h[:, rows], c[:, rows]))
    found, _ = pad_packed_sequence(found, total_length=len(xs))
    put = partial(torch.index_copy, dim=1, index=rows)
    return put(ys, source=found), put(h, source=h_n), put(c, source=c_n)


def _step_by_step(
    module: Any, problem: Problem, xs: Any, state: Any, fresh: Any
) -> tuple[Any, Any, Any]:
    """Torch has no resets: one call for each step, with the state replaced between."""
    import torch

    def mask(array: Array) -> Any:
        return torch.from_numpy(array.reshape(len(xs), -1, 1))

    steps = np.arange(len(xs)).reshape(-1, *(1,) * (problem.xs.ndim - 2))
    lengths = len(xs) if problem.lengths is None else problem.lengths
    running = mask(np.broadcast_to(steps < lengths, problem.xs.shape[:-1]).copy())
    assert problem.resets is not None  # noqa: S101
    resets = mask(problem.resets)
    state, fresh = (pair or _zeros_for(module, xs) for pair in (state, fresh))
    xs = torch.where(running, xs, 0)
    outputs = []
    for t in range(len(xs)):
        before = [
            torch.where(resets[t], b, a) for a, b in zip(state, fresh, strict=True)
        ]
        y, after = module(xs[t : t + 1], tuple(before))
        outputs.append(torch.where(running[t], y[0], 0))
        pairs = zip(after, state, strict=True)
        state = tuple(torch.where(running[t], a, b) for a, b in pairs)
    return torch.stack(outputs), *state
