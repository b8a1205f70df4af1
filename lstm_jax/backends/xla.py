"""The plain XLA backend: every spec, every device, every transform."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Array

from lstm_jax._types import Layers, LSTMSpec, LSTMState, States, Steps
from lstm_jax.backends.orders import Machine, order_of
from lstm_jax.scan.layer import run_layers
from lstm_jax.scan.loop import Loop, Order


@dataclass(frozen=True, kw_only=True)
class XLA:
    """The plain XLA backend, with options.

    The options decide how fast a CPU runs; other devices have none. Numbers are the
    same, but for rounding.

    Args:
        machine: The CPU that the program is for; None means this one. Give it to
            export for another.
        order: The order of the products of every layer; None takes the fastest for the
            machine and the sizes.

    Example:
        >>> params = init_params(jax.random.key(0), input_size=3, hidden_size=4)
        >>> xla = lstm_jax.backends.XLA(machine=lstm_jax.backends.Machine(cores=8))
        >>> lstm(params, jnp.ones((7, 5, 3)), backend=xla)[0].shape
        (7, 5, 4)
    """

    name: ClassVar[str] = "xla"
    every_transform: ClassVar[bool] = True
    machine: Machine | None = None
    order: Order | None = None

    def unsupported(self, spec: LSTMSpec) -> str | None:
        """None: it runs everything; an order, though, is one of stacked gates."""
        if spec.gate_axis and self.order is not None:
            return "its order is one of weights (4H, K), not (4, H, K)."
        return None

    def settled(self) -> "XLA":
        """The same, with the machine of this process if none was given."""
        fixed = self.order is not None or self.machine is not None
        return self if fixed else replace(self, machine=Machine.here())

    def run(
        self,
        loop: Loop,
        spec: LSTMSpec,
        layers: Layers,
        steps: Steps,
        states: States,
    ) -> tuple[Array, LSTMState]:
        """Run the layers one after the other, see `lstm_jax.backends.Backend`."""

        def loop_of(steps: Steps) -> Loop:
            return replace(loop, order=self._order(steps, spec))

        return run_layers(loop_of, layers, steps, states)

    def _order(self, steps: Steps, spec: LSTMSpec) -> Order | None:
        if spec.gate_axis:
            return None
        if self.order is not None:
            return self.order
        assert self.machine is not None, "settled() gives one"  # noqa: S101
        return order_of(self.machine, steps.xs.shape, spec.hidden_size)
