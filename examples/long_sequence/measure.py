"""Train on one long sequence, and see what it takes of memory.

The task is to tell the sign of a sum that forgets: an input fades over 50 steps. Run it
with and without `--remat`, each in a process of its own: the peak is the process's.

    python examples/long_sequence/measure.py --steps 100000 --hidden-size 128
    python examples/long_sequence/measure.py --steps 100000 --remat sqrt
"""

import argparse
import json
import resource
import time

import jax
import jax.numpy as jnp
import optax

from lstm_jax import init_params, lstm

FADES = 50  # steps


def main() -> None:
    """Train and print a line for each update, then the peak; or all as JSON."""
    options = parse()
    found = measured(options)
    if options.json:
        print(json.dumps(found))
        return
    for count, pair in enumerate(zip(found["losses"], found["seconds"], strict=True)):
        print("update {}: loss {:.4f}, {:.1f} s".format(count, *pair))
    print(f"peak memory: {found['peak']:.0f} MB over that of the start")


def measured(options: argparse.Namespace) -> dict:
    """The peak in MB over that of the start; loss and seconds of each update."""
    keys = jax.random.split(jax.random.key(options.seed))
    xs = jax.random.normal(keys[0], (options.steps, options.batch, 1))
    wanted = jnp.sign(fading_sum(xs[..., 0]))
    params = {
        "lstm": init_params(keys[1], 1, options.hidden_size, forget_bias=1.0),
        "head": jnp.zeros(options.hidden_size),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))
    remat = int(options.remat) if options.remat.isdecimal() else options.remat

    def loss(params: dict) -> jax.Array:
        cut = {"remat": remat or None, "truncate": options.truncate}
        ys, _ = lstm(params["lstm"], xs, **cut)
        return jnp.mean(jnp.logaddexp(0, -wanted * (ys @ params["head"])))

    @jax.jit
    def update(params: dict, state: optax.OptState) -> tuple:
        value, gradients = jax.value_and_grad(loss)(params)
        changes, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, changes), state, value

    before, losses, seconds = peak(), [], []
    state = optimizer.init(params)
    for _ in range(options.updates):
        start = time.perf_counter()
        params, state, value = jax.block_until_ready(update(params, state))
        losses.append(float(value))
        seconds.append(time.perf_counter() - start)
    return {"peak": peak() - before, "losses": losses, "seconds": seconds}


def fading_sum(xs: jax.Array) -> jax.Array:
    """The sum of the inputs so far, each times `1 - 1 / FADES` for every step since."""

    def add(total: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        total = (1 - 1 / FADES) * total + x
        return total, total

    return jax.lax.scan(add, jnp.zeros(xs.shape[1:]), xs)[1]


def peak() -> float:
    """The largest resident size of the process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train on one long sequence.")
    for name, default, meaning in (
        ("--steps", 100_000, "T"),
        ("--hidden-size", 128, "H"),
        ("--batch", 4, "B"),
        ("--updates", 3, "of the parameters; the first is compiled"),
        ("--truncate", None, "steps between cuts of the gradient"),
        ("--seed", 0, "of the sequence and the parameters"),
    ):
        _ = parser.add_argument(name, type=int, default=default, help=meaning)
    _ = parser.add_argument("--remat", default="", help="steps between states, or sqrt")
    _ = parser.add_argument("--json", action="store_true", help="print one line of it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
