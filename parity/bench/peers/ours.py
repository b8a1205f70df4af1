"""Ours: what the README's call gives, by backend, or with cores as devices."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import lstm_jax
from parity.bench.jax_program import JaxModel, precision_of, program
from parity.bench.program import Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.frameworks.framework import Outputs
from parity.judge.cases import Problem


def build(
    work: Work,
    problem: Problem,
    settings: Settings,
    *,
    backend: str = "auto",
    split: str = "",
    vector_bits: int = 0,
) -> Program:
    """A program of `lstm_jax.lstm` on a backend.

    `split` divides the batch among the cores as devices: by "jit", given sharded
    arrays, or by "shard_map". `vector_bits` are those of a CPU's vectors, where XLA
    takes 256.
    """
    if vector_bits and settings.device != "cpu":
        raise Unsupported("a GPU has no vectors of so many bits")
    if split:
        _set_devices(settings)
    ran = _chosen(backend, work, problem, settings)
    call = partial(lstm_jax.lstm, backend=backend, precision=precision_of(settings))
    model = replace(_model(call, work, problem), backend=ran)
    if vector_bits:
        options = {"xla_cpu_prefer_vector_width": vector_bits}
        model = replace(model, compiler=options)
    if split:
        model = _divided(model, split, problem)
    return program(model, work, problem, settings)


def _model(call: Callable[..., Any], work: Work, problem: Problem) -> JaxModel:
    """The call as the benchmark has it; its weights have torch's names already."""

    def run(params: Any, xs: jax.Array) -> Outputs:
        ys, (h, c) = call(params, xs, resets=problem.resets)
        return Outputs(ys, h, c)

    def step(params: Any, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        ys, state = call(params, x[None], state)
        return ys[0], state

    _, state = jax.eval_shape(call, problem.params, problem.xs[:1])
    return JaxModel(
        weights=jax.tree.map(jnp.asarray, problem.params),
        run=run,
        gradients=dict,
        descended=dict,
        step=None if work.case.bidirectional else step,
        start=jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), state),
    )


def _set_devices(settings: Settings) -> None:
    """Make each core a device, as a user would before the first use of one."""
    if settings.device != "cpu":
        raise Unsupported("one GPU is one device")
    jax.config.update("jax_num_cpu_devices", settings.cores)


def _chosen(backend: str, work: Work, problem: Problem, settings: Settings) -> str:
    """The backend that will run, by its name."""
    spec = replace(
        work.case.spec, resets=problem.resets is not None, platform=settings.device
    )
    try:
        return lstm_jax.backends.choose(backend, spec).name
    except NotImplementedError as error:
        raise Unsupported(str(error)) from None


def _divided(model: JaxModel, split: str, problem: Problem) -> JaxModel:
    """The same with the batch divided among all cores as devices.

    Plain `jit` needs only that the arrays are sharded; `shard_map` says that nothing is
    exchanged but the sums of the gradients.
    """
    count, rows = jax.local_device_count(), problem.xs.shape[1]
    if count == 1 or rows % count:
        raise Unsupported(f"a batch of {rows} is not divided among {count} devices")
    mesh = jax.make_mesh((count,), ("batch",))
    specs = {"weights": PartitionSpec(), "batch": PartitionSpec(None, "batch")}

    def place(arrays: Any, kind: str) -> Any:
        return jax.device_put(arrays, NamedSharding(mesh, specs[kind]))

    run: Callable[[Any, jax.Array], Outputs] = model.run
    if split == "shard_map":
        run = jax.shard_map(
            run, mesh=mesh, in_specs=tuple(specs.values()), out_specs=specs["batch"]
        )
    # Under plain `jit` a kernel would gather the batch: XLA's program runs.
    backend = model.backend if split == "shard_map" else "xla"
    return replace(model, run=run, place=place, backend=f"{backend}, {split}")
