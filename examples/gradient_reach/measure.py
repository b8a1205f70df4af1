"""How far back a gradient reaches, in a plain RNN and in an LSTM.

    python examples/gradient_reach/measure.py [--fast] [--out FOLDER]

Each network is measured as it is drawn and after training on a short copy task: read
three letters, wait, then write them down. Measured is the norm of `d h_T / d x_(T-k)`,
how much the output of the last step depends on what was read `k` steps before, while
the network waits. Prints a table and writes `reach.png`.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from lstm_jax import init_params, lstm
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn, legend

LETTERS, LENGTH, DELAY, HIDDEN = 8, 3, 10, 32
BLANK, GO, FEATURES = LETTERS, LETTERS + 1, LETTERS + 2
SEQUENCES, BATCH, UNDER = 8, 64, 1e-3
PARTS = ("before", "after", "losses", "right")
FULL, FAST = (5, 2000, 100), (2, 100, 30)  # seeds, updates, steps back
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))
Run = Callable[[Any, Array], Array]


def rnn(params: Any, xs: Array) -> Array:
    """A plain RNN with the names of `torch.nn.RNN`: outputs `(T, B, H)`."""

    def step(h: Array, x: Array) -> tuple[Array, Array]:
        sums = x @ params["weight_ih_l0"].T + h @ params["weight_hh_l0"].T
        h = jnp.tanh(sums + params["bias_ih_l0"] + params["bias_hh_l0"])
        return h, h

    return jax.lax.scan(step, jnp.zeros((xs.shape[1], HIDDEN)), xs)[1]


def draw_rnn(key: Array) -> Any:
    """Torch's draw of an RNN: one gate's part of the draw of an LSTM."""
    params = init_params(key, FEATURES, HIDDEN)
    return {name: array[:HIDDEN] for name, array in params.items()}


draw_lstm = partial(init_params, input_size=FEATURES, hidden_size=HIDDEN)
draw_biased = partial(draw_lstm, forget_bias=1.0)
NETWORKS: dict[str, tuple[Callable[..., Any], Run, str]] = {
    "plain RNN": (draw_rnn, rnn, GREY),
    "LSTM": (draw_lstm, lambda *args: lstm(*args)[0], BLUE),
    "LSTM, forget bias 1": (draw_biased, lambda *args: lstm(*args)[0], ORANGE),
}


def copy_task(key: Array, batch: int, delay: int) -> tuple[Array, Array]:
    """Letters, blanks, then signals to write: one-hot `(T, B, I)`; letters `(3, B)`."""
    letters = jax.random.randint(key, (LENGTH, batch), 0, LETTERS)
    rest = jnp.full((delay + LENGTH, batch), BLANK).at[delay:].set(GO)
    return jax.nn.one_hot(jnp.concatenate([letters, rest]), FEATURES), letters


def loss(run: Run, agent: Any, key: Array) -> tuple[Array, Array]:
    """Cross-entropy of the letters written down, and the share that is right."""
    xs, letters = copy_task(key, BATCH, DELAY)
    logits = run(agent["network"], xs)[-LENGTH:] @ agent["head"]
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, letters)
    return jnp.mean(entropy), jnp.mean(logits.argmax(-1) == letters)


def train(run: Run, agent: Any, key: Array, updates: int) -> tuple[Any, Any]:
    """The trained agent, and the loss and share of each update."""

    def update(carry: Any, key: Array) -> tuple[Any, Any]:
        (agent, state), slope = carry, jax.value_and_grad(loss, 1, has_aux=True)
        found, grads = slope(run, agent, key)
        changes, state = OPTIMIZER.update(grads, state)
        return (optax.apply_updates(agent, changes), state), found

    keys = jax.random.split(key, updates)
    (agent, _), found = jax.lax.scan(update, (agent, OPTIMIZER.init(agent)), keys)
    return agent, found


def reach(run: Run, network: Any, xs: Array) -> Array:
    """The norm of `d h_T / d x_(T-k)` over `k`, in units of that of `k = 0`."""
    last = jax.jacrev(lambda one: run(network, one[:, None])[-1, 0])
    jacobians = jax.vmap(last, in_axes=1)(xs)  # (B, H, T, I)
    norms = jnp.sqrt(jnp.sum(jacobians**2, axis=(0, 1, 3)))[::-1]
    return norms / norms[0]


def measured(name: str, seeds: int, updates: int, back: int) -> dict[str, np.ndarray]:
    """Curves before and after training, losses and shares, a row for each seed."""
    draw, run, _ = NETWORKS[name]

    def one(key: Array) -> tuple[Array, ...]:
        keys = jax.random.split(key, 3)
        agent = {"network": draw(keys[0]), "head": jnp.zeros((HIDDEN, LETTERS))}
        xs = copy_task(keys[1], SEQUENCES, back + 1 - LENGTH)[0][: back + 1]
        after, (losses, right) = train(run, agent, keys[2], updates)
        curves = (reach(run, network["network"], xs) for network in (agent, after))
        return *curves, losses, right

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), seeds))
    return dict(zip(PARTS, map(np.asarray, found), strict=True))


def falls_under(curves: np.ndarray) -> list[float]:
    """The first step of each curve under 1e-3; infinite where there is none."""
    under = curves < UNDER
    return np.where(under.any(1), under.argmax(1), np.inf).tolist()


def draw_curves(found: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Medians over the seeds, and bands from the least to the most."""
    with drawn(path, 8.0, 3.4) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, part in zip(panels, PARTS, strict=False):
            for name, (_, _, color) in NETWORKS.items():
                low, line, high = np.quantile(found[name][part], (0, 0.5, 1), axis=0)
                band = range(len(line)), low, high
                _ = axes.fill_between(*band, color=color, alpha=0.2, lw=0)
                _ = axes.plot(line, color=color, lw=1.5, label=name)
            _ = axes.axhline(UNDER, color=BLACK, lw=0.8, ls="--")
            _ = axes.axvline(LENGTH + DELAY, color=BLACK, lw=0.8, ls=":")
            axes.set(yscale="log", ylim=(1e-6, 1e2), xlabel="steps back, k")
            axes.set_title(f"{part} training", pad=20)
        panels[0].set_ylabel("|d h(T) / d x(T-k)|, k = 0 is 1")
        legend(panels[0])


def cell(numbers: list[float], most: int = 1) -> str:
    """Median, least and most, as they stand in the README."""
    words = [f"{n:.3g}" if n < np.inf else f"> {most}" for n in sorted(numbers)]
    return f"{words[len(words) // 2]} ({words[0]} to {words[-1]})"


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    _ = parser.add_argument("--fast", action="store_true", help="for the tests")
    _ = parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    sizes = FAST if options.fast else FULL
    found = {name: measured(name, *sizes) for name in NETWORKS}
    print(
        "| network | as drawn | after training | letters right | loss |\n" + "|---" * 5
    )
    for name, one in found.items():
        reached = [cell(falls_under(one[k]), sizes[2]) for k in ("before", "after")]
        ends = [cell(one[k][:, -20:].mean(1).tolist()) for k in ("right", "losses")]
        print(f"| {' | '.join([name, *reached, *ends])} |")
    draw_curves(found, options.out / "reach.png")


if __name__ == "__main__":
    main()
