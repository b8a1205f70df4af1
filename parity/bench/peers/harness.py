"""A work in JAX, for any library: what to compile, and how to call it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from parity.bench.runner import Array, Build, Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.verify import RATE
from parity.bench.works import Work
from parity.judge.cases import Problem


class Outputs(NamedTuple):
    """What a sequence gives: `(T, B, D*P)`, `(L*D, B, P)`, `(L*D, B, H)`."""

    ys: jax.Array
    h: jax.Array
    c: jax.Array


@dataclass(frozen=True, kw_only=True)
class Model:
    """An LSTM of some library: its weights, and functions of them.

    `run(params, xs)` is the sequence, time first, from a state of zeros; `step(params,
    x, carry)` one step; `by_name` gives weights, or their gradients, torch's names;
    with one bias, its gradient is that of each of torch's two. `place` puts the arrays
    where they are wanted; `compiler` is options of XLA's.
    """

    params: Any
    run: Callable[[Any, jax.Array], Outputs]
    by_name: Callable[[Any], Mapping[str, Any]]
    step: Callable[[Any, jax.Array, Any], tuple[jax.Array, Any]] | None = None
    carry: Any = None
    one_bias: bool = False
    backend: str = "xla"
    compiler: Mapping[str, Any] = field(default_factory=dict)
    place: Callable[[Any, str], Any] = lambda arrays, _: jax.tree.map(
        jnp.asarray, arrays
    )


def program(model: Model, work: Work, problem: Problem, settings: Settings) -> Program:
    """The model's program for a work, compiled."""
    make = {"forward": _forward, "backward": _backward, "train": _train, "step": _step}
    with jax.default_matmul_precision(precision_of(settings)):
        return make[work.mode](model, problem, settings)


def precision_of(settings: Settings) -> str | None:
    """What to ask of JAX; None is its default: TF32 on a GPU, which a CPU has not."""
    wanted = (settings.device, settings.precision) == ("gpu", "highest")
    return "highest" if wanted else None


def _forward(model: Model, problem: Problem, settings: Settings) -> Program:
    run = jax.jit(model.run)
    arguments = _arrays(model, problem)[:2]
    compiled, facts = _compile(model, run, arguments)

    def values(problem: Problem) -> Mapping[str, Array]:
        return _outputs(compiled(*_arrays(model, problem)[:2]))

    return _ready(lambda: compiled(*arguments), values, facts, settings)


def _backward(model: Model, problem: Problem, settings: Settings) -> Program:
    @jax.jit
    def run(params: Any, xs: jax.Array, weights: Outputs) -> Any:
        outputs, pullback = jax.vjp(model.run, params, xs)
        return outputs, pullback(weights)

    arguments = _arrays(model, problem)
    compiled, facts = _compile(model, run, arguments)

    def values(problem: Problem) -> Mapping[str, Array]:
        outputs, (d_params, d_xs) = compiled(*_arrays(model, problem))
        named = {f"d_{k}": a for k, a in model.by_name(d_params).items()}
        return _outputs(outputs) | _numpy(named | {"d_xs": d_xs})

    return _ready(lambda: compiled(*arguments), values, facts, settings)


def _train(model: Model, problem: Problem, settings: Settings) -> Program:
    @partial(jax.jit, donate_argnums=0)
    def run(params: Any, xs: jax.Array, weights: Outputs) -> Any:
        def loss(params: Any) -> jax.Array:
            outputs = model.run(params, xs)
            pairs = zip(outputs, weights, strict=True)
            return sum(jnp.sum(a * b) for a, b in pairs)  # type: ignore[return-value]

        value, gradients = jax.value_and_grad(loss)(params)
        after = jax.tree.map(lambda a, b: a - RATE * b, params, gradients)
        return after, value

    params, *arguments = _arrays(model, problem)
    compiled, facts = _compile(model, run, (params, *arguments))
    current = jax.tree.map(jnp.array, params)

    def call() -> Any:
        nonlocal current
        current, value = compiled(current, *arguments)
        return value

    def values(problem: Problem) -> Mapping[str, Array]:
        params, *arguments = _arrays(model, problem)
        after, _ = compiled(jax.tree.map(jnp.array, params), *arguments)
        named = _numpy(model.by_name(after))
        # The sum of two biases moves twice as far as a single one.
        return {k: a for k, a in named.items() if "bias" not in k or not model.one_bias}

    return _ready(call, values, facts, settings)


def _step(model: Model, problem: Problem, settings: Settings) -> Program:
    if model.step is None:
        raise Unsupported("it has no single step of this")
    run = jax.jit(model.step, donate_argnums=2)
    params, xs, _ = _arrays(model, problem)
    start = partial(jax.tree.map, jnp.array, model.carry)
    compiled, facts = _compile(model, run, (params, xs[0], start()))
    carry, x = start(), jnp.array(xs[0])

    def call() -> Any:
        nonlocal carry
        y, carry = compiled(params, x, carry)
        return y

    def values(problem: Problem) -> Mapping[str, Array]:
        carry, ys = start(), []
        for x in problem.xs:
            y, carry = compiled(params, jnp.asarray(x), carry)
            ys.append(np.asarray(y))
        return {"ys": np.stack(ys)}

    return _ready(call, values, facts, settings)


