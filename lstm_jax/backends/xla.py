"""The plain XLA backend: every spec, every device, every transform."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Array

from lstm_jax._types import Layers, LSTMSpec, LSTMState, States, Steps
from lstm_jax.backends.wide import divided_here, transposed_of
from lstm_jax.scan.layer import run_layers
from lstm_jax.scan.loop import Loop


@dataclass(frozen=True, kw_only=True)
class XLA:
    """The plain XLA backend, with an option.

    The option decides how fast a CPU runs wide layers; other devices have none. Numbers
    are the same, but for rounding.

    Args:
        divided: Whether `jit` may divide a batch among CPU devices: then a layer of 256
            units or more does not have features before rows. None means that this
            process decides, by whether it has several. Give it to export for another
            machine.

    Example:
        >>> params = init_params(jax.random.key(0), input_size=3, hidden_size=4)
        >>> xla = lstm_jax.backends.XLA(divided=True)
        >>> lstm(params, jnp.ones((7, 5, 3)), backend=xla)[0].shape
        (7, 5, 4)
    """

    name: ClassVar[str] = "xla"
    every_transform: ClassVar[bool] = True
    divided: bool | None = None

    def unsupported(self, spec: LSTMSpec) -> None:
        """None: it runs everything."""

    def settled(self) -> "XLA":
        """The same, with what this process decides."""
        return replace(self, divided=divided_here()) if self.divided is None else self

    def run(
        self,
        loop: Loop,
        spec: LSTMSpec,
        layers: Layers,
        steps: Steps,
        states: States,
    ) -> tuple[Array, LSTMState]:
        """Run the layers one after the other, see `lstm_jax.backends.Backend`."""
        divided = self.divided
        assert divided is not None, "settled() gives one"  # noqa: S101

        def loop_of(steps: Steps) -> Loop:
            transposed = transposed_of(steps, spec, divided)
            return replace(loop, transposed=transposed)

        return run_layers(loop_of, layers, steps, states)
