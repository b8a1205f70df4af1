"""Every core a device, the batch divided among them.

XLA gains little from a second thread at the sizes of an LSTM; two devices of the CPU
run a program each. `jax_num_cpu_devices` must be set before JAX starts. Run it with

    python examples/cores_as_devices/measure.py
"""

import argparse
import json
import os
import time
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import lstm_jax

CORES = os.cpu_count() or 1
ROWS, FEATURES, RATE = 16, 128, 0.1  # rows for each core; the size of each step
WHOLE, SPLIT = PartitionSpec(), PartitionSpec(None, "batch")


def trained_by(lstm):
    """A step of training, compiled: the parameters after it, and the loss before."""

    def loss(params, xs):
        ys, _ = lstm(params, xs)
        return jnp.mean(ys**2)

    def step(params, xs):
        value, gradients = jax.value_and_grad(loss)(params, xs)
        move = partial(jax.tree.map, lambda p, g: p - RATE * g)
        return move(params, gradients), value

    return jax.jit(step)


def ways(params, xs):
    """Each way to train: its step, and its parameters and inputs where it has them."""
    mesh = jax.make_mesh((CORES,), ("batch",))
    divided = (
        jax.device_put(params, NamedSharding(mesh, WHOLE)),
        jax.device_put(xs, NamedSharding(mesh, SPLIT)),
    )
    mapped = jax.shard_map(
        lstm_jax.lstm, mesh=mesh, in_specs=(WHOLE, SPLIT), out_specs=SPLIT
    )
    return {
        "one device": (trained_by(lstm_jax.lstm), params, xs),
        "jit over the devices": (trained_by(lstm_jax.lstm), *divided),
        "shard_map": (trained_by(mapped), *divided),
    }


def trained(step, params, xs, updates):
    """The parameters after so many updates, the last loss, milliseconds a step."""
    value, start = jnp.nan, time.perf_counter()
    for _ in range(updates):
        params, value = jax.block_until_ready(step(params, xs))
    milliseconds = 1e3 * (time.perf_counter() - start) / updates
    return params, float(value), milliseconds


def measured(steps, rounds, updates, seed):
    """Milliseconds a step and losses of each way, and how far apart they end.

    The ways take turns: a round is so many updates of each, the first compiles. The
    time is that of the fastest round, which other programs disturbed least.
    """
    keys = jax.random.split(jax.random.key(seed))
    params = lstm_jax.init_params(keys[0], FEATURES, FEATURES)
    xs = jax.random.normal(keys[1], (steps, ROWS * CORES, FEATURES))
    made = ways(params, xs)
    ends = {name: start for name, (_, start, _) in made.items()}
    times, losses = ({name: [] for name in made} for _ in range(2))
    for count in [1] + rounds * [updates]:
        for name, (step, _, inputs) in made.items():
            ends[name], value, spent = trained(step, ends[name], inputs, count)
            times[name].append(spent)
            losses[name].append(value)
    first, *others = map(jax.device_get, ends.values())
    apart = [abs(one[name] - first[name]).max() for one in others for name in first]
    best = {name: min(found[1:]) for name, found in times.items()}
    return {"times": best, "losses": losses, "apart": float(max(apart))}


def main():
    """Print the times and the largest difference of the parameters; or all as JSON."""
    parser = argparse.ArgumentParser(description="Every core a device.")
    _ = parser.add_argument("--steps", type=int, default=100, help="T")
    _ = parser.add_argument("--rounds", type=int, default=10)
    _ = parser.add_argument("--updates", type=int, default=20, help="of each round")
    _ = parser.add_argument("--seed", type=int, default=0)
    _ = parser.add_argument("--json", action="store_true", help="print one line of it")
    options = vars(parser.parse_args())
    as_json = options.pop("json")
    jax.config.update("jax_num_cpu_devices", CORES)
    found = measured(**options)
    if as_json:
        print(json.dumps(found))
        return
    for name, milliseconds in found["times"].items():
        print(f"{name}: {milliseconds:.1f} ms")
    print(f"largest difference of the parameters: {found['apart']:.0e}")


if __name__ == "__main__":
    main()
