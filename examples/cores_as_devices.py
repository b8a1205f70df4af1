"""Every core a device, the batch divided among them.

XLA gains little from a second thread at the sizes of an LSTM; two devices of the CPU
run a program each. `jax_num_cpu_devices` must be set before JAX starts. Run it with

    python examples/cores_as_devices.py
"""

import os
import time

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import lstm_jax

CORES = os.cpu_count() or 1


def gradient_of(lstm):
    """The gradients of parameters and inputs, compiled."""

    def loss(params, xs):
        ys, _ = lstm(params, xs)
        return jnp.mean(ys**2)

    return jax.jit(jax.grad(loss, argnums=(0, 1)))


def milliseconds(run, *arguments, times=20):
    """The median of some calls."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        _ = jax.block_until_ready(run(*arguments))
        found.append(time.perf_counter() - start)
    return 1e3 * sorted(found)[times // 2]


def main(steps=100, rows=16 * CORES, features=128):
    """Print three times; the largest difference of the gradients."""
    params = lstm_jax.init_params(jax.random.key(0), features, features)
    xs = jax.random.normal(jax.random.key(1), (steps, rows, features))
    run = gradient_of(lstm_jax.lstm)
    one = jax.device_get(run(params, xs))
    print(f"one device: {milliseconds(run, params, xs):.1f} ms")

    mesh = jax.make_mesh((CORES,), ("batch",))
    whole, split = PartitionSpec(), PartitionSpec(None, "batch")
    params = jax.device_put(params, NamedSharding(mesh, whole))
    xs = jax.device_put(xs, NamedSharding(mesh, split))
    print(f"{CORES} devices, jit: {milliseconds(run, params, xs):.1f} ms")

    run = gradient_of(
        jax.shard_map(
            lstm_jax.lstm, mesh=mesh, in_specs=(whole, split), out_specs=split
        )
    )
    print(f"{CORES} devices, shard_map: {milliseconds(run, params, xs):.1f} ms")
    both = jax.device_get(run(params, xs))
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(both), strict=True)
    return max(float(abs(a - b).max()) for a, b in pairs)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", CORES)
    print(f"largest difference of the gradients: {main():.0e}")
