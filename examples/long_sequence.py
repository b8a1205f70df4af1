"""Train on one long sequence, and see what it takes of memory.

The task is to repeat the sign of an input of 50 steps before. Run it with and without
`--remat`, each in a process of its own: the peak is the process's.

    python examples/long_sequence.py --steps 100000 --hidden-size 128
    python examples/long_sequence.py --steps 100000 --hidden-size 128 --remat sqrt
"""

import argparse
import resource
import time

import jax
import jax.numpy as jnp
import optax

from lstm_jax import init_params, lstm

LAG = 50


def main() -> None:
    """Train and print a line for each update, then the peak."""
    options = parse()
    key = jax.random.key(0)
    xs = jax.random.normal(key, (options.steps, options.batch, 1))
    wanted = jnp.sign(jnp.roll(xs[..., 0], LAG, axis=0))
    params = {
        "lstm": init_params(key, 1, options.hidden_size, forget_bias=3.0),
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

    before = peak()
    state = optimizer.init(params)
    for count in range(options.updates):
        start = time.perf_counter()
        params, state, value = jax.block_until_ready(update(params, state))
        print(f"update {count}: loss {value:.4f}, {time.perf_counter() - start:.1f} s")
    print(f"peak memory: {peak() - before:.0f} MB over the {before:.0f} MB before")


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
        ("--updates", 2, "of the parameters"),
        ("--truncate", None, "steps between cuts of the gradient"),
    ):
        _ = parser.add_argument(name, type=int, default=default, help=meaning)
    _ = parser.add_argument("--remat", default="", help="steps between states, or sqrt")
    return parser.parse_args()


if __name__ == "__main__":
    main()
