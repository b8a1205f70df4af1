"""Our own kernel for CPUs: a call of C++ for each layer and direction."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import ClassVar

from jaxtyping import Array

from lstm_jax._types import Layers, LSTMSpec, LSTMState, States, Steps
from lstm_jax.backends.wide import divided_here, transposed_of
from lstm_jax.native import library, primitives
from lstm_jax.scan.chunks import over_time
from lstm_jax.scan.layer import Direction, by_xla, run_layers
from lstm_jax.scan.loop import Loop

# Products of a step below which "auto" leaves it to XLA: a call of the kernel costs
# microseconds more. Measured over B 1 to 64 and H 16 to 512 (docs/native.md).
_SMALL_STEP = 200_000


@dataclass(frozen=True, kw_only=True)
class Native:
    """The kernel.

    Under `vmap`, in derivatives of derivatives, and of nothing (T = 0 or B = 0), the
    program is XLA's.

    Args:
        fallback: Whether XLA's program runs where the kernel cannot be called: in an
            exported program, and where `jit` divides arrays among devices; and whether
            it runs a single step of few units, where it takes less time. "auto" has it;
            else the kernel runs the step, and what it cannot be called in is refused.
        divided: As for `XLA`, whose program runs where the kernel does not.
    """

    name: ClassVar[str] = "native"
    every_transform: ClassVar[bool] = True
    fallback: bool = False
    divided: bool | None = None

    def unsupported(self, spec: LSTMSpec) -> str | None:
        """Every reason why the kernel cannot run `spec`, in one sentence."""
        reasons = list(_reasons(spec))
        return f"{', and '.join(reasons)}." if reasons else None

    def settled(self) -> "Native":
        """The same, with what this process decides."""
        return replace(self, divided=divided_here()) if self.divided is None else self

    def run(
        self, loop: Loop, spec: LSTMSpec, layers: Layers, steps: Steps, states: States
    ) -> tuple[Array, LSTMState]:
        """Run the layers one after the other, see `lstm_jax.backends.Backend`."""
        divided = self.divided
        assert divided is not None, "settled() gives one"  # noqa: S101

        def loop_of(steps: Steps) -> Loop:
            transposed = transposed_of(steps, spec, divided)
            return replace(loop, transposed=transposed)

        direction = partial(self._direction, spec)
        return run_layers(loop_of, layers, steps, states, direction)

    def _direction(self, spec: LSTMSpec, loop: Loop, steps: Steps) -> Direction:
        """What runs a direction. Of nothing, or of a symbolic size, XLA's program."""
        if not all(isinstance(size, int) and size > 0 for size in steps.xs.shape):
            return by_xla(loop, steps)
        if self.fallback and _is_small_step(spec, steps):
            return by_xla(loop, steps)
        of_chunk = partial(primitives.recurrence, strict=not self.fallback)
        if loop.remat is None and loop.truncate is None:
            return partial(of_chunk, loop)
        return partial(over_time, loop, of_chunk=of_chunk)


def _is_small_step(spec: LSTMSpec, steps: Steps) -> bool:
    """Whether it is one step, whose products are too few for a call of the kernel."""
    count, *batch, inputs = steps.xs.shape
    products = 4 * spec.hidden_size * (inputs + spec.output_size) * prod(batch)
    return count == 1 and products < _SMALL_STEP


def _reasons(spec: LSTMSpec) -> Iterator[str]:
    if spec.platform != "cpu":
        yield "it is a kernel for CPUs"
    elif reason := library.missing():
        yield reason
    if spec.gate_axis:
        yield "its weights are (4H, K), not (4, H, K)"
    if spec.dtype != "float32":
        yield f"its products are float32, not {spec.dtype}"