def _arrays(model: Model, problem: Problem) -> tuple[Any, jax.Array, Outputs]:
    """Weights, inputs and cotangents, where the model wants them."""
    weights = Outputs(*(a[0] for a in problem.cotangents))
    return (
        model.place(model.params, "params"),
        model.place(problem.xs, "batch"),
        model.place(weights, "batch"),
    )


def _compile(model: Model, run: Any, arguments: Any) -> tuple[Any, dict[str, Any]]:
    """The compiled program, with the seconds and the memory that it takes."""
    start = time.perf_counter()
    compiled = run.lower(*arguments).compile(dict(model.compiler))
    facts = {"compile_seconds": time.perf_counter() - start, "backend": model.backend}
    memory = compiled.memory_analysis()
    if memory is not None:
        names = ("temp", "argument", "output")
        facts |= {
            f"{name}_bytes": getattr(memory, f"{name}_size_in_bytes") for name in names
        }
    return compiled, facts


def _outputs(outputs: Any) -> dict[str, Array]:
    return _numpy(dict(zip(("ys", "h_n", "c_n"), outputs, strict=True)))


def _numpy(arrays: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(a) for name, a in arrays.items()}


def _ready(call: Any, values: Any, facts: Any, settings: Settings) -> Program:
    """On a CPU a call waits for its result, on a GPU many are queued."""
    if settings.device == "cpu":
        return Program(
            call=lambda: jax.block_until_ready(call()),
            finish=lambda result: result,
            values=values,
            facts=facts,
        )
    return Program(
        call=call,
        finish=jax.block_until_ready,
        values=values,
        facts=facts,
        peak=peak_of(jax.devices()[0], facts),
    )


def peak_of(device: Any, facts: Mapping[str, Any]) -> Callable[[], int]:
    """What gives the memory that calls from now on take, at the most.

    The device knows its peak since the process began. Where no call from now on was
    higher, it is what the compiler says: JAX forgets no peak.
    """
    start = device.memory_stats() or {}

    def peak() -> int:
        highest = (device.memory_stats() or {}).get("peak_bytes_in_use", 0)
        if highest > start.get("peak_bytes_in_use", 0):
            return highest - start["bytes_in_use"]
        return facts.get("temp_bytes", 0) + facts.get("output_bytes", 0)

    return peak


class Cell(NamedTuple):
    """One direction of one layer in another library.

    `weights` and `fields` go from torch's arrays, `weight_ih`, `weight_hh` and `bias`,
    to the library's and back; `run(weights, xs, reverse)` gives `ys, h, c`.
    """

    weights: Callable[[dict[str, Array], int, int], Any]
    fields: Callable[[Any], dict[str, Any]]
    run: Callable[[Any, jax.Array, bool], tuple[jax.Array, jax.Array, jax.Array]]
    step: Callable[[Any, jax.Array, Any], tuple[jax.Array, Any]] | None = None
    carry: Callable[[int, int], Any] | None = None


def plain(work: Work, problem: Problem) -> None:
    """Refuse what an LSTM of the textbook has not."""
    spec = work.case.spec
    found = {
        "resets": problem.resets is not None,
        "projection": spec.proj_size,
        "option to leave biases out": not spec.bias,
    }
    missing = [feature for feature, asked in found.items() if asked]
    if missing:
        raise Unsupported(f"it has no {' and no '.join(missing)}")


def built_of(make: Callable[[Work], Cell]) -> Build:
    """Programs of a library that has one direction of one layer."""

    def build(work: Work, problem: Problem, settings: Settings) -> Program:
        model = stack_of(make(work), work, problem)
        return program(model, work, problem, settings)

    return build


def stack_of(cell: Cell, work: Work, problem: Problem) -> Model:
    """Layers and directions of a library that has one of each."""
    plain(work, problem)
    spec = work.case.spec
    layers, directions = range(spec.num_layers), range(spec.num_directions)
    keys = [spec.layer_keys(k, d)[:4] for k in layers for d in directions]
    params = []
    for names in keys:
        weight_ih, weight_hh, *biases = (problem.params[name] for name in names)
        torch = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": sum(biases)}
        params.append(cell.weights(torch, weight_ih.shape[1], spec.hidden_size))

    def run(params: Any, xs: jax.Array) -> Outputs:
        states = []
        for layer in range(spec.num_layers):
            first = layer * spec.num_directions
            weights = params[first : first + spec.num_directions]
            found = [cell.run(w, xs, d == 1) for d, w in enumerate(weights)]
            xs = jnp.concatenate([ys for ys, _, _ in found], axis=-1)
            states += [(h, c) for _, h, c in found]
        h, c = map(jnp.stack, zip(*states, strict=True))
        return Outputs(xs, h, c)

    def by_name(params: Any) -> Mapping[str, Any]:
        named = {}
        for weights, names in zip(params, keys, strict=True):
            named |= dict(zip(names[:3], cell.fields(weights).values(), strict=True))
        return named

    single = len(keys) == 1 and cell.step is not None and cell.carry is not None
    return Model(
        params=params,
        run=run,
        by_name=by_name,
        step=(lambda params, x, carry: cell.step(params[0], x, carry))  # type: ignore
        if single
        else None,
        carry=cell.carry(problem.xs.shape[1], spec.hidden_size) if single else None,  # type: ignore[misc]
        one_bias=True,
    )
