"""`flax.nnx` modules whose parameters carry torch's names."""

from lstm_jax.nnx.cell import LSTMCell as LSTMCell
from lstm_jax.nnx.lstm import LSTM as LSTM
from lstm_jax.nnx.params import (
    Rngs as Rngs,
    Saved as Saved,
    Sized as Sized,
    WithParams as WithParams,
)
from lstm_jax.nnx.scanned import ScannedLSTM as ScannedLSTM

__all__ = ["LSTM", "LSTMCell", "ScannedLSTM"]
