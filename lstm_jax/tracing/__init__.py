"""Every gate and state of a run: as arrays, and as a picture (the extra `plot`)."""

from lstm_jax.tracing.drawing import plot_gates as plot_gates
from lstm_jax.tracing.gates import Trace as Trace, trace as trace
