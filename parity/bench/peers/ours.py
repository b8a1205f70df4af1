"""Ours: what the README's call gives, by backend, or with cores as devices."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import lstm_jax
from parity.bench.peers.harness import Model, Outputs, precision_of, program
from parity.bench.runner import Build, Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.judge.cases import Problem


def builder(
    backend: str, split: str | None = None, bits: int = 0, rolled: bool = False
) -> Build:
    """Programs on a backend.

    `split` divides the batch among the cores as devices: by "jit", given sharded
    arrays, or by "shard_map". If `rolled`, a loop has one step of one direction in its
    body on a GPU, too. `bits` are those of a vector on a CPU, where XLA takes 256.
    """
    build = partial(_build, backend, split, bits)
    return partial(_rolled, build) if rolled else build


def _rolled(build: Build, work: Work, problem: Problem, settings: Settings) -> Program:
    if settings.device != "gpu":
        raise Unsupported("the loops of this device are rolled")
    # In this process, which is this runner's; the next work finds it done.
    _ = lstm_jax.backends.xla.DEVICES.pop("gpu", None)
    return build(work, problem, settings)


def _build(
    backend: str,
    split: str | None,
    bits: int,
    work: Work,
    problem: Problem,
    settings: Settings,
) -> Program:
    if bits and settings.device != "cpu":
        raise Unsupported("a GPU has no vectors of so many bits")
    if split is not None:
        _set_devices(settings)
    chosen = _chosen(backend, work, problem, settings)
    call = partial(lstm_jax.lstm, backend=backend, precision=precision_of(settings))

    def run(params: Any, xs: jax.Array) -> Outputs:
        ys, (h, c) = call(params, xs, resets=problem.resets)
        return Outputs(ys, h, c)

    def step(params: Any, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        ys, state = call(params, x[None], state)
        return ys[0], state

    ys, state = jax.eval_shape(call, problem.params, problem.xs[:1])
    del ys
    model = Model(
        params=jax.tree.map(jnp.asarray, problem.params),
        run=run,
        by_name=dict,
        step=None if work.case.bidirectional else step,
        carry=jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), state),
        backend=chosen,
        compiler={"xla_cpu_prefer_vector_width": bits} if bits else {},
    )
    if split is not None:
        model = _split(model, split, problem)
    return program(model, work, problem, settings)


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
        return lstm_jax.backends.choose(backend, spec)
    except NotImplementedError as error:
        raise Unsupported(str(error)) from None


def _split(model: Model, split: str, problem: Problem) -> Model:
    """The same over all cores as devices, the batch divided among them.

    Plain `jit` of sharded arrays needs no more than that they are; `shard_map` says
    that nothing is exchanged but the sums of the gradients.
    """
    count, rows = jax.local_device_count(), problem.xs.shape[1]
    if count == 1 or rows % count:
        raise Unsupported(f"a batch of {rows} is not divided among {count} devices")
    mesh = jax.make_mesh((count,), ("batch",))
    specs = {"params": PartitionSpec(), "batch": PartitionSpec(None, "batch")}

    def place(arrays: Any, kind: str) -> Any:
        return jax.device_put(arrays, NamedSharding(mesh, specs[kind]))

    run: Callable[[Any, jax.Array], Outputs] = model.run
    if split == "shard_map":
        run = jax.shard_map(
            run, mesh=mesh, in_specs=tuple(specs.values()), out_specs=specs["batch"]
        )
    return replace(model, run=run, place=place, backend=f"{model.backend}, {split}")
