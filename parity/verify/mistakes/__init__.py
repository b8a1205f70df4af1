"""Wrong LSTMs that people write: what a failed check is explained by.

Each row of `MISTAKES` is a function of the signature of `lstm_jax.lstm` with one
mistake in it, a sentence that names the mistake and its cure, and what a case must have
for it to make a difference. To add a mistake, add a row to the table of its kind.
"""

from parity.verify.mistakes.equations import EQUATIONS, GRADIENTS, PRECISION
from parity.verify.mistakes.lengths import LENGTHS
from parity.verify.mistakes.mistake import Mistake as Mistake
from parity.verify.mistakes.resets import RESETS
from parity.verify.mistakes.weights import GATE_ORDERS, WEIGHTS
from parity.verify.mistakes.wiring import WIRING

# The most common first: of two that explain the numbers equally, the first is named.
MISTAKES = (
    *GATE_ORDERS,
    *WEIGHTS,
    *WIRING,
    *LENGTHS,
    *RESETS,
    *EQUATIONS,
    *GRADIENTS,
    *PRECISION,
)
