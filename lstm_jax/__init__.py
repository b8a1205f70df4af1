"""LSTMs in JAX under PyTorch's names: the same weights, numbers and gradients."""

from lstm_jax import backends as backends, export as export, nnx as nnx
from lstm_jax._types import (
    LayerParams as LayerParams,
    LSTMSpec as LSTMSpec,
    LSTMState as LSTMState,
    ParamKey as ParamKey,
)
from lstm_jax.init import init_params as init_params, spec_of as spec_of
from lstm_jax.lengths import lengths_from_mask as lengths_from_mask
from lstm_jax.model import LSTMModel as LSTMModel
from lstm_jax.nnx import LSTM as LSTM, LSTMCell as LSTMCell
from lstm_jax.rollouts import (
    ResetCheck as ResetCheck,
    Rollout as Rollout,
    check_resets as check_resets,
)
from lstm_jax.scan.units import (
    gather_units as gather_units,
    shard_units as shard_units,
)
from lstm_jax.stack import lstm as lstm
from lstm_jax.step import lstm_step as lstm_step
from lstm_jax.tracing import (
    Trace as Trace,
    plot_gates as plot_gates,
    trace as trace,
)

# `from lstm_jax import *` must not put our `nnx` in the place of Flax's.
__all__ = [
    "LSTM",
    "LSTMCell",
    "LSTMModel",
    "LSTMSpec",
    "LSTMState",
    "LayerParams",
    "ParamKey",
    "ResetCheck",
    "Rollout",
    "Trace",
    "check_resets",
    "gather_units",
    "init_params",
    "lengths_from_mask",
    "lstm",
    "lstm_step",
    "plot_gates",
    "shard_units",
    "spec_of",
    "trace",
]

__version__ = "0.1.0"
