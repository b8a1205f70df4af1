"""LSTMs in JAX under PyTorch's names: the same weights, numbers and gradients."""

from lstm_jax import backends as backends
from lstm_jax import nnx as nnx
from lstm_jax._types import (
    LayerParams as LayerParams,
)
from lstm_jax._types import (
    LSTMSpec as LSTMSpec,
)
from lstm_jax._types import (
    LSTMState as LSTMState,
)
from lstm_jax.init import init_params as init_params, spec_of as spec_of
from lstm_jax.model import LSTMModel as LSTMModel
from lstm_jax.nnx import LSTM as LSTM
from lstm_jax.nnx import LSTMCell as LSTMCell
from lstm_jax.stack import lstm as lstm
from lstm_jax.step import lstm_step as lstm_step
