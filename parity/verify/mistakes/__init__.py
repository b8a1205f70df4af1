"""Wrong LSTMs that people write: what `diagnose` tries, and the tests' controls.

Each is a function of the signature of `lstm_jax.lstm` with one mistake in it, and a
sentence that names the mistake and its cure.
"""

from collections.abc import Iterator

from parity.verify.mistakes.equations import EQUATIONS, GRADIENTS, PRECISION
from parity.verify.mistakes.masks import LENGTHS, RESETS
from parity.verify.mistakes.mistake import Mistake as Mistake
from parity.verify.mistakes.weights import WEIGHTS, gate_orders
from parity.verify.mistakes.wiring import WIRING


def mistakes() -> Iterator[Mistake]:
    """Every known mistake, the most common first."""
    yield from gate_orders()
    yield from WEIGHTS
    yield from WIRING
    yield from LENGTHS
    yield from RESETS
    yield from EQUATIONS
    yield from GRADIENTS
    yield from PRECISION
