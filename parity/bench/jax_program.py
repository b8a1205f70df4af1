"""Programs of a work in JAX, for any library: what to compile, and how to call it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from parity.bench.expected import LEARNING_RATE
from parity.bench.program import Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.frameworks.framework import Outputs
from parity.judge.cases import Problem
from parity.judge.tensors import OUTPUTS, Array


@dataclass(frozen=True, kw_only=True)
class JaxModel:
    """An LSTM of some library in JAX: its weights, and functions of them.

    Attributes:
        weights: As the library keeps them.
        run: The sequence, of weights and inputs, time first, from a state of zeros.
        gradients: Gradients of the weights, by torch's names.
        descended: The weights after a step of gradient descent, by torch's names, as
            far as torch's would be the same.
        step: One time step, of weights, an input and a state. None where it has none.
        start: The state before the first step.
        backend: What runs it, for the reader of the results.
        compiler: Options of XLA's.
        place: Puts arrays where they are wanted: "weights" or a "batch".
    """

    weights: Any
    run: Callable[[Any, jax.Array], Outputs]
    gradients: Callable[[Any], Mapping[str, Any]]
    descended: Callable[[Any], Mapping[str, Any]]
    step: Callable[[Any, jax.Array, Any], tuple[jax.Array, Any]] | None = None
    start: Any = None
    backend: str = "xla"
    compiler: Mapping[str, Any] = field(default_factory=dict)
    place: Callable[[Any, str], Any] = lambda arrays, _: jax.tree.map(
        jnp.asarray, arrays
    )


def program(
    model: JaxModel, work: Work, problem: Problem, settings: Settings
) -> Program:
    """The model's program for a work, compiled."""
    make = {
        "forward": _forward_program,
        "backward": _backward_program,
        "train": _train_program,
        "step": _step_program,
    }
    with jax.default_matmul_precision(precision_of(settings)):
        return make[work.mode](model, problem, settings)


def precision_of(settings: Settings) -> str | None:
    """What to ask of JAX; None is its default: TF32 on a GPU, which a CPU has not."""
    wanted = (settings.device, settings.precision) == ("gpu", "highest")
    return "highest" if wanted else None


def _forward_program(model: JaxModel, problem: Problem, settings: Settings) -> Program:
    arguments = _placed(model, problem)[:2]
    compiled, facts = _compile(model, jax.jit(model.run), arguments)

    def values(problem: Problem) -> Mapping[str, Array]:
        return _by_name(compiled(*_placed(model, problem)[:2]))

    return _ready(lambda: compiled(*arguments), values, facts, settings)


def _backward_program(model: JaxModel, problem: Problem, settings: Settings) -> Program:
    @jax.jit
    def run(weights: Any, xs: jax.Array, cotangents: Outputs) -> Any:
        outputs, pullback = jax.vjp(model.run, weights, xs)
        return outputs, pullback(cotangents)

    arguments = _placed(model, problem)
    compiled, facts = _compile(model, run, arguments)

    def values(problem: Problem) -> Mapping[str, Array]:
        outputs, (d_weights, d_xs) = compiled(*_placed(model, problem))
        named = {f"d_{k}": a for k, a in model.gradients(d_weights).items()}
        return _by_name(outputs) | _in_numpy(named | {"d_xs": d_xs})

    return _ready(lambda: compiled(*arguments), values, facts, settings)


def _train_program(model: JaxModel, problem: Problem, settings: Settings) -> Program:
    weights, *arguments = _placed(model, problem)
    descend = jax.jit(partial(_descend, model.run), donate_argnums=0)
    compiled, facts = _compile(model, descend, (weights, *arguments))
    current = jax.tree.map(jnp.array, weights)

    def call() -> Any:
        nonlocal current
        current, value = compiled(current, *arguments)
        return value

    def values(problem: Problem) -> Mapping[str, Array]:
        weights, *arguments = _placed(model, problem)
        after, _ = compiled(jax.tree.map(jnp.array, weights), *arguments)
        return _in_numpy(model.descended(after))

    return _ready(call, values, facts, settings)


def _descend(
    run: Callable[[Any, jax.Array], Outputs],
    weights: Any,
    xs: jax.Array,
    cotangents: Outputs,
) -> tuple[Any, jax.Array]:
    """The weights after a step of gradient descent, and the loss before it."""

    def loss(weights: Any) -> jax.Array:
        pairs = zip(run(weights, xs), cotangents, strict=True)
        return sum(jnp.sum(a * b) for a, b in pairs)  # type: ignore[return-value]

    value, gradients = jax.value_and_grad(loss)(weights)
    after = jax.tree.map(lambda a, b: a - LEARNING_RATE * b, weights, gradients)
    return after, value


def _step_program(model: JaxModel, problem: Problem, settings: Settings) -> Program:
    if model.step is None:
        raise Unsupported("it has no single step of this")
    run = jax.jit(model.step, donate_argnums=2)
    weights, xs, _ = _placed(model, problem)
    start = partial(jax.tree.map, jnp.array, model.start)
    compiled, facts = _compile(model, run, (weights, xs[0], start()))
    state, x = start(), jnp.array(xs[0])

    def call() -> Any:
        nonlocal state
        y, state = compiled(weights, x, state)
        return y

    def values(problem: Problem) -> Mapping[str, Array]:
        state, ys = start(), []
        for x in problem.xs:
            y, state = compiled(weights, jnp.asarray(x), state)
            ys.append(np.asarray(y))
        return {"ys": np.stack(ys)}

    return _ready(call, values, facts, settings)


def _placed(model: JaxModel, problem: Problem) -> tuple[Any, jax.Array, Outputs]:
    """Weights, inputs and cotangents, where the model wants them."""
    cotangents = Outputs(*(a[0] for a in problem.cotangents))
    return (
        model.place(model.weights, "weights"),
        model.place(problem.xs, "batch"),
        model.place(cotangents, "batch"),
    )


def _compile(model: JaxModel, run: Any, arguments: Any) -> tuple[Any, dict[str, Any]]:
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


def _by_name(outputs: Any) -> dict[str, Array]:
    return _in_numpy(dict(zip(OUTPUTS, outputs, strict=True)))


def _in_numpy(arrays: Mapping[str, Any]) -> dict[str, Array]:
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
    """A function that gives the most memory that calls from now on take.

    The device knows its peak since the process began, and JAX forgets no peak. Where no
    call from now on is higher, what the compiler says counts.
    """
    start = device.memory_stats() or {}

    def peak() -> int:
        highest = (device.memory_stats() or {}).get("peak_bytes_in_use", 0)
        if highest > start.get("peak_bytes_in_use", 0):
            return highest - start["bytes_in_use"]
        return facts.get("temp_bytes", 0) + facts.get("output_bytes", 0)

    return peak
