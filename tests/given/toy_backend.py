"""A backend of the tests: the equations, step by step."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax import LSTMSpec, LSTMState, lstm_step


@dataclass(frozen=True)
class Toy:
    """`lstm_step` in a plain scan, without masks and projection, in float32."""

    name: ClassVar[str] = "toy"
    every_transform: ClassVar[bool] = False

    def unsupported(self, spec: LSTMSpec) -> str | None:
        plain = not (spec.lengths or spec.resets or spec.proj_size or spec.truncate)
        return None if plain and spec.dtype == "float32" else "it is a toy."

    def settled(self) -> "Toy":
        return self

    def run(self, loop: Any, spec: Any, layers: Any, steps: Any, states: Any) -> Any:
        del loop, spec
        xs, after = steps.xs, []
        for layer in layers:
            outputs = []
            for reverse, params in enumerate(layer):
                start = jax.tree.map(lambda a: a[len(after)], states.before)
                state, hs = lax.scan(
                    partial(_step, params), start, xs, reverse=bool(reverse)
                )
                outputs.append(hs)
                after.append(state)
            xs = jnp.concatenate(outputs, axis=-1)
        return xs, jax.tree.map(lambda *rows: jnp.stack(rows), *after)


def _step(params: Any, state: LSTMState, x: Any) -> tuple[LSTMState, Any]:
    state = lstm_step(params, x, state)
    return state, state.h
